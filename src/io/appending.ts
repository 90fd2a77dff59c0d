// Appending where O_APPEND costs too much: on Windows a descriptor that was opened with it can do nothing but append,
// neither cut the file nor, on some systems, sync it. There the end of the file is looked up for each write instead,
// which is the same as long as writers exclude each other.
import * as fs from 'node:fs'

const isEmulated = process.platform === 'win32'
const { O_APPEND } = fs.constants

/** Descriptors opened to append, whose writes without position go to the end. */
const appending = new Set<number>()

/** The flags to open with. */
export function openFlags(flags: number): number {
  return isEmulated ? flags & ~O_APPEND : flags
}

/** To be told of each descriptor, with the flags that were asked for. */
export function opened(fd: number, flags: number): number {
  if (isEmulated && (flags & O_APPEND) !== 0) appending.add(fd)
  return fd
}

export function closing(fd: number): void {
  if (isEmulated) appending.delete(fd)
}

/** Where to write, for a position of null. */
export function endOf(fd: number): number | null {
  return appending.has(fd) ? fs.fstatSync(fd).size : null
}
