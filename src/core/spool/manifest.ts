// The manifest of one open spool: proof of life for others (its kernel lock) and, for each worker, how much of the
// temp file is complete. What the bytes mean is in formats/spool.ts.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { join } from 'node:path'
import { assert } from '../../base/assert.ts'
import {
  decodeManifestHeader,
  decodeSlots,
  encodeManifestHeader,
  encodeSlot,
  MAX_WORKERS,
  type ManifestHeader,
  type ManifestSlot,
  manifestBytes,
  manifestName,
  SLOT_BYTES,
  slotOffset
} from '../../formats/spool.ts'
import type { Disk } from '../../io/disk.ts'
import { closeQuietly, removeQuietly } from '../../io/quietly.ts'
import { runNow, writeAll } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import { isAt } from './file-state.ts'
import { manifestRefusal } from './ownership.ts'

const LOCK_SLOT = 0
const MANIFEST_MODE = 0o600
const ATTEMPTS = 10

/** What a dead spool left: its manifest, taken over, and what stands in it. */
export interface DeadManifest {
  readonly manifest: SpoolManifest
  /** Undefined if the manifest is damaged. */
  readonly header: ManifestHeader | undefined
  /** The intact slots of each worker, the valid one first. */
  readonly slots: readonly (readonly ManifestSlot[])[]
}

export class SpoolManifest {
  readonly instance: string
  readonly fd: number
  readonly #disk: Disk
  readonly #path: string
  readonly #slot = Buffer.alloc(SLOT_BYTES)
  /** The last generation of each worker that was, or may have been, written. */
  readonly #generations: number[]

  private constructor(disk: Disk, path: string, instance: string, fd: number, generations: number[]) {
    this.#disk = disk
    this.#path = path
    this.instance = instance
    this.fd = fd
    this.#generations = generations
    native.closeAtExit(fd)
  }

  /** Creates and locks a manifest of its own in `folder`. Throws system errors, and leaves nothing then. */
  static create(disk: Disk, folder: string, header: ManifestHeader): SpoolManifest {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const instance = randomBytes(8).toString('hex')
      const path = join(folder, manifestName(process.pid, instance))
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
      const fd = disk.open(path, flags, MANIFEST_MODE)
      try {
        // Between creation and lock somebody may have taken it for the manifest of a dead spool.
        if (disk.lock(fd, LOCK_SLOT, 0) && isAt(disk, fd, path)) {
          // With all its slots, so that a disk that gets full later has room for them.
          const bytes = Buffer.alloc(manifestBytes(header.workers))
          encodeManifestHeader(header).copy(bytes)
          runNow(disk, writeAll(fd, bytes, 0, bytes.length, 0))
          return new SpoolManifest(disk, path, instance, fd, new Array(header.workers).fill(0))
        }
      } catch (error) {
        closeQuietly(disk, fd)
        removeQuietly(disk, path)
        throw error
      }
      closeQuietly(disk, fd)
    }
    throw new Error(`no manifest could be locked in ${folder}`)
  }

  /**
   * Takes over the manifest of a dead spool. Undefined if its spool lives, or somebody else was first. `refused` is told
   * why one is not taken that could have been planted.
   */
  static takeOver(
    disk: Disk,
    path: string,
    instance: string,
    refused: (reason: string) => void
  ): DeadManifest | undefined {
    const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY
    const fd = disk.open(path, flags, 0)
    try {
      const stat = disk.fstat(fd)
      const reason = manifestRefusal(stat)
      if (reason !== undefined) refused(reason)
      if (reason !== undefined || !disk.lock(fd, LOCK_SLOT, 0) || !isAt(disk, fd, path)) {
        closeQuietly(disk, fd)
        return undefined
      }
      const bytes = Buffer.alloc(Math.min(stat.size, manifestBytes(MAX_WORKERS)))
      for (let at = 0, count = 1; at < bytes.length && count > 0; at += count) {
        count = disk.read(fd, bytes, at, bytes.length - at, at)
      }
      const header = decodeManifestHeader(bytes)
      const workers = Array.from({ length: header?.workers ?? 0 }, (_, worker) => worker)
      const slots = workers.map((worker) => decodeSlots(bytes, worker))
      const generations = slots.map((turns) => turns[0]?.generation ?? 0)
      return { manifest: new SpoolManifest(disk, path, instance, fd, generations), header, slots }
    } catch (error) {
      closeQuietly(disk, fd)
      throw error
    }
  }

  /** False if somebody removed the manifest: nobody could recover what it speaks of. */
  get isThere(): boolean {
    return this.#disk.fstat(this.fd).nlink > 0
  }

  /** Notes how much of a worker's temp file is complete. */
  save(worker: number, slot: Omit<ManifestSlot, 'generation'>): void {
    assert(worker < this.#generations.length && slot.end >= 0 && slot.records >= 0)
    const generation = this.#generations[worker] + 1
    // Taken even if the write fails: whatever of it came to the file, the next one goes to the other slot and counts
    // more.
    this.#generations[worker] = generation
    encodeSlot(this.#slot, { ...slot, generation })
    runNow(this.#disk, writeAll(this.fd, this.#slot, 0, SLOT_BYTES, slotOffset(worker, generation)))
  }

  /** Removes the manifest; for when no temp file is left. */
  remove(): void {
    try {
      if (this.isThere) this.#disk.unlink(this.#path)
    } finally {
      this.leave()
    }
  }

  /** Releases the lock and leaves the manifest to others. */
  leave(): void {
    native.forget(this.fd)
    closeQuietly(this.#disk, this.fd)
  }
}
