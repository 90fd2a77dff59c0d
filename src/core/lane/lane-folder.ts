// The folder that rings in mapped files are in: private, and on a memory file system unless one was asked for by name.
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { decodeRingHeader, MAX_HEADER_BYTES, ringBytes, ringHeaderBytes } from '../../formats/lane.ts'
import {
  newRingName,
  parseNewRingName,
  parseOwnerName,
  parseRingName,
  type RingName,
  ringName,
  ringOfLarge
} from '../../formats/lane-names.ts'
import type { Disk } from '../../io/disk.ts'
import { isForeign, makeFolders, syncFolder } from '../../io/open-file.ts'
import { closeQuietly, removeQuietly } from '../../io/quietly.ts'
import { needsAddon } from '../../native/index.ts'
import { MappedRing } from './mapped-ring.ts'
import { createRingFile } from './ring-file.ts'

/** What a ring says of itself, to whoever has to write out what is left in it. */
export interface RingDescription {
  /** Absolute path of the log. */
  readonly path: string
  /** Kind of sink, and its options. */
  readonly kind: string
  readonly options: Readonly<Record<string, unknown>>
  /** What one record of the ring is in a file of frames; see `LaneUnit`. */
  readonly unit?: string | undefined
  /** For messages only: what shows whether the owner lives is its lock. */
  readonly pid: number
  readonly thread: number
  /** ms since 1970. */
  readonly createdMs: number
}

/** What a folder holds, by names alone. */
export interface LaneListing {
  readonly rings: readonly RingName[]
  readonly owners: readonly string[]
}

/** From statfs(2): tmpfs and ramfs. */
const MEMORY_FILE_SYSTEMS: readonly number[] = [0x0102_1994, 0x8584_58f6]
const SAFE = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

export class LaneFolder {
  readonly disk: Disk
  readonly path: string
  /** Whether it is on a memory file system. Elsewhere each record carries a checksum. */
  readonly isMemory: boolean

  /**
   * The folder `dir`, else the first of the default ones that can be had; makes it if it is missing. Throws
   * `ERR_UNSUPPORTED` where no ring can be mapped or there is no memory file system, `ERR_OWNER`, `ERR_SYMLINK`,
   * `ERR_NOT_FILE` or `ERR_IO` where the folder cannot be used.
   */
  static open(disk: Disk, dir?: string): LaneFolder {
    if (!MappedRing.isAvailable) {
      throw new LogboomError('ERR_UNSUPPORTED', needsAddon('a lane that outlives the process'))
    }
    if (dir !== undefined) return new LaneFolder(disk, resolve(dir), true)
    const reasons: string[] = []
    let refusal: LogboomError | undefined
    for (const path of defaultFolders()) {
      try {
        const isMemory = isOnMemory(disk, dirname(path))
        if (isMemory) return new LaneFolder(disk, path, true)
        reasons.push(`${dirname(path)} is not on a memory file system`)
      } catch (error) {
        reasons.push(errorMessage(error))
        if (error instanceof LogboomError) refusal ??= error
      }
    }
    // There is one, and something is wrong with it.
    if (refusal !== undefined) throw refusal
    throw new LogboomError(
      'ERR_UNSUPPORTED',
      `no memory file system for a lane (${reasons.join('; ')}); \`lane: { dir }\` puts it elsewhere`
    )
  }

  /** Those folders that are there and can be used, to look for what others left: `dir`, and all default ones. */
  static existing(disk: Disk, dir?: string): LaneFolder[] {
    if (!MappedRing.isAvailable) return []
    const paths = dir === undefined ? defaultFolders() : [resolve(dir), ...defaultFolders()]
    const folders: LaneFolder[] = []
    for (const path of new Set(paths)) {
      try {
        if (disk.exists(path)) folders.push(new LaneFolder(disk, path, false))
      } catch {
        // What others can change is not ours to write out.
      }
    }
    return folders
  }

