// The manifests of one spool: the one that new temp files get, and older ones that still speak for some.
import { errorMessage, systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import type { Account } from '../sink/account.ts'
import { SpoolManifest } from './manifest.ts'
import type { ParsedSpoolOptions } from './options.ts'

export class Manifests {
  readonly #options: ParsedSpoolOptions
  readonly #disk: Disk
  readonly #account: Account
  readonly #hasLeft: (instance: string) => boolean
  #current: SpoolManifest | undefined
  /** Those that somebody removed, or that are not trusted any more, while files they speak of were open. */
  #old: SpoolManifest[] = []
  /** The one that each worker's temp file has. */
  readonly #used: (SpoolManifest | undefined)[] = []

  /** `hasLeft`: whether files of an instance are left that only its manifest tells others to remove. */
  constructor(
    options: ParsedSpoolOptions,
    disk: Disk,
    account: Account,
    hasLeft: (instance: string) => boolean
  ) {
    this.#hasLeft = hasLeft
    this.#options = options
    this.#disk = disk
    this.#account = account
  }

  /** The one for new temp files, if it is there and trusted. */
  current(): SpoolManifest | undefined {
    return this.#current?.isThere ? this.#current : undefined
  }

  /** Makes a new one, in folders that are there. */
  create(): SpoolManifest {
    this.#leaveCurrent()
    const { permission, workers, path, temp } = this.#options
    const { dev, ino } = this.#disk.stat(path)
    this.#current = SpoolManifest.create(this.#disk, temp, { permission, workers, dev, ino, path })
    return this.#current
  }

  isOwn(instance: string): boolean {
    return this.#current?.instance === instance
  }

  /** See `WorkerHost.usesManifest`. */
  use(worker: number, manifest: SpoolManifest | undefined): void {
    this.#used[worker] = manifest
    if (this.#old.length > 0) this.#removeUnused()
  }

  /** See `WorkerHost.distrustManifest`. */
  distrust(manifest: SpoolManifest): void {
    if (manifest !== this.#current) return
    this.#leaveCurrent()
    this.#removeUnused()
  }

  /** Frees them; `isKept` if temp files are left for another spool to recover. Does not throw. */
  close(isKept: boolean): void {
    for (const manifest of this.#old.splice(0)) manifest.leave()
    const current = this.#current
    this.#current = undefined
    if (isKept) current?.leave()
    else if (current !== undefined) this.#remove(current)
  }

  #leaveCurrent(): void {
    if (this.#current !== undefined) this.#old.push(this.#current)
    this.#current = undefined
  }

  #removeUnused(): void {
    const isUsed = (manifest: SpoolManifest): boolean => this.#used.includes(manifest)
    for (const manifest of this.#old) {
      if (!isUsed(manifest)) this.#remove(manifest)
    }
    this.#old = this.#old.filter(isUsed)
  }

  #remove(manifest: SpoolManifest): void {
    try {
      if (this.#hasLeft(manifest.instance)) manifest.leave()
      else manifest.remove()
    } catch (error) {
      // Whoever finds it later finds that nothing is left to recover.
      const code = systemCode(error) ?? 'ERR_IO'
      this.#account.warn(code, `cannot remove a manifest: ${errorMessage(error)}`, this.#options.temp)
    }
  }
}
