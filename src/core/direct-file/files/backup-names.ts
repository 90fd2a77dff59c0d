// Gives files backup names, behind all earlier ones in order whatever the clock does.
import { basename, dirname, join } from 'node:path'
import { systemCode } from '../../../base/errors.ts'
import { formatBackupName, groupBackups } from '../../../formats/backup-name.ts'
import type { Disk } from '../../../io/disk.ts'

/** Names that somebody else may have taken since the folder was read. */
const MAX_TAKEN = 10_000

export class BackupNames {
  readonly #disk: Disk
  readonly #path: string
  #newest: { readonly stamp: number; readonly number: number } | undefined

  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  /** Renames the file, which the folder's next sync makes durable. Returns the new path. */
  setAside(): string {
    const folder = dirname(this.#path)
    const base = basename(this.#path)
    const newest = this.#newest ??
      groupBackups(base, this.#namesIn(folder)).at(-1) ?? { stamp: 0, number: -1 }
    const stamp = Math.max(Math.floor(Date.now() / 1000), newest.stamp)
    const first = stamp === newest.stamp ? newest.number + 1 : 0
    for (let number = first; number < first + MAX_TAKEN; number++) {
      const to = join(folder, formatBackupName(base, stamp, number))
      try {
        this.#disk.renameNoReplace(this.#path, to)
      } catch (error) {
        if (systemCode(error) === 'EEXIST') continue
        throw error
      }
      this.#newest = { stamp, number }
      return to
    }
    throw new Error(`${this.#path}: all backup names of this second are taken`)
  }

  /** Where names may not be read the kernel still says which is taken. */
  #namesIn(folder: string): string[] {
    try {
      return this.#disk.readdir(folder)
    } catch (error) {
      if (systemCode(error) === 'EACCES') return []
      throw error
    }
  }
}
