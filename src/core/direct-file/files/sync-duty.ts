// What has to be synced of a direct file beside its flushes, and what becomes of it where the file system cannot sync.
import { dirname } from 'node:path'
import { errorMessage } from '../../../base/errors.ts'
import type { Disk } from '../../../io/disk.ts'
import { cannotSync, syncFolder } from '../../../io/open-file.ts'
import { ShutFolder } from '../../../io/shut-folder.ts'
import { NotSyncableError } from '../../sink/target.ts'
import type { FrameFileOptions } from './flush-target.ts'

export class SyncDuty {
  readonly #disk: Disk
  readonly #path: string
  readonly #isRequired: boolean
  readonly #warn: (message: string) => void
  #syncs: boolean
  /** The folder may not have the file's name on disk: it was made, or an earlier one renamed. */
  #isFolderDirty = false
  readonly #shut = new ShutFolder()

  constructor(
    disk: Disk,
    path: string,
    { sync = true, mustSync = false }: FrameFileOptions,
    warn: (message: string) => void
  ) {
    this.#disk = disk
    this.#path = path
    this.#syncs = sync
    this.#isRequired = mustSync
    this.#warn = warn
  }

  /** Whether a flush counts only once it survives a loss of power. */
  get syncs(): boolean {
    return this.#syncs
  }

  /** A name in the folder is new, or may be. */
  namesChanged(): void {
    this.#isFolderDirty = true
  }

  /** To be called before a flush is written: a sync of the folder that fails is asked for again until it succeeds. */
  syncNames(fd: number): void {
    if (!this.#isFolderDirty || !this.#syncs) return
    try {
      syncFolder(this.#disk, dirname(this.#path))
      this.#shut.opened()
    } catch (error) {
      if (!this.#shut.isUnsyncable(error)) throw error
      this.#requireSync(fd)
      if (this.#syncs) this.#say(`its folder cannot be synced: ${errorMessage(error)}`)
    }
    this.#isFolderDirty = false
  }

  /** Throws where records have to survive a loss of power; else they are written without. */
  cannotSync(error: NotSyncableError): void {
    if (this.#isRequired) throw error
    this.#syncs = false
    this.#say(errorMessage(error.cause))
  }

  /** Many file systems cannot sync folders; one that cannot sync files either makes nothing durable. */
  #requireSync(fd: number): void {
    try {
      this.#disk.fdatasync(fd)
    } catch (error) {
      if (!cannotSync(error)) throw error
      this.cannotSync(new NotSyncableError(this.#path, error))
    }
  }

  #say(reason: string): void {
    this.#warn(`${this.#path}: what is written may be lost with the power: ${reason}`)
  }
}
