// File work written once and run in two ways: without blocking the thread, or at once where a process ends.
// The work is a generator that yields the calls that may take long; short ones it makes itself.
import { constants } from 'node:fs'
import { errorMessage, systemCode } from '../base/errors.ts'
import type { Disk } from './disk.ts'
import { closeQuietly, removeQuietly } from './quietly.ts'

/** The calls of `Disk` that have a twin `<name>Async`. */
type SlowCall = 'open' | 'write' | 'read' | 'fsync' | 'fdatasync'
type Call = { [N in SlowCall]: [N, ...Parameters<Disk[N]>] }[SlowCall]

export type Steps<T> = Generator<Call, T, number>

export function* open(path: string, flags: number, mode: number): Steps<number> {
  return yield ['open', path, flags, mode]
}

/** Writes all of `buffer[start, end)` at `position`, however many calls the kernel makes of it. */
export function* writeAll(
  fd: number,
  buffer: Uint8Array,
  start: number,
  end: number,
  position: number
): Steps<void> {
  for (let at = start; at < end; ) {
    const count = yield ['write', fd, buffer, at, end - at, position + at - start]
    if (count <= 0) throw Object.assign(new Error('EIO: write took nothing'), { code: 'EIO' })
    at += count
  }
}

/** Reads up to `length` bytes; returns how many. */
export function* read(fd: number, buffer: Uint8Array, length: number, position: number): Steps<number> {
  return yield ['read', fd, buffer, 0, length, position]
}

export function* fdatasync(fd: number): Steps<void> {
  yield ['fdatasync', fd]
}

export function* fsync(fd: number): Steps<void> {
  yield ['fsync', fd]
}

/** Flags to open a file just for a sync of it; Windows syncs nothing that was opened to be read. */
export const OPEN_TO_SYNC =
  (process.platform === 'win32' ? constants.O_RDWR : constants.O_RDONLY) |
  constants.O_NOFOLLOW |
  constants.O_NONBLOCK

/** Windows opens no folder for it, and needs none: NTFS keeps names in its journal. */
const hasFolderSync = process.platform !== 'win32'

/** Makes the names in `folder` durable. That it cannot be opened says nothing about the disk; see `FolderSyncError`. */
export function* syncFolder(disk: Disk, folder: string): Steps<void> {
  if (!hasFolderSync) return
  const fd = yield* open(folder, constants.O_RDONLY | constants.O_DIRECTORY, 0)
  try {
    yield* fsync(fd)
  } catch (error) {
    throw new FolderSyncError(folder, error)
  } finally {
    closeQuietly(disk, fd)
  }
}

/** fsync of a folder failed; `cause` is the system's error, and `code` that of it. */
export class FolderSyncError extends Error {
  readonly code: string | undefined

  constructor(folder: string, cause: unknown) {
    super(`sync of ${folder} failed: ${errorMessage(cause)}`, { cause })
    this.code = systemCode(cause)
  }
}

/** Runs `steps` on this thread, now. */
export function runNow<T>(disk: Disk, steps: Steps<T>): T {
  let turn = steps.next(0)
  while (!turn.done) {
    let result: number
    try {
      const [name, ...args] = turn.value
      result = (disk[name] as (...args: unknown[]) => number)(...args)
    } catch (error) {
      turn = steps.throw(error)
      continue
    }
    turn = steps.next(result)
  }
  return turn.value
}

/** Runs `steps` with the asynchronous calls. `isCurrent` false after one of them ends the run with `Superseded`. */
export async function run<T>(disk: Disk, steps: Steps<T>, isCurrent: () => boolean): Promise<T> {
  let turn = steps.next(0)
  while (!turn.done) {
    let result = 0
    let failure: unknown
    let failed = false
    try {
      const [name, ...args] = turn.value
      result = await (disk[`${name}Async`] as (...args: unknown[]) => Promise<number>)(...args)
    } catch (error) {
      failed = true
      failure = error
    }
    if (!isCurrent()) {
      if (turn.value[0] === 'open' && !failed) undoOpen(disk, result, turn.value[1], turn.value[2])
      steps.return(undefined as never)
      throw new Superseded()
    }
    turn = failed ? steps.throw(failure) : steps.next(result)
  }
  return turn.value
}

/** Somebody else, at once and on the same thread, did the work that this run was doing. */
export class Superseded extends Error {}

function undoOpen(disk: Disk, fd: number, path: string, flags: number): void {
  closeQuietly(disk, fd)
  if ((flags & constants.O_EXCL) !== 0) removeQuietly(disk, path)
}
