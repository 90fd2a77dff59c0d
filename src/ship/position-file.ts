// The file by which a shipper tells the writers of a log what it still needs, and everybody how it is doing
// (formats/log-consumer.ts). It is behind the checkpoint at worst, which keeps too much and never too little.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { LogboomError } from '../base/errors.ts'
import { lostSlot } from '../core/shared-file/log-consumers.ts'
import {
  type ConsumerPosition,
  consumerFileBytes,
  consumerFileName,
  consumerSlotBytes,
  folderConsumerFileName,
  type LostBackups,
  parseLost,
  parsePosition
} from '../formats/log-consumer.ts'
import { areSlots } from '../formats/slots.ts'
import type { Disk } from '../io/disk.ts'
import { OWNER_SLOT } from '../io/held-file.ts'
import { type OpenFile, openFile } from '../io/open-file.ts'
import { writeAll } from '../io/write-all.ts'
import { SlotPair } from './slot-file.ts'

/** Whoever looks whether it is held has it for a moment. */
const LOCK_WAIT_MS = 100
/** Writers of the log that run as another user of its group can read it. */
const ACCESS = { mode: 0o640, dirMode: 0o700 }

export class PositionFile {
  readonly #disk: Disk
  readonly #file: OpenFile
  readonly #slots: SlotPair

  private constructor(disk: Disk, file: OpenFile, slots: SlotPair) {
    this.#disk = disk
    this.#file = file
    this.#slots = slots
  }

  /** Throws `ERR_LOCKED` if another shipper of this name lives, and what the system says where it cannot be made. */
  static open(disk: Disk, log: string, name: string): PositionFile {
    const path = join(dirname(log), consumerFileName(basename(log), name))
    return PositionFile.#openAt(disk, path, log, name, true)
  }

  /** The same for a consumer of all logs in a folder, which must be there. */
  static openOfFolder(disk: Disk, folder: string, name: string): PositionFile {
    return PositionFile.#openAt(disk, join(folder, folderConsumerFileName(name)), folder, name, false)
  }

  static #openAt(disk: Disk, path: string, what: string, name: string, mkdir: boolean): PositionFile {
    const file = openFile(disk, path, constants.O_RDWR, { ...ACCESS, mkdir })
    try {
      if (!disk.lock(file.fd, OWNER_SLOT, LOCK_WAIT_MS)) {
        const message = `another shipper is the consumer ${JSON.stringify(name)} of ${what}`
        throw new LogboomError('ERR_LOCKED', message, { path })
      }
      const { size, nlink } = disk.fstat(file.fd)
      const { slots, content } = SlotPair.read(disk, file.fd, consumerSlotBytes)
      // What another program has put there, or has under another name, too, is not overwritten.
      const isForeign =
        nlink > 1 ||
        size > consumerFileBytes ||
        !areSlots(readWhole(disk, file.fd), consumerSlotBytes) ||
        (content !== undefined && parsePosition(content) === undefined)
      if (isForeign) throw new LogboomError('ERR_NOT_FILE', `${path} is no file of a consumer`, { path })
      if (size < consumerFileBytes) writeAll(disk, file.fd, Buffer.alloc(consumerFileBytes - size), size)
      return new PositionFile(disk, file, slots)
    } catch (error) {
      file.release()
      throw error
    }
  }

  get path(): string {
    return this.#file.path
  }

  /** Whether it is still what lies at its path. */
  isThere(): boolean {
    const found = this.#disk.lstat(this.#file.path)
    return found !== undefined && this.#file.is(found)
  }

  /** Throws what the system says. */
  write(position: ConsumerPosition): void {
    this.#slots.write(position)
  }

  /** What the log could not keep, since the file was made. */
  lost(): LostBackups {
    return parseLost(lostSlot(this.#disk, this.#file.fd)?.content) ?? { backups: 0, bytes: 0, last: '' }
  }

  close(): void {
    this.#file.release()
  }
}

function readWhole(disk: Disk, fd: number): Buffer {
  const bytes = Buffer.alloc(consumerFileBytes)
  return bytes.subarray(0, disk.read(fd, bytes, 0, bytes.length, 0))
}
