// Records larger than half a ring: each in a file of its own, which a small record in the ring names.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import { isInMemory, type LargeReference } from '../../formats/lane.ts'
import { largeName } from '../../formats/lane-names.ts'
import type { Disk } from '../../io/disk.ts'
import { makeFolders } from '../../io/open-file.ts'
import { closeQuietly, removeQuietly } from '../../io/quietly.ts'
import { native } from '../../native/index.ts'
import type { LargeMemory } from './large-memory.ts'

export interface LargeRecords {
  /** Producer: keeps `record` until it is removed; undefined if there is no room now. */
  put(record: Uint8Array): LargeReference | undefined
  /** Producer: the consumer has released that record. */
  sent(reference: LargeReference): void
  /** Consumer: whether there is so much of it; a length that was made up would ask for any amount of memory. */
  has(reference: LargeReference): boolean
  /** Consumer: copies the record to `target` at `at`; false if it is missing or damaged. */
  read(reference: LargeReference, target: Uint8Array, at: number): boolean
  /** The record is of no use any more. */
  remove(reference: LargeReference): void
}

const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/** Beside the file of a ring, where they outlive the process; in memory where there is no room for a file. */
export class LargeFiles implements LargeRecords {
  readonly #disk: Disk
  readonly #ringPath: string
  readonly #memory: LargeMemory
  #number = 0

  /** `memory`: where records go for which no file can be made. */
  constructor(disk: Disk, ringPath: string, memory: LargeMemory) {
    this.#disk = disk
    this.#ringPath = ringPath
    this.#memory = memory
  }

  put(record: Uint8Array): LargeReference | undefined {
    const number = ++this.#number
    const path = largeName(this.#ringPath, number)
    let fd: number | undefined
    try {
      fd = this.#create(path)
      return { number, crc: writeAll(this.#disk, fd, record), length: record.length }
    } catch (error) {
      if (fd !== undefined) removeQuietly(this.#disk, path)
      // Nobody knows whether it will pass: others may have filled the file system for good.
      return this.#memory.put(record, error)
    } finally {
      if (fd !== undefined) closeQuietly(this.#disk, fd)
    }
  }

  #create(path: string): number {
    try {
      return this.#disk.open(path, NEW_FILE, 0o600)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
    }
    // Somebody has removed the folder; the ring lives on in memory, and the record has to get through it.
    makeFolders(this.#disk, dirname(path), 0o700)
    return this.#disk.open(path, NEW_FILE, 0o600)
  }

  sent(reference: LargeReference): void {
    this.#memory.remove(reference)
  }

  has(reference: LargeReference): boolean {
    if (isInMemory(reference.number)) return this.#memory.find(reference) !== undefined
    return this.#open(reference, (fd) => this.#disk.fstat(fd).size === reference.length)
  }

  read(reference: LargeReference, target: Uint8Array, at: number): boolean {
    if (!isInMemory(reference.number)) {
      return this.#open(reference, (fd) => readAll(this.#disk, fd, reference, target, at))
    }
    const record = this.#memory.find(reference)
    if (record === undefined) return false
    target.set(record, at)
    return true
  }

  /** What `use` says of the file; false if it cannot be opened or used. */
  #open(reference: LargeReference, use: (fd: number) => boolean): boolean {
    const path = largeName(this.#ringPath, reference.number)
    let fd: number | undefined
    try {
      fd = this.#disk.open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0)
      return use(fd)
    } catch {
      return false
    } finally {
      if (fd !== undefined) closeQuietly(this.#disk, fd)
    }
  }

  remove(reference: LargeReference): void {
    if (isInMemory(reference.number)) this.#memory.remove(reference)
    else removeQuietly(this.#disk, largeName(this.#ringPath, reference.number))
  }
}

/** Without a name, so that nothing is left of them when the process ends; their number is that of the descriptor. */
export class NamelessFiles implements LargeRecords {
  readonly #disk: Disk
  readonly #folder: string

  constructor(disk: Disk, folder: string) {
    this.#disk = disk
    this.#folder = folder
  }

  put(record: Uint8Array): LargeReference | undefined {
    const path = join(this.#folder, `logboom-${randomBytes(8).toString('hex')}.big`)
    let fd: number | undefined
    try {
      fd = this.#disk.open(path, NEW_FILE, 0o600)
      this.#disk.unlink(path)
      const reference = { number: fd, crc: writeAll(this.#disk, fd, record), length: record.length }
      native.closeAtExit(fd)
      return reference
    } catch {
      if (fd !== undefined) {
        closeQuietly(this.#disk, fd)
        removeQuietly(this.#disk, path)
      }
      return undefined
    }
  }

  /** Only the thread that opened a file may close it. */
  sent({ number }: LargeReference): void {
    native.forget(number)
    closeQuietly(this.#disk, number)
  }

  has({ number, length }: LargeReference): boolean {
    try {
      return this.#disk.fstat(number).size === length
    } catch {
      return false
    }
  }

  read(reference: LargeReference, target: Uint8Array, at: number): boolean {
    try {
      return readAll(this.#disk, reference.number, reference, target, at)
    } catch {
      return false
    }
  }

  /** Its descriptor may be another file's as soon as the record is released. */
  remove(): void {}
}

/** Returns the checksum. */
function writeAll(disk: Disk, fd: number, record: Uint8Array): number {
  // A system that writes nothing and says no error would else have this go on for ever.
  for (let at = 0; at < record.length; ) {
    const written = disk.write(fd, record, at, record.length - at, at)
    if (written === 0) throw new Error('nothing was written')
    at += written
  }
  return native.crc32c(record, 0, 0, record.length)
}

function readAll(
  disk: Disk,
  fd: number,
  { length, crc }: LargeReference,
  target: Uint8Array,
  at: number
): boolean {
  for (let done = 0; done < length; ) {
    const bytes = disk.read(fd, target, at + done, length - done, done)
    if (bytes === 0) return false
    done += bytes
  }
  return native.crc32c(target, 0, at, at + length) === crc
}
