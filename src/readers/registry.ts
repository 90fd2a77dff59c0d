// The readers, in the order in which they are asked whether they know a path: the pickiest first.
import { binaryFileReader } from './binary-file.ts'
import { directFileReader } from './direct-file.ts'
import type { Reader } from './reader.ts'
import { spoolReader } from './spool.ts'
import { textReader } from './text.ts'
import { walReader } from './wal.ts'

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
