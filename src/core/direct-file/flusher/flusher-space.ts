// The room that is kept free beside direct files. The flusher looks at it before it writes; the backups are removed by the
// thread that opened the file, which says so when none are left.
import { dirname } from 'node:path'
import type { Disk } from '../../../io/disk.ts'
import { FreeSpace } from '../../shared-file/free-space.ts'
import { type FlushItem, isLarge } from '../files/flush-target.ts'
import { control } from '../memory/shared-memory.ts'
import type { FlusherOptions, FlusherPort } from './flusher-protocol.ts'

/** Undefined if none has to be kept. */
export function createSpace(
  disk: Disk,
  { path, group, minFreeBytes }: FlusherOptions,
  words: Int32Array,
  port: FlusherPort
): FreeSpace | undefined {
  if (minFreeBytes === 0) return undefined
  return new FreeSpace({
    disk,
    path,
    folder: group === undefined ? dirname(path) : path,
    minFreeBytes,
    removeBackups: () => port.send({ type: 'short' }),
    isExhausted: () => Atomics.load(words, control.noBackupsLeft) !== 0
  })
}

/** What a flush of `items` takes, about. */
export function roomOf(items: readonly FlushItem[]): number {
  return items.reduce((sum, item) => sum + (isLarge(item) ? item.data.length : item.validBytes), 0)
}
