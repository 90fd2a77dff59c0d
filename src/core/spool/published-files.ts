// What of the published files is durable: each file by its own sync, its name by that of the folder.
import { LogboomError } from '../../base/errors.ts'
import { cannotSync } from '../../io/open-file.ts'
import { closeQuietly } from '../../io/quietly.ts'
import { isFolderGone } from '../../io/shut-folder.ts'
import { fdatasync, OPEN_TO_SYNC, open, type Steps } from '../../io/steps.ts'
import { NotSyncableError } from '../sink/target.ts'
import { type SpoolFolders, syncNames } from './temp-file.ts'

const MAX_UNSYNCED = 4096

export class PublishedFiles {
  readonly #folders: SpoolFolders
  /** Files that were not synced before they were published, at most one more than `MAX_UNSYNCED`. */
  #unsynced: string[] = []
  /** Names that were published, and how many of them the last sync of the folder has seen. */
  #names = 0
  #syncedNames = 0

  constructor(folders: SpoolFolders) {
    this.#folders = folders
  }

  add(path: string): void {
    this.#names++
    if (!this.#folders.durable && this.#unsynced.length <= MAX_UNSYNCED) this.#unsynced.push(path)
  }

  /** Whether the folder was not synced since the last file was published. */
  get areNamesUnsynced(): boolean {
    return this.#syncedNames < this.#names
  }

  /** Makes durable what is not yet. Throws if those files are too many to remember. */
  *sync(): Steps<void> {
    const names = this.#names
    const paths = [...this.#unsynced]
    if (this.#syncedNames === names && paths.length === 0) return
    if (paths.length > MAX_UNSYNCED) {
      const message = `more than ${MAX_UNSYNCED} files were published unsynced; use durability: 'disk'`
      throw new LogboomError('ERR_UNSUPPORTED', message, { path: this.#folders.target })
    }
    for (const path of paths) yield* this.#syncFile(path)
    const { disk, target } = this.#folders
    try {
      yield* syncNames(this.#folders, target)
    } catch (error) {
      // Removed with all that was published there, as any of the files may be.
      if (!isFolderGone(disk, target, error)) throw error
    }
    // Another run of this may have done the same meanwhile.
    const synced = new Set(paths)
    this.#unsynced = this.#unsynced.filter((path) => !synced.has(path))
    this.#syncedNames = Math.max(this.#syncedNames, names)
  }

  *#syncFile(path: string): Steps<void> {
    const { disk, counters } = this.#folders
    const found = disk.lstat(path)
    // Collected and removed in the meantime: no longer ours to keep. What took its place is none of ours either.
    if (found === undefined || !found.isFile) return
    const fd = yield* open(path, OPEN_TO_SYNC, 0)
    try {
      counters.syncs++
      yield* fdatasync(fd)
    } catch (error) {
      throw cannotSync(error) ? new NotSyncableError(path, error) : error
    } finally {
      closeQuietly(disk, fd)
    }
  }
}
