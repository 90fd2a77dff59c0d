// A little room kept on the disk, so that a log that has filled it can still note a release, which frees the rest.
import { constants } from 'node:fs'
import { join } from 'node:path'
import type { Disk } from '../../io/disk.ts'
import { openFile } from '../../io/open-file.ts'
import { writeAll } from '../../io/write-all.ts'
import { freeTempName } from './temp-name.ts'

/** A snapshot file, a segment with its head, and their places in the folders. */
const RESERVE_BYTES = 64 * 1024

export class Reserve {
  readonly #disk: Disk
  readonly #folder: string
  #path: string | undefined

  constructor(disk: Disk, folder: string) {
    this.#disk = disk
    this.#folder = folder
  }

  /** Keeps the room, where there is any. */
  keep(): void {
    if (this.#path !== undefined) return
    try {
      this.#path = join(this.#folder, freeTempName(this.#disk, this.#folder))
      const access = { mode: 0o600, dirMode: 0, mkdir: false }
      const file = openFile(this.#disk, this.#path, constants.O_RDWR, access)
      try {
        writeAll(this.#disk, file.fd, Buffer.alloc(RESERVE_BYTES), 0)
      } finally {
        file.release()
      }
    } catch {
      this.spend()
    }
  }

  /** Gives the room back. */
  spend(): void {
    if (this.#path === undefined) return
    try {
      this.#disk.unlink(this.#path)
    } catch {
      // Gone with its folder, or to be removed by who opens the log next.
    }
    this.#path = undefined
  }
}
