// Tells a file system that has no fsync for files from a disk that fails: no repetition will change it, so that a log which
// promises to be on disk is refused there, and any other one is served at 'os', which is said once.
import type { Disk } from '../../io/disk.ts'
import { cannotSync } from '../../io/open-file.ts'
import { NotSyncableError } from '../sink/target.ts'

export class Syncability {
  /** The disk, on which a sync that is not to be had counts as made, or throws a `NotSyncableError`. */
  readonly disk: Disk
  readonly #path: string
  readonly #isRefused: boolean
  readonly #say: (error: NotSyncableError) => void
  #missing: NotSyncableError | undefined

  constructor(real: Disk, path: string, isRefused: boolean, say: (error: NotSyncableError) => void) {
    this.#path = path
    this.#isRefused = isRefused
    this.#say = say
    const disk: Disk = Object.assign(Object.create(real), {
      fdatasync: (fd: number) => {
        try {
          real.fdatasync(fd)
        } catch (error) {
          this.#judge(error)
        }
      },
      fdatasyncAsync: (fd: number) => real.fdatasyncAsync(fd).catch((error) => this.#judge(error)),
      fsync: (fd: number) => {
        try {
          real.fsync(fd)
        } catch (error) {
          // That a folder cannot be synced is known to who syncs it, and no reason to refuse the log.
          if (cannotSync(error) && !real.fstat(fd).isFile) throw error
          this.#judge(error)
        }
      },
      writeSynced: (...args: Parameters<Disk['writeSynced']>) => {
        try {
          return real.writeSynced(...args)
        } catch (error) {
          if (!cannotSync(error)) throw error
          // It may be just that both cannot be had in one call.
          const written = real.write(...args)
          disk.fdatasync(args[0])
          return written
        }
      }
    })
    this.disk = disk
  }

  /** Throws where nothing can be on disk. */
  require(): void {
    if (this.#missing !== undefined) throw this.#missing
  }

  #judge(error: unknown): void {
    if (!cannotSync(error)) throw error
    const missing = new NotSyncableError(this.#path, error)
    if (this.#isRefused) throw missing
    if (this.#missing === undefined) this.#say(missing)
    this.#missing ??= missing
  }
}
