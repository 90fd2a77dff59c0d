// Who fills rings: one for each thread and folder, alive as long as the kernel lock on its file is held.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { threadId } from 'node:worker_threads'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { ownerName, type RingName, ringName } from '../../formats/lane-names.ts'
import { isForeign, OpenFile } from '../../io/open-file.ts'
import { closeQuietly, removeQuietly } from '../../io/quietly.ts'
import { type LaneFolder, logKey, type RingDescription } from './lane-folder.ts'
import type { MappedRing } from './mapped-ring.ts'
import { WHOLE_FILE } from './ring-file.ts'

/** The first rings of an owner are large, later ones small, so that hundreds of outputs stay below 100 MiB. */
const LARGE_RINGS = 4
const LARGE_RING_BYTES = 8 * 1024 * 1024
const SMALL_RING_BYTES = 256 * 1024

const MAX_ATTEMPTS = 10
const SAFE = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

/** What of a ring's description is told by who makes it. */
export type RingSubject = Pick<RingDescription, 'path' | 'kind' | 'options' | 'unit'>

/** The owners that this thread is, by folder. */
const ownersOfThread = new Map<string, LaneOwner>()

export class LaneOwner {
  readonly folder: LaneFolder
  /** 32 hex digits, which nobody can guess. */
  readonly id: string
  readonly #file: OpenFile
  #rings = 0
  /** How often `close` is still to be called. */
  #users = 1

  /**
   * The owner that this thread is in `folder`; each call asks for a `close`. It ends with the thread, however that ends.
   * Throws `ERR_IO`.
   */
  static ofThread(folder: LaneFolder): LaneOwner {
    const known = ownersOfThread.get(folder.path)
    // Who clears the folder takes the owner's file away, and nobody could take over what is filled in its name then.
    if (known?.isInPlace === true) {
      known.#users++
      return known
    }
    const owner = LaneOwner.create(folder)
    ownersOfThread.set(folder.path, owner)
    return owner
  }

  /** A new owner. Throws `ERR_IO`. */
  static create(folder: LaneFolder): LaneOwner {
    // Every turn but the last ends because somebody who looks for dead owners was faster than the lock.
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const id = randomBytes(16).toString('hex')
      const file = openLocked(folder, ownerName(id), constants.O_CREAT | constants.O_EXCL)
      if (file === undefined) continue
      const owner = new LaneOwner(folder, id, file)
      owner.#introduce()
      return owner
    }
    throw folder.failure(new Error('no owner could be made'))
  }

  /**
   * In the place of an owner that is dead, so that nobody else is; undefined if it lives, somebody else has taken its
   * place, or nothing is left of it. Throws `ERR_IO`, and `ERR_OWNER` if its file is none of ours.
   */
  static adopt(folder: LaneFolder, id: string): LaneOwner | undefined {
    const file = openLocked(folder, ownerName(id), 0)
    return file === undefined ? undefined : new LaneOwner(folder, id, file)
  }

  /**
   * The same for one ring, if the file of its owner was removed by somebody: then the lock that goes with the memory of the
   * ring tells whether who fills it lives.
   */
  static adoptOrphan(folder: LaneFolder, name: RingName): LaneOwner | undefined {
    // Elsewhere nobody has found out that the lock lives as long as the memory.
    if (process.platform !== 'linux' || hasOwner(folder, name)) return undefined
    const file = openLocked(folder, ringName(name), 0)
    if (file === undefined) return undefined
    if (!hasOwner(folder, name)) return new LaneOwner(folder, name.owner, file)
    file.release()
    return undefined
  }

  private constructor(folder: LaneFolder, id: string, file: OpenFile) {
    this.folder = folder
    this.id = id
    this.#file = file
  }

  /** Whether its file is where others look for it. */
  get isInPlace(): boolean {
    const { disk } = this.folder
    const found = disk.lstat(this.folder.pathOf(ownerName(this.id)))
    return found !== undefined && this.#file.is(found)
  }

  /** For those who look at the folder; nothing rests on it. */
  #introduce(): void {
    const text = Buffer.from(
      `${JSON.stringify({ pid: process.pid, thread: threadId, createdMs: Date.now() })}\n`
    )
    try {
      this.folder.disk.write(this.#file.fd, text, 0, text.length, 0)
    } catch {
      // A full file system: the ring will say so.
    }
  }

  /** A new ring for records of one log. Throws `ERR_IO` where there is no room. */
  createRing(subject: RingSubject, capacityBytes = this.#defaultBytes()): MappedRing {
    const { folder } = this
    const name = { log: logKey(folder.disk, subject.path), owner: this.id, number: ++this.#rings }
    const about = { pid: process.pid, thread: threadId, createdMs: Date.now() }
    return folder.createRing(name, capacityBytes, { ...subject, ...about })
  }

  #defaultBytes(): number {
    return this.#rings < LARGE_RINGS ? LARGE_RING_BYTES : SMALL_RING_BYTES
  }

  /** Its rings. */
  get rings(): readonly RingName[] {
    return this.folder.list().rings.filter(({ owner }) => owner === this.id)
  }

  /** Frees the lock. Nothing stays of an owner without rings; those of one with rings are for others to write out. */
  close(): void {
    if (this.#users === 0 || --this.#users > 0) return
    if (ownersOfThread.get(this.folder.path) === this) ownersOfThread.delete(this.folder.path)
    try {
      if (this.rings.length === 0) {
        this.folder.removeRest(this.id)
        removeQuietly(this.folder.disk, this.folder.pathOf(ownerName(this.id)))
      }
    } finally {
      this.#file.release()
    }
  }
}

/** Removes what dead owners without rings have left. */
export function sweepOwners(folder: LaneFolder): void {
  const { owners, rings } = folder.list()
  const withRings = new Set(rings.map(({ owner }) => owner))
  for (const id of owners) {
    if (!withRings.has(id)) LaneOwner.adopt(folder, id)?.close()
  }
}

function hasOwner(folder: LaneFolder, { owner }: RingName): boolean {
  return folder.disk.lstat(folder.pathOf(ownerName(owner))) !== undefined
}

/** A file of the folder, locked; undefined if it is not there, or somebody else has the lock. */
function openLocked(folder: LaneFolder, name: string, creation: number): OpenFile | undefined {
  const { disk } = folder
  const path = folder.pathOf(name)
  let fd: number
  try {
    fd = disk.open(path, SAFE | creation, 0o600)
  } catch (error) {
    if (systemCode(error) === (creation === 0 ? 'ENOENT' : 'EEXIST')) return undefined
    throw folder.failure(error)
  }
  let file: OpenFile | undefined
  try {
    const stat = disk.fstat(fd)
    if (!stat.isFile || isForeign(stat.uid)) {
      throw new LogboomError('ERR_OWNER', `${path} is none of our files`, { path })
    }
    // Whoever removes a dead owner's file has its lock, so a lock on the file at its place is one on a living owner.
    if (!disk.lock(fd, WHOLE_FILE, 0)) return undefined
    const found = disk.lstat(path)
    if (found === undefined || found.ino !== stat.ino || found.dev !== stat.dev) return undefined
    file = new OpenFile(disk, path, fd, stat)
    return file
  } catch (error) {
    throw error instanceof LogboomError ? error : folder.failure(error)
  } finally {
    if (file === undefined) closeQuietly(disk, fd)
  }
}