  private constructor(disk: Disk, path: string, isMade: boolean) {
    this.disk = disk
    this.path = path
    try {
      if (isMade) makeFolders(disk, path, 0o700)
      this.#refuseOthers()
      this.isMemory = isOnMemory(disk, path)
    } catch (error) {
      throw error instanceof LogboomError ? error : this.failure(error)
    }
  }

  #refuseOthers(): void {
    const { path } = this
    const stat = this.disk.lstat(path)
    if (stat === undefined) throw new LogboomError('ERR_NOT_FOUND', `${path} is not there`, { path })
    if (stat.isSymlink) throw new LogboomError('ERR_SYMLINK', `${path} is a symbolic link`, { path })
    if (stat.isFile) throw new LogboomError('ERR_NOT_FILE', `${path} is not a folder`, { path })
    if (isForeign(stat.uid)) {
      const message = `${path} belongs to another user (uid ${stat.uid}), who could take what is logged`
      throw new LogboomError('ERR_OWNER', message, { path })
    }
    if ((stat.mode & 0o022) !== 0) {
      const message = `other users can write to ${path} (mode ${stat.mode.toString(8)}), so they could take what is logged`
      throw new LogboomError('ERR_OWNER', message, { path })
    }
  }

  /** `error` of the system, as one of ours. */
  failure(error: unknown): LogboomError {
    const { path } = this
    return new LogboomError('ERR_IO', `no lane in ${path}: ${errorMessage(error)}`, { path, cause: error })
  }

  pathOf(name: string): string {
    return join(this.path, name)
  }

  /** What is there, by names alone. A folder that has gone is empty. */
  list(): LaneListing {
    const names = this.#names()
    return {
      rings: names.map(parseRingName).filter((ring) => ring !== undefined),
      owners: names.map(parseOwnerName).filter((owner) => owner !== undefined)
    }
  }

  #names(): string[] {
    try {
      return this.disk.readdir(this.path)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return []
      throw this.failure(error)
    }
  }

  /**
   * A new ring, private, with all its blocks. Throws `ERR_IO` where there is no room for it; nothing is left of it then.
   */
  createRing(name: RingName, capacityBytes: number, description: RingDescription): MappedRing {
    const path = this.pathOf(ringName(name))
    const text = JSON.stringify(description)
    try {
      const ring = createRingFile(this.disk, path, newRingName(path), capacityBytes, !this.isMemory, text)
      if (!this.isMemory) syncFolder(this.disk, this.path)
      return ring
    } catch (error) {
      throw error instanceof LogboomError ? error : this.failure(error)
    }
  }

  /**
   * Another end of a ring. Undefined if it is not there any more. Throws `ERR_CORRUPT` if it is damaged, `ERR_OWNER`,
   * `ERR_SYMLINK` or `ERR_NOT_FILE` if it is none of ours, `ERR_IO`.
   */
  openRing(name: RingName): MappedRing | undefined {
    const path = this.pathOf(ringName(name))
    let fd: number
    try {
      fd = this.disk.open(path, constants.O_RDWR | SAFE, 0)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      if (systemCode(error) === 'ELOOP') {
        throw new LogboomError('ERR_SYMLINK', `${path} is a symbolic link`, { path })
      }
      throw this.failure(error)
    }
    try {
      return this.#map(path, fd)
    } catch (error) {
      throw error instanceof LogboomError ? error : this.failure(error)
    } finally {
      closeQuietly(this.disk, fd)
    }
  }

  #map(path: string, fd: number): MappedRing {
    const damaged = (what: string) => new LogboomError('ERR_CORRUPT', `${path}: ${what}`, { path, offset: 0 })
    const stat = this.disk.fstat(fd)
    if (!stat.isFile) throw new LogboomError('ERR_NOT_FILE', `${path} is not a regular file`, { path })
    if (isForeign(stat.uid))
      throw new LogboomError('ERR_OWNER', `${path} belongs to uid ${stat.uid}`, { path })
    const header = readHeader(this.disk, fd, stat.size)
    if (header === undefined) throw damaged('no header of a ring')
    const bytes = ringBytes(header.headerBytes, header.capacityBytes)
    if (stat.size < bytes) throw damaged(`${stat.size} bytes where a ring has ${bytes}`)
    reserveAgain(this.disk, fd, bytes)
    try {
      return new MappedRing(this.disk, path, fd, header)
    } catch (error) {
      throw systemCode(error) === 'EBADMSG' ? damaged('positions that are those of no ring') : error
    }
  }

  /** Removes a ring and the large records that belong to it. */
  removeRing(name: RingName): void {
    const ring = ringName(name)
    removeQuietly(this.disk, this.pathOf(ring))
    for (const file of this.#names()) {
      if (ringOfLarge(file) === ring) removeQuietly(this.disk, this.pathOf(file))
    }
  }

  /** Whether records of the ring are in files of their own. */
  hasLarge(name: RingName): boolean {
    const ring = ringName(name)
    return this.#names().some((file) => ringOfLarge(file) === ring)
  }

  /** Removes what an owner, whose lock is held, left beside its rings: unfinished ones, large records of rings gone. */
  removeRest(owner: string): void {
    const names = this.#names()
    const rings = new Set(names)
    for (const name of names) {
      const ring = ringOfLarge(name)
      const isRest = ring !== undefined && !rings.has(ring) && parseRingName(ring)?.owner === owner
      if (isRest || parseNewRingName(name) === owner) removeQuietly(this.disk, this.pathOf(name))
    }
  }
}

