// The readers, in the order in which they are asked whether they know a path: the pickiest first.
import { binaryFileReader } from './formats/binary-file.ts'
import { directFileReader } from './formats/direct-file.ts'
import { spoolReader } from './formats/spool.ts'
import { textReader } from './formats/text.ts'
import { walReader } from './formats/wal.ts'
import type { Reader } from './reader.ts'

export const readers: readonly Reader[] = [
  walReader,
  spoolReader,
  directFileReader,
  binaryFileReader,
  textReader
]

/** The reader of a format, or undefined. */
export function readerOf(format: string): Reader | undefined {
  return readers.find((reader) => reader.format === format)
}
