// A checkpoint as a shipper would have left it.
import { writeFileSync } from 'node:fs'
import { encodeSlot } from '../../src/formats/slots.ts'
import { type CheckpointState, checkpointSlotBytes } from '../../src/ship/checkpoint.ts'

export function writeCheckpoint(path: string, state: CheckpointState): void {
  const bytes = Buffer.alloc(2 * checkpointSlotBytes)
  encodeSlot({ sequence: 0n, content: state }, checkpointSlotBytes).copy(bytes)
  writeFileSync(path, bytes)
}