/** Where rings are unless somebody says where. */
function defaultFolders(): string[] {
  const uid = process.geteuid?.()
  if (uid === undefined) return []
  const runtime = process.env.XDG_RUNTIME_DIR
  const folders = [`/dev/shm/logboom-${uid}`]
  if (runtime?.startsWith('/')) folders.push(join(runtime, 'logboom'))
  return folders
}

function isOnMemory(disk: Disk, path: string): boolean {
  return MEMORY_FILE_SYSTEMS.includes(disk.fileSystemType(path))
}

/** What the names of all rings of the log at `path` begin with, however the path is spelled. */
export function logKey(disk: Disk, path: string): string {
  return createHash('sha256')
    .update(canonicalPath(disk, resolve(path)))
    .digest('hex')
    .slice(0, 16)
}

/** Without symbolic links in the folders that are there. */
function canonicalPath(disk: Disk, path: string): string {
  const folder = dirname(path)
  if (folder === path) return path
  try {
    return join(disk.realpath(folder), basename(path))
  } catch {
    // The folder is still to be made.
    return join(canonicalPath(disk, folder), basename(path))
  }
}

function readHeader(disk: Disk, fd: number, size: number): ReturnType<typeof decodeRingHeader> {
  const head = Buffer.alloc(4096)
  if (readAt(disk, fd, head) < head.length) return undefined
  const bytes = ringHeaderBytes(head)
  if (bytes === undefined || bytes > Math.min(size, MAX_HEADER_BYTES)) return undefined
  const whole = Buffer.alloc(bytes)
  return readAt(disk, fd, whole) < bytes ? undefined : decodeRingHeader(whole)
}

/** Reads from the start of the file; returns how many bytes there are. */
function readAt(disk: Disk, fd: number, target: Buffer): number {
  let at = 0
  while (at < target.length) {
    const bytes = disk.read(fd, target, at, target.length - at, at)
    if (bytes === 0) break
    at += bytes
  }
  return at
}

/** Fills holes that somebody made: touching one of them without room for it would end the process (SIGBUS). */
function reserveAgain(disk: Disk, fd: number, bytes: number): void {
  try {
    disk.fallocate(fd, 0, bytes)
  } catch (error) {
    const code = systemCode(error)
    if (code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error
  }
}
