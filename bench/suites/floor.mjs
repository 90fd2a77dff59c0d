// The physical floor (floor.c): what durable writes cost on this disk with no logger at all.
import { buildFloor, floorProgram } from '../lib/floor.mjs'

export const suite = {
  name: 'floor',
  title: 'The floor: durable writes in C',
  unit: 'writes',
  records: 4_000,
  references: ['append 256 B, fdatasync'],
  contenders: {
    'append 256 B, fdatasync': mode('append', 'a file that grows: data and size each time'),
    'zero-filled 256 B, fdatasync': mode('zeroed', 'blocks written with zeros before: data only'),
    'zero-filled 256 B, O_DSYNC': mode('dsync', 'the same in one system call'),
    'zero-filled 4 KiB, O_DIRECT': mode('direct', 'O_DIRECT and O_DSYNC, no page cache'),
    'bandwidth, 8 MiB O_DIRECT': mode('bandwidth', 'O_DIRECT and O_DSYNC, preallocated', 0.03)
  }
}

function mode(name, note, share = 1) {
  return {
    note,
    share,
    prepare: buildFloor,
    command: ({ folder, records }) => [floorProgram, name, folder, String(records)]
  }
}
