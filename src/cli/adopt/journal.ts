// The plan of an adoption as a file beside the log, from before its first step to behind its last one: whoever comes after
// a crash goes on with the same names.
import { closeSync, fsyncSync, lstatSync, openSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { asBackupWay, type BackupWay } from '../../formats/backups-note.ts'
import { realDisk } from '../../io/disk.ts'
import { isForeign, syncFolderIfPossible } from '../../io/open-file.ts'
import { NewNames } from './new-names.ts'
import type { Step } from './plan.ts'

/** As many as there are backups in a folder that is far from usual; a longer plan is nobody's. */
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024
const VERSION = 1

/** What is left of an adoption: how backups are called in it, and its steps. */
export interface Begun {
  readonly way: BackupWay
  readonly steps: readonly Step[]
}

export class Journal {
  readonly path: string
  readonly #logPath: string
  readonly #log: string

  constructor(logPath: string) {
    this.#logPath = logPath
    this.#log = basename(logPath)
    this.path = join(dirname(logPath), `.${this.#log}.adoption`)
  }

  /** The adoption that was not finished; undefined if there is none. Throws `ERR_CORRUPT` or `ERR_OWNER`. */
  read(): Begun | undefined {
    const stat = lstatSync(this.path, { throwIfNoEntry: false })
    if (stat === undefined) return undefined
    if (!stat.isFile() || stat.size > MAX_JOURNAL_BYTES) throw this.#damaged('it is no plan of an adoption')
    // Whoever can write it says which files are renamed.
    if (isForeign(stat.uid) || (stat.mode & 0o022) !== 0) {
      throw new LogboomError('ERR_OWNER', `${this.path} can be written by others and is not followed`, {
        path: this.path
      })
    }
    const plan = parse(readFileSync(this.path, 'utf8'))
    if (plan?.version !== VERSION || plan.log !== this.#log || !Array.isArray(plan.steps))
      throw this.#damaged('it is no plan of an adoption')
    const way = asBackupWay(plan.way ?? {})
    if (way === undefined) throw this.#damaged('it says of backups what cannot be')
    const names = new NewNames(this.#logPath, way)
    if (!plan.steps.every((step) => this.#isStep(step, names)))
      throw this.#damaged('a step of it is none of ours')
    return { way, steps: plan.steps }
  }

  write({ way, steps }: Begun): void {
    const whole = `${this.path}.new`
    if (lstatSync(whole, { throwIfNoEntry: false }) !== undefined) unlinkSync(whole)
    const fd = openSync(whole, 'wx', 0o600)
    try {
      writeFileSync(fd, JSON.stringify({ version: VERSION, log: this.#log, way, steps }))
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    realDisk.renameNoReplace(whole, this.path)
    syncFolderIfPossible(realDisk, dirname(this.path))
  }

  remove(): void {
    unlinkSync(this.path)
    syncFolderIfPossible(realDisk, dirname(this.path))
  }

  /** A file is only ever given the name of a backup of this log, or that of the log. */
  #isStep(step: Step, names: NewNames): boolean {
    if (typeof step !== 'object' || step === null) return false
    const isOurs = (to: unknown): boolean =>
      to === this.#log || (typeof to === 'string' && names.parse(to) !== undefined)
    if (step.do === 'rename')
      return (
        isOurs(step.to) &&
        isName(step.from) &&
        typeof step.ino === 'string' &&
        Number.isSafeInteger(step.size)
      )
    if (step.do === 'link') return isName(step.name) && isName(step.was) && isOurs(step.to)
    if (step.do === 'unlink') return isName(step.name) && isName(step.was)
    return step.do === 'remove' && isName(step.name) && typeof step.ino === 'string'
  }

  #damaged(why: string): LogboomError {
    return new LogboomError('ERR_CORRUPT', `${this.path}: ${why}; nothing was renamed`, { path: this.path })
  }
}

function parse(
  text: string
): { version?: unknown; log?: unknown; way?: unknown; steps?: Step[] } | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

function isName(value: unknown): boolean {
  return (
    typeof value === 'string' && value !== '' && value === basename(value) && !/[\0\\]|^\.\.?$/.test(value)
  )
}
