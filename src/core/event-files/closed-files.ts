// Files that were closed before they were known to be on disk: a flush to disk covers them, too.
import { LogboomError, systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { cannotSync, syncFolder } from '../../io/open-file.ts'
import { closeQuietly } from '../../io/quietly.ts'
import { isFolderGone, ShutFolder } from '../../io/shut-folder.ts'
import { OPEN_TO_SYNC } from '../../io/steps.ts'
import { DataSyncError, NotSyncableError } from '../sink/target.ts'
import type { EventEntry } from './outputs.ts'

export class ClosedFiles {
  readonly #disk: Disk
  readonly #folder: string
  /** The events, and which closing it was: a file may be opened and closed again while it is synced. */
  readonly #closings = new Map<EventEntry, number>()
  #lastClosing = 0
  /** The last closing that the folder's names are on disk for. */
  #syncedNames = 0
  readonly #shut = new ShutFolder()
  #isEnded = false

  constructor(disk: Disk, folder: string) {
    this.#disk = disk
    this.#folder = folder
  }

  /** The file of an event was closed. */
  add(entry: EventEntry): void {
    this.#closings.set(entry, ++this.#lastClosing)
  }

  /** It is open again, and whoever syncs it syncs what it got before. Its name is still to be synced. */
  delete(entry: EventEntry): void {
    this.#closings.delete(entry)
  }

  /** A sync under way opens no further file, and rejects: whoever closes waits for none that a disk holds up. */
  end(): void {
    this.#isEnded = true
  }

  /**
   * Syncs all of them. A `DataSyncError` is thrown once: a second sync would succeed and lie. Whatever else is thrown is met
   * again by the next sync.
   */
  async sync(): Promise<void> {
    for (const [entry, closing] of [...this.#closings]) {
      if (this.#isEnded) throw this.#endedError()
      try {
        const fd = await this.#disk.openAsync(entry.path, OPEN_TO_SYNC, 0)
        try {
          await this.#disk.fdatasyncAsync(fd)
        } catch (error) {
          this.#failed(entry.path, fd, error)
        } finally {
          closeQuietly(this.#disk, fd)
        }
      } catch (error) {
        this.#forgive(entry, closing, error)
      }
      this.#done(entry, closing)
    }
    if (this.#isEnded) throw this.#endedError()
    this.#syncNames()
  }

  /** The same on this thread. */
  syncNow(): void {
    for (const [entry, closing] of [...this.#closings]) {
      try {
        const fd = this.#disk.open(entry.path, OPEN_TO_SYNC, 0)
        try {
          this.#disk.fdatasync(fd)
        } catch (error) {
          this.#failed(entry.path, fd, error)
        } finally {
          closeQuietly(this.#disk, fd)
        }
      } catch (error) {
        this.#forgive(entry, closing, error)
      }
      this.#done(entry, closing)
    }
    this.#syncNames()
  }

  #endedError(): LogboomError {
    const path = this.#folder
    return new LogboomError('ERR_CLOSED', `files in ${path} were closed before they were synced`, { path })
  }

  /** Of a write-ahead log the folder is synced: its segments are when it is closed. */
  #failed(path: string, fd: number, error: unknown): void {
    if (!cannotSync(error)) throw new DataSyncError(path, error)
    if (this.#disk.fstat(fd).isFile) throw new NotSyncableError(path, error)
  }

  /** What is gone meanwhile needs no sync, nor does a folder on Windows, which opens none. */
  #forgive(entry: EventEntry, closing: number, error: unknown): void {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return
    if (process.platform === 'win32' && this.#disk.lstat(entry.path)?.isFile === false) return
    if (error instanceof DataSyncError) this.#done(entry, closing)
    throw error
  }

  #done(entry: EventEntry, closing: number): void {
    if (this.#closings.get(entry) === closing) this.#closings.delete(entry)
  }

  #syncNames(): void {
    const closing = this.#lastClosing
    if (closing === this.#syncedNames) return
    try {
      syncFolder(this.#disk, this.#folder)
      this.#shut.opened()
    } catch (error) {
      // Many file systems cannot sync folders, and there is nothing to be gained by asking again. What is gone needs no sync.
      if (!this.#shut.isUnsyncable(error) && !isFolderGone(this.#disk, this.#folder, error)) throw error
    }
    this.#syncedNames = closing
  }
}
