// Which machine has a log, in its lock file: only on file systems that several machines may have mounted.
//
//  96   u64 LE   token of the machine; 0: none
// 104   u32 LE   beat: counts on while the machine uses the log; 0: it is about to take it
// 108   4 bytes  zeros
// 112   48 bytes its name, UTF-8, for people; the rest zeros
export const machineNoteAt = 96
export const machineNoteBytes = 64

const NAME_AT = 16
const NAME_BYTES = 48

export interface MachineNote {
  readonly token: bigint
  readonly beat: number
  readonly name: string
}

export function encodeMachineNote({ token, beat, name }: MachineNote): Buffer {
  const bytes = Buffer.alloc(machineNoteBytes)
  bytes.writeBigUInt64LE(token, 0)
  bytes.writeUInt32LE(beat >>> 0, 8)
  bytes.write(name, NAME_AT, NAME_BYTES)
  return bytes
}

/** The note in these bytes, fewer where the lock file is shorter: then there is none. */
export function decodeMachineNote(bytes: Buffer): MachineNote {
  if (bytes.length < machineNoteBytes) return { token: 0n, beat: 0, name: '' }
  const name = bytes.toString('utf8', NAME_AT, NAME_AT + NAME_BYTES).replace(/\0.*$/s, '')
  return { token: bytes.readBigUInt64LE(0), beat: bytes.readUInt32LE(8), name }
}
