// The note of one open spool: proof of life for others (its kernel lock) and, for each worker, how much of the
// temp file is complete. What the bytes mean is in formats/spool.ts.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { join } from 'node:path'
import {
  decodeNoteHeader,
  decodeSlots,
  encodeNoteHeader,
  encodeSlot,
  MAX_WORKERS,
  type NoteHeader,
  type NoteSlot,
  noteBytes,
  noteName,
  SLOT_BYTES,
  slotOffset
} from '../../formats/spool.ts'
import type { Disk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import { isAt } from './is-at.ts'

const LOCK_SLOT = 0
const NOTE_MODE = 0o600
const ATTEMPTS = 10

/** What a dead spool left: its note, taken over, and what stands in it. */
export interface DeadNote {
  readonly note: SpoolNote
  /** Undefined if the note is damaged. */
  readonly header: NoteHeader | undefined
  /** The intact slots of each worker, the valid one first. */
  readonly slots: readonly (readonly NoteSlot[])[]
}

export class SpoolNote {
  readonly instance: string
  readonly fd: number
  readonly #disk: Disk
  readonly #path: string
  readonly #slot = Buffer.alloc(SLOT_BYTES)
  /** The last generation of each worker. */
  readonly #generations: number[]

  private constructor(disk: Disk, path: string, instance: string, fd: number, generations: number[]) {
    this.#disk = disk
    this.#path = path
    this.instance = instance
    this.fd = fd
    this.#generations = generations
    native.closeAtExit(fd)
  }

  /** Creates and locks a note of its own in `folder`. */
  static create(disk: Disk, folder: string, header: NoteHeader): SpoolNote {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const instance = randomBytes(8).toString('hex')
      const path = join(folder, noteName(process.pid, instance))
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
      const fd = disk.open(path, flags, NOTE_MODE)
      try {
        // Between creation and lock somebody may have taken it for the note of a dead spool.
        if (disk.lock(fd, LOCK_SLOT, 0) && isAt(disk, fd, path)) {
          const bytes = encodeNoteHeader(header)
          disk.write(fd, bytes, 0, bytes.length, 0)
          return new SpoolNote(disk, path, instance, fd, new Array(header.workers).fill(0))
        }
      } catch (error) {
        disk.close(fd)
        disk.unlink(path)
        throw error
      }
      disk.close(fd)
    }
    throw new Error(`no note could be locked in ${folder}`)
  }

  /** Takes over the note of a dead spool. Undefined if its spool lives, or somebody else was first. */
  static takeOver(disk: Disk, path: string, instance: string): DeadNote | undefined {
    const fd = disk.open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0)
    try {
      const stat = disk.fstat(fd)
      if (!stat.isFile || !disk.lock(fd, LOCK_SLOT, 0) || !isAt(disk, fd, path)) {
        disk.close(fd)
        return undefined
      }
      const bytes = Buffer.alloc(Math.min(stat.size, noteBytes(MAX_WORKERS)))
      for (let at = 0, count = 1; at < bytes.length && count > 0; at += count) {
        count = disk.read(fd, bytes, at, bytes.length - at, at)
      }
      const header = decodeNoteHeader(bytes)
      const workers = Array.from({ length: header?.workers ?? 0 }, (_, worker) => worker)
      const slots = workers.map((worker) => decodeSlots(bytes, worker))
      const generations = slots.map((turns) => turns[0]?.generation ?? 0)
      return { note: new SpoolNote(disk, path, instance, fd, generations), header, slots }
    } catch (error) {
      disk.close(fd)
      throw error
    }
  }

  /** False if somebody removed the note: nobody could recover what it speaks of. */
  get isThere(): boolean {
    return this.#disk.fstat(this.fd).nlink > 0
  }

  /** Notes how much of a worker's temp file is complete. */
  save(worker: number, slot: Omit<NoteSlot, 'generation'>): void {
    const generation = this.#generations[worker] + 1
    encodeSlot(this.#slot, { ...slot, generation })
    const offset = slotOffset(worker, generation)
    for (let at = 0; at < SLOT_BYTES; ) {
      at += this.#disk.write(this.fd, this.#slot, at, SLOT_BYTES - at, offset + at)
    }
    this.#generations[worker] = generation
  }

  /** Removes the note; for when no temp file is left. */
  remove(): void {
    try {
      if (this.isThere) this.#disk.unlink(this.#path)
    } finally {
      this.leave()
    }
  }

  /** Releases the lock and leaves the note to others. */
  leave(): void {
    native.forget(this.fd)
    this.#disk.close(this.fd)
  }
}
