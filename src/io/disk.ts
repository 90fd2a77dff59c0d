// The only module of the core that touches the file system. Sinks take a `Disk`, so tests can inject faults.
import * as fs from 'node:fs'
import { promisify } from 'node:util'
import { native } from '../native/index.ts'
import { closing, endOf, opened, openFlags } from './appending.ts'

/** Identity, type, size, times, owner and permissions of a file; times in ms since 1970. */
export interface FileStat {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: number
  readonly mtimeMs: number
  /** Names the file has. */
  readonly nlink: number
  /** The user who owns the file. */
  readonly uid: number
  /** Permission bits, with set-uid, set-gid and sticky (`0o7777`). */
  readonly mode: number
  readonly isFile: boolean
  readonly isSymlink: boolean
}

const open = promisify(fs.open)
const write = promisify(fs.write)
const read = promisify(fs.read)
const fsync = promisify(fs.fsync)
const fdatasync = promisify(fs.fdatasync)

/** Node's permission model refuses calls on descriptors, whatever is granted; the addon has been allowed there. */
const isRestricted = process.permission !== undefined && native.backend === 'addon'

const fields = new BigInt64Array(7)
const { S_IFMT, S_IFREG, S_IFLNK } = fs.constants

function statOf(file: string | number, follow: boolean): FileStat | undefined {
  if (!native.stat(file, follow, fields)) return undefined
  const type = Number(fields[5]) & S_IFMT
  return {
    dev: BigInt.asUintN(64, fields[0]),
    ino: BigInt.asUintN(64, fields[1]),
    size: Number(fields[2]),
    mtimeMs: Math.floor(Number(fields[3]) / 1e6),
    nlink: Number(fields[4]),
    uid: Number(fields[6]),
    mode: Number(fields[5]) & 0o7777,
    isFile: type === S_IFREG,
    isSymlink: type === S_IFLNK
  }
}

