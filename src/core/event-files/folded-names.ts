// File systems that fold case, or forms of Unicode, give two names one file. Whether the folder is on such a one is
// looked at only when two events differ in no more than that.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { join } from 'node:path'
import type { Disk } from '../../io/disk.ts'
import { openFile } from '../../io/open-file.ts'
import { internals } from '../sink/internals.ts'
import type { ParsedEventFilesOptions } from './options.ts'

export class FoldedNames {
  readonly #disk: Disk = internals().disk
  readonly #options: ParsedEventFilesOptions
  /** Folded name → the first name that was folded so. */
  readonly #names = new Map<string, string>()
  #folds: boolean | undefined

  constructor(options: ParsedEventFilesOptions) {
    this.#options = options
  }

  /** The earlier name whose file is that of `name`, too. */
  sameFile(name: string): string | undefined {
    const earlier = this.#names.get(fold(name))
    if (earlier === undefined || earlier === name) return undefined
    // Unknown is taken for yes: one file for both is right everywhere, two writers for one file is not.
    this.#folds ??= this.#look()
    return this.#folds === false ? undefined : earlier
  }

  add(name: string): void {
    const key = fold(name)
    if (!this.#names.has(key)) this.#names.set(key, name)
  }

  /** Undefined if the folder cannot be looked at now. */
  #look(): boolean | undefined {
    const { folder, checked } = this.#options
    const name = `.logboom-${randomBytes(6).toString('hex')}-aÉ`
    const path = join(folder, `${name}.tmp`)
    try {
      openFile(this.#disk, path, constants.O_RDWR, { ...checked, mode: 0o600 }).release()
      try {
        const isOther = (other: string): boolean => !this.#disk.exists(join(folder, other))
        return !(isOther(`${name.toUpperCase()}.TMP`) && isOther(`${name.normalize('NFD')}.tmp`))
      } finally {
        this.#disk.unlink(path)
      }
    } catch {
      return undefined
    }
  }
}

/** More is folded here than by any file system, so that nothing is missed. */
function fold(name: string): string {
  return name.normalize('NFD').toUpperCase().toLowerCase()
}
