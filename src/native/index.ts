// The native functions of the package: the addon where a binary loads, else the portable fallback.
import { LogboomError, systemCode } from '../base/errors.ts'
import { fallback } from './fallback.ts'
import type { JoinForm } from './join.ts'
import { loadAddon } from './load-addon.ts'

/** What addon and fallback both provide; addon.c says how each works. */
export interface Native {
  /**
   * 'addon', or 'fallback' where no binary loads or `LOGBOOM_NATIVE=0` is set. (`LOGBOOM_NATIVE=<file>` loads that
   * binary and no other.)
   */
  readonly backend: 'addon' | 'fallback'
  /** Whether `lock` works, that is: whether several processes may share one file. */
  readonly canLock: boolean
  /**
   * Takes an exclusive kernel lock on byte `slot` (-1: the whole file) of an open file; false if still held
   * after `waitMs`.
   */
  lock(fd: number, slot: number, waitMs: number): boolean
  unlock(fd: number, slot: number): void
  /** Closes `fd` when this thread ends without closing it (`worker.terminate()` closes nothing). */
  closeAtExit(fd: number): void
  /** Takes `fd` off that list; to be called before closing it. */
  forget(fd: number): void
  /** rename(2) that fails with EEXIST instead of replacing `to`. */
  renameNoReplace(from: string, to: string): void
  /**
   * Has a thread of its own write the first `length` bytes of `data`, which must stay as they are, to a new file at
   * `temp`, give it `mode` and rename it to `target`, where nothing may be. Then calls `done`: true if it is there;
   * false if something failed, and then nothing is left of it. Returns the number of the publication, undefined
   * without the addon. Throws ENOMEM if the thread cannot be started.
   */
  publishFile(
    temp: string,
    target: string,
    mode: number,
    data: Uint8Array,
    length: number,
    done: (isPublished: boolean) => void
  ): number | undefined
  /**
   * The same result at once, and `done` is not called; what has not begun never will. Waits for work that is under way if
   * asked to, and else returns undefined for it, and `done` will be called. Throws EINVAL once either gave the result.
   */
  settlePublication(publication: number, wait: boolean): boolean | undefined
  /**
   * For one that is under way and cannot be waited for: whenever it goes on, nothing is published. False if it is too
   * late for that. Throws EINVAL once a result was given.
   */
  abandonPublication(publication: number): boolean
  /**
   * Stores device, inode, size, modification time (ns since 1970), number of names, mode and owner of a file, given by
   * path or descriptor, in the first seven `fields`; false if nothing is at the path. Node's own makes garbage of two kilobytes per call.
   */
  stat(file: string | number, follow: boolean, fields: BigInt64Array): boolean
  /** fsync(2), or fdatasync(2) if `dataOnly`: Node's permission model refuses both, whatever is granted. */
  sync(fd: number, dataOnly: boolean): void
  syncAsync(fd: number, dataOnly: boolean): Promise<void>
  /** fchmod(2), which it refuses, too. */
  setMode(fd: number, mode: number): void
  /** CRC-32C (Castagnoli) of `data[start, end)`, continued from `seed` (0 at the start). */
  crc32c(data: Uint8Array, seed: number, start: number, end: number): number
  /**
   * One pwritev(2), which may write less than asked, while the checksum of all `pieces` (at most 1024) continues
   * from `crc[0]`, which it replaces unless the write fails. With `entries` each piece is a frame of the direct-file
   * format, and its number of entries is stored there. Returns the bytes written.
   */
  writevHashed(
    fd: number,
    pieces: readonly Uint8Array[],
    position: number,
    crc: Uint32Array,
    entries: Uint32Array | undefined
  ): number
  /** One pwrite(2) that returns when what it wrote is on disk; it may write less than asked. Returns the bytes written. */
  writeSynced(fd: number, data: Uint8Array, start: number, end: number, position: number): number
  /** Copies `source[start, end)` to `target` at `at`. In JavaScript each copy of a part makes an object. */
  copy(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): void
  /** The number of line ends (byte 10) in `data[start, end)`. */
  countLines(data: Uint8Array, start: number, end: number): number
  /**
   * The multiple that offset, length and memory of O_DIRECT transfers on this file must have; 0 if the system
   * does not tell, -1 if O_DIRECT is not possible.
   */
  directAlignment(fd: number): number
  /** Reserves blocks without changing the file's size; false if the file system cannot. */
  preallocate(fd: number, offset: number, length: number): boolean
  /** Asks for huge pages in the memory of `data`; false if the system has none. */
  hugePages(data: Uint8Array): boolean
  /**
   * Writes the lines of `source[start, end)` to `target` at `at` as entries of the direct-file format, without
   * line ends and empty lines. Returns the bytes written: at most those of the lines and 4 per line, less one
   * per line end. Throws RangeError, and writes nothing, if there is no room for them.
   */
  frameLines(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number
  /** Number of entries that fill `data[start, end)` exactly; -1 if they do not. */
  countEntries(data: Uint8Array, start: number, end: number): number
  /**
   * Start and end of the records in `data[start, end)`, in turn, relative to `start`; stops where `bounds` is
   * full or an entry is not whole. Returns the number of records.
   */
  entryBounds(data: Uint8Array, start: number, end: number, bounds: Int32Array): number
  /**
   * Copies the records of `source` that lie at `bounds` (start and end in turn) to `target`, each with what `form`
   * (join.ts) puts around it, as long as they fit whole: from record `state[0]` on, to `state[1]` on, both of which move
   * on. Throws RangeError, and moves nothing on, for a record that is not in `source`.
   */
  joinRecords(
    source: Uint8Array,
    bounds: Int32Array,
    target: Uint8Array,
    form: JoinForm,
    state: Uint32Array
  ): void
  /**
   * Looks for the string that the top-level `key` (UTF-8) of each JSON line in `data[start, end)` has, as
   * JSON.parse sees it. Three numbers per line go to `out`, as many lines as fit; returns how many:
   * end of the line; start of the string, 0 if there is none, negative if it holds escapes; its end, -1 if the
   * line is nested too deep to tell.
   */
  scanLines(data: Uint8Array, start: number, end: number, key: Uint8Array, out: Int32Array): number
  /**
   * For entries whose records begin with a u32 number: adds the bytes that each number's entries take without it
   * to `sizes`, and how many there are to `counts`. Throws RangeError if the entries do not fill `data[start, end)`.
   */
  tallyTags(data: Uint8Array, start: number, end: number, sizes: Uint32Array, counts: Uint32Array): void
  /** Copies each such entry, without its number, to `target` at that number's place, and moves the place on. */
  scatterTags(data: Uint8Array, start: number, end: number, target: Uint8Array, places: Float64Array): void
  /**
   * Replaces `words[index]`, if it is `expected` then, when this thread ends, however that happens. Without the
   * addon nothing happens. The result is for `cancelReplace`.
   */
  replaceAtExit(words: Int32Array, index: number, expected: number, replacement: number): unknown
  /** A second time nothing happens. */
  cancelReplace(handle: unknown): void
  /**
   * Walks over the whole WAL records in `data[start, end)` after checksum `seed`, filling `rows` (columns:
   * wal-scan.ts) until they are full or anything but a sound record comes. Returns the number of rows.
   */
  walScan(data: Uint8Array, start: number, end: number, seed: number, rows: Uint32Array): number
  /**
   * Goes over the WAL records in `data[start, end)` after where `run` (columns: wal-scan.ts) stands, as long as they are
   * sound and what a writer that never changed its term has written: entries of one index after the other, and commit
   * marks. Start and end of the content of each entry go to `bounds` and the start of its frame to `frames`, as many as
   * fit, if these are given.
   */
  walFollow(
    data: Uint8Array,
    start: number,
    end: number,
    run: Float64Array,
    bounds: Int32Array | undefined,
    frames: Int32Array | undefined
  ): void
  /**
   * Puts the checksums that follow `crc[0]` into the WAL frames in `data[start, end)`, each of which leaves a blank
   * of five bytes for it, and closes the gaps of shorter ones. Returns the new end, 0 if they are no such frames.
   */
  walSeal(data: Uint8Array, start: number, end: number, crc: Uint32Array): number
  /** fallocate(2): reserves blocks and extends the file with zeros; EOPNOTSUPP where that is not possible. */
  fallocate(fd: number, offset: number, length: number): void
  /** Whether rings can be mapped. Where not, the other functions of lanes throw `ERR_UNSUPPORTED`. */
  laneAvailable(): boolean
  /**
   * Maps the ring (src/formats/lane.ts) in an open file, which may be closed afterwards; its blocks must be reserved. The
   * handle is one thread's. Throws EBADMSG if the positions in it are those of no ring, EINVAL if the file is shorter.
   */
  laneMap(fd: number, headerBytes: number, capacityBytes: number, isChecked: boolean): unknown
  /** A second time nothing happens; all others throw EBADF afterwards. */
  laneUnmap(ring: unknown): void
  /** Appends a record of at most half the ring. False: no room now, nothing appended. */
  laneAppend(ring: unknown, record: string | Uint8Array): boolean
  /** The same with the 16 bytes that name a record in a file of its own. */
  laneAppendReference(ring: unknown, reference: Uint8Array): boolean
  laneWritten(ring: unknown): number
  laneDrained(ring: unknown): number
  /** Throws EINVAL if `to` does not lie between drained and written. */
  laneRelease(ring: unknown, to: number): void
  /** What `found` (columns: ring-base.ts) tells, goes on from and is told; returns why it stopped. */
  laneRead(ring: unknown, target: Uint8Array, ends: Uint32Array, found: Float64Array): number
  /** Copies both note slots to `slots`. */
  laneNotes(ring: unknown, slots: Uint8Array): void
  /** Replaces note slot 0 or 1. */
  laneNote(ring: unknown, which: number, slot: Uint8Array): void
}

const loaded = loadAddon(
  Object.keys(fallback).filter((name) => typeof fallback[name as keyof Native] === 'function')
)

export const native: Native =
  loaded.exports === undefined
    ? { ...fallback, lock: refuseLock, unlock: refuseLock }
    : combine(loaded.exports)

/** The file of the addon that is in use. */
export const addonFile: string | undefined = loaded.file

/** Why there is no addon, to be read behind a colon; undefined where there is one. */
export const whyNoAddon: string | undefined = loaded.reason

/** A sentence for what is refused without the addon. */
export function needsAddon(what: string): string {
  return `${what} needs the native addon: ${whyNoAddon ?? `on ${process.platform} it has no such function`}`
}

function refuseLock(): never {
  throw new LogboomError('ERR_UNSUPPORTED', needsAddon('a kernel file lock'))
}

/** What the addon leaves to the fallback on this platform is null there. */
function combine(addon: Record<string, unknown>): Native {
  const own = Object.entries(addon).filter(([, value]) => value !== null)
  const both: Native = { ...fallback, ...Object.fromEntries(own), backend: 'addon', canLock: true }
  return { ...both, renameNoReplace: (from, to) => renameOrLink(both, from, to) }
}

/** The kernel's rename where it has one that replaces nothing, else the portable way. */
function renameOrLink(both: Native, from: string, to: string): void {
  try {
    both.renameNoReplace(from, to)
  } catch (error) {
    if (systemCode(error) !== 'ENOSYS') throw error
    fallback.renameNoReplace(from, to)
  }
}