/** The real file system. Every method throws (or rejects with) the system error and does one thing. */
export const realDisk = {
  open: (path: string, flags: number, mode: number): number =>
    opened(fs.openSync(path, openFlags(flags), mode), flags),
  openAsync: async (path: string, flags: number, mode: number): Promise<number> =>
    opened(await open(path, openFlags(flags), mode), flags),
  close: (fd: number): void => {
    closing(fd)
    fs.closeSync(fd)
  },
  /** One `write` or `pwrite` (with `position`); may write less than asked. Returns the bytes written. */
  write: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number | null): number =>
    fs.writeSync(fd, buffer, offset, length, position ?? endOf(fd)),
  /** The same with a position, and on disk when it returns. */
  writeSynced: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number =>
    native.writeSynced(fd, buffer, offset, offset + length, position),
  /** One `pwritev`; may write less than asked. Returns the bytes written. */
  writev: (fd: number, buffers: readonly Uint8Array[], position: number): number =>
    fs.writevSync(fd, buffers, position),
  /** The same; checksum and, of frames, the number of entries are found meanwhile (`native.writevHashed`). */
  writevHashed: (
    fd: number,
    buffers: readonly Uint8Array[],
    position: number,
    crc: Uint32Array,
    entries?: Uint32Array
  ): number => native.writevHashed(fd, buffers, position, crc, entries),
  writeAsync: (
    fd: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number | null
  ): Promise<number> =>
    write(fd, buffer, offset, length, position ?? endOf(fd)).then((result) => result.bytesWritten),
  read: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number =>
    fs.readSync(fd, buffer, offset, length, position),
  readAsync: (
    fd: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number
  ): Promise<number> => read(fd, buffer, offset, length, position).then((result) => result.bytesRead),
  fstat: (fd: number): FileStat => statOf(fd, false)!,
  /** Like `lstat(2)`: a symbolic link is not followed. Undefined if nothing is there. */
  lstat: (path: string): FileStat | undefined => statOf(path, false),
  /** Like `stat(2)`: a symbolic link is followed. Throws ENOENT if nothing is there. */
  stat: (path: string): FileStat => {
    const found = statOf(path, true)
    if (found === undefined) throw Object.assign(new Error(`ENOENT: nothing at ${path}`), { code: 'ENOENT' })
    return found
  },
  truncate: (fd: number, length: number): void => fs.ftruncateSync(fd, length),
  /** Alignment of O_DIRECT transfers on an open file; 0 if unknown, -1 if they are not possible. */
  directAlignment: (fd: number): number => native.directAlignment(fd),
  /** Reserves blocks without changing the size; false if the file system cannot. */
  preallocate: (fd: number, offset: number, length: number): boolean =>
    native.preallocate(fd, offset, length),
  chmod: (fd: number, mode: number): void =>
    isRestricted ? native.setMode(fd, mode) : fs.fchmodSync(fd, mode),
  chmodPath: (path: string, mode: number): void => fs.chmodSync(path, mode),
  /** Sets when the file was last changed, in ms since 1970. */
  setTime: (fd: number, mtimeMs: number): void => fs.futimesSync(fd, mtimeMs / 1000, mtimeMs / 1000),
  fsync: (fd: number): void => (isRestricted ? native.sync(fd, false) : fs.fsyncSync(fd)),
  fdatasync: (fd: number): void => (isRestricted ? native.sync(fd, true) : fs.fdatasyncSync(fd)),
  fsyncAsync: (fd: number): Promise<void> => (isRestricted ? native.syncAsync(fd, false) : fsync(fd)),
  fdatasyncAsync: (fd: number): Promise<void> => (isRestricted ? native.syncAsync(fd, true) : fdatasync(fd)),
  /** Renames without replacing: throws EEXIST if `to` exists. */
  renameNoReplace: (from: string, to: string): void => native.renameNoReplace(from, to),
  /** Writes and publishes a file in the background (`native.publishFile`). */
  publishFile: (
    temp: string,
    target: string,
    mode: number,
    data: Uint8Array,
    length: number,
    done: (isPublished: boolean) => void
  ): number | undefined => native.publishFile(temp, target, mode, data, length, done),
  settlePublication: (publication: number, wait: boolean): boolean | undefined =>
    native.settlePublication(publication, wait),
  abandonPublication: (publication: number): boolean => native.abandonPublication(publication),
  /** Renames a file or folder, replacing a file or an empty folder at `to`. */
  rename: (from: string, to: string): void => fs.renameSync(from, to),
  /** Reserves blocks for a range and extends the file over it with zeros; EOPNOTSUPP where that is not possible. */
  fallocate: (fd: number, offset: number, length: number): void => native.fallocate(fd, offset, length),
  unlink: (path: string): void => fs.unlinkSync(path),
  mkdir: (path: string, mode: number): void => {
    fs.mkdirSync(path, { mode })
    fs.chmodSync(path, mode)
  },
  /** Where a symbolic link leads, as it says. */
  readlink: (path: string): string => fs.readlinkSync(path),
  /** Removes an empty folder. */
  rmdir: (path: string): void => fs.rmdirSync(path),
  readdir: (path: string): string[] => fs.readdirSync(path),
  readdirAsync: (path: string): Promise<string[]> => fs.promises.readdir(path),
  /** The kernel's number of the type of file system that holds `path` (statfs(2)). */
  fileSystemType: (path: string): number => fs.statfsSync(path).type,
  /** What of the file system that holds `path` a user without privileges may still write, in bytes (statfs(2)). */
  freeBytes: (path: string): number => {
    const { bavail, bsize } = fs.statfsSync(path)
    return bavail * bsize
  },
  /** The path without symbolic links. */
  realpath: (path: string): string => fs.realpathSync(path),
  exists: (path: string): boolean => fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined,
  /** Takes the kernel lock number `slot` of an open lock file; waits at most `waitMs`, blocking the thread. */
  lock: (fd: number, slot: number, waitMs: number): boolean => native.lock(fd, slot, waitMs),
  unlock: (fd: number, slot: number): void => native.unlock(fd, slot)
}

/** What a sink needs of the file system. */
export type Disk = typeof realDisk
