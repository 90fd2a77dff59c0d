// What is to be done to take over the files of another package: which file gets which name, in which order. Made without
// changing anything; carried out by carry-out.ts, or printed.
import { lstatSync } from 'node:fs'
import { basename, join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { type BackupCompression, MAX_BACKUP_NUMBER, MAX_BACKUP_STAMP } from '../../formats/backup-name.ts'
import type { BackupWay } from '../../formats/backups-note.ts'
import { UsageError } from '../command.ts'
import { NewNames, USUAL_PATTERN, waysNoted } from './new-names.ts'
import { type FoundFiles, findOldFiles, type LeftFile, type NameOptions, type OldFile } from './old-files.ts'
import { finishedTimes, orderFiles } from './order.ts'
import type { OldPackage } from './packages.ts'

/** `ino` and `size` tell the file from another one that was put in its place. Names are paths from the folder of the log. */
export type Step =
  | {
      readonly do: 'rename'
      readonly from: string
      readonly to: string
      readonly ino: string
      readonly size: number
    }
  | { readonly do: 'link'; readonly name: string; readonly was: string; readonly to: string }
  | { readonly do: 'unlink'; readonly name: string; readonly was: string }
  | { readonly do: 'remove'; readonly name: string; readonly ino: string }

export interface Plan {
  /** How the backups are called. */
  readonly way: BackupWay
  /** In the order in which they are done. */
  readonly steps: readonly Step[]
  readonly left: readonly LeftFile[]
  /** What is at the path of the log afterwards; undefined if nothing is. */
  readonly live: string | undefined
}

export interface PlanOptions extends NameOptions {
  /** How the backups are to be called. */
  readonly way: BackupWay
  readonly isTailable?: boolean | undefined
  /** Whether what the package kept beside its files is removed, too. */
  readonly tidies: boolean
}

export function makePlan(path: string, from: OldPackage, options: PlanOptions, nowMs: number): Plan {
  const log = basename(path)
  const names = new NewNames(path, options.way)
  const noted = waysNoted(path)
  const found = findOldFiles(path, from, options, noted)
  const { files, lastMayBeLive } = orderFiles(path, found.files, from, options.isTailable)
  const live = lastMayBeLive ? liveAmong(files, found, log) : undefined
  const backups = files.filter((file) => file !== live)
  const finished = finishedTimes(backups, from, nowMs)
  const isNoted = noted.some(({ dir, name }) => dir === options.way.dir && name === options.way.name)
  const places = new Places(path, names, isNoted)
  const renames = backups.map((file, at) => renameOf(file, places.next(file, finished[at])))
  const newNames = new Map(renames.map((step) => [step.from, step.to]))
  if (live !== undefined) newNames.set(live.name, log)
  const links = linkSteps(path, found, newNames)
  const steps: Step[] = [...renames, ...links.filter((step) => step.do === 'unlink')]
  if (live !== undefined) steps.push(renameOf(live, log))
  steps.push(...links.filter((step) => step.do === 'link'))
  const lists = listSteps(found, newNames, options.tidies)
  return {
    way: options.way,
    steps: [...steps, ...lists.steps],
    left: [...found.left, ...lists.left],
    live: live?.name ?? (found.log === 'file' || found.log === 'ours' ? stillAt(log, newNames) : undefined)
  }
}

function renameOf({ name, ino, size }: OldFile, to: string): Step & { do: 'rename' } {
  return { do: 'rename', from: name, to, ino, size }
}

function stillAt(log: string, newNames: ReadonlyMap<string, string>): string | undefined {
  return newNames.has(log) ? undefined : log
}

/** The file that goes on as the live one. What stands at the path of the log stays there, unless it is moved away. */
function liveAmong(files: readonly OldFile[], found: FoundFiles, log: string): OldFile | undefined {
  const last = files.at(-1)
  if (last === undefined || last.compression !== '') return undefined
  const isFree = found.log === 'nothing' || found.log === 'link' || files.some(({ name }) => name === log)
  return isFree ? last : undefined
}

/** Gives names to backups that are asked for from the oldest to the newest, each one that nothing has. */
class Places {
  readonly #path: string
  readonly #names: NewNames
  readonly #there: ReadonlySet<string>
  /** The next number in each unit of time. */
  readonly #next = new Map<number, number>()
  /** When the newest of the backups that are there was last written to, in each unit of time that is longer than a second. */
  readonly #newest = new Map<number, { name: string; mtimeMs: number }>()

  /** `isNoted`: whether writers of ours have called backups so before; else what has such a name is not theirs. */
  constructor(path: string, names: NewNames, isNoted: boolean) {
    this.#path = path
    this.#names = names
    const there = names.namesThere()
    this.#there = new Set(there)
    const isUsual = names.way.name === undefined
    for (const { stamp, number, name } of isUsual || isNoted ? names.group(there) : []) {
      this.#next.set(stamp, Math.max(this.#next.get(stamp) ?? 0, number + 1))
      if (names.isExact) continue
      const mtimeMs = lstatSync(join(names.folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0
      if (mtimeMs >= (this.#newest.get(stamp)?.mtimeMs ?? 0)) this.#newest.set(stamp, { name, mtimeMs })
    }
  }

  next({ name, compression }: OldFile, finishedMs: number): string {
    const stamp = Math.min(Math.floor(finishedMs / 1000), MAX_BACKUP_STAMP)
    const unit = this.#names.unitOf(stamp)
    this.#requireOrder(name, unit, finishedMs)
    for (let number = this.#next.get(unit) ?? 0; number <= MAX_BACKUP_NUMBER; number++) {
      if (COMPRESSIONS.some((each) => this.#has(this.#names.format(stamp, number, each)))) continue
      this.#next.set(unit, number + 1)
      return this.#names.format(stamp, number, compression)
    }
    throw new LogboomError('ERR_LIMIT', `${this.#path} has too many backups`, { path: this.#path })
  }

  #has(name: string): boolean {
    return this.#there.has(basename(name))
  }

  /** Numbers rise with time, so what is older than a backup that has one already finds none. */
  #requireOrder(name: string, unit: number, finishedMs: number): void {
    const newest = this.#newest.get(unit)
    if (newest === undefined || newest.mtimeMs <= finishedMs) return
    throw new UsageError(
      `${this.#path}: ${name} is older than its backup ${newest.name}, and by the pattern ${this.#names.way.name} no name comes before that; give the old files names with the time: --backup-name '${USUAL_PATTERN}'`
    )
  }
}

const COMPRESSIONS: readonly BackupCompression[] = ['', 'gz', 'br', 'zst']

/** Links lead to the same files as before; that to the live one leads to the log. */
function linkSteps(path: string, found: FoundFiles, newNames: ReadonlyMap<string, string>): Step[] {
  const log = basename(path)
  const steps: Step[] = []
  for (const { name, to } of found.links) {
    const now = newNames.get(to)
    if (name === log && now !== undefined) steps.push({ do: 'unlink', name, was: to })
    else if (now !== undefined) {
      // What the packages call so is the file they write to, also where they died before they could say so.
      steps.push({ do: 'link', name, was: to, to: name === 'current.log' ? log : now })
    }
  }
  const isFreed = steps.some((step) => step.do === 'unlink')
  if (found.log === 'link' && !isFreed && newNames.size > 0) {
    throw new LogboomError(
      'ERR_SYMLINK',
      `${path} is a symbolic link to none of the files; remove it before`,
      { path }
    )
  }
  return steps
}

function listSteps(
  found: FoundFiles,
  newNames: ReadonlyMap<string, string>,
  tidies: boolean
): { steps: Step[]; left: LeftFile[] } {
  const steps: Step[] = []
  const left: LeftFile[] = []
  const kept = new Set([...found.left.map(({ name }) => name)])
  for (const { name, ino, files } of found.lists) {
    const isDone = files.every((each) => !kept.has(each))
    const isOurs = newNames.size === 0 || files.some((each) => newNames.has(each))
    if (!isOurs) continue
    if (tidies && isDone) steps.push({ do: 'remove', name, ino })
    else {
      const why = isDone
        ? 'it is the list of these files, which nobody needs any more; --tidy removes it'
        : 'it lists files that are left'
      left.push({ name, why })
    }
  }
  return { steps, left }
}
