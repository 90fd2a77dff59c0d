// What is to be done to take over the files of another package: which file gets which name, in which order. Made without
// changing anything; carried out by carry-out.ts, or printed.
import { basename } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { formatBackupName, MAX_BACKUP_NUMBER, MAX_BACKUP_STAMP } from '../../formats/backup-name.ts'
import { type FoundFiles, findOldFiles, type LeftFile, type NameOptions, type OldFile } from './old-files.ts'
import { finishedTimes, orderFiles } from './order.ts'
import type { OldPackage } from './packages.ts'

/** `ino` and `size` tell the file from another one that was put in its place. */
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
  /** In the order in which they are done; all names are those of files in the folder of the log. */
  readonly steps: readonly Step[]
  readonly left: readonly LeftFile[]
  /** The newest of the backups it makes. */
  readonly newest: { readonly stamp: number; readonly number: number } | undefined
  /** What is at the path of the log afterwards; undefined if nothing is. */
  readonly live: string | undefined
}

export interface PlanOptions extends NameOptions {
  readonly isTailable?: boolean | undefined
  /** Whether what the package kept beside its files is removed, too. */
  readonly tidies: boolean
}

export function makePlan(path: string, from: OldPackage, options: PlanOptions, nowMs: number): Plan {
  const log = basename(path)
  const found = findOldFiles(path, from, options)
  const { files, lastMayBeLive } = orderFiles(path, found.files, from, options.isTailable)
  const live = lastMayBeLive ? liveAmong(files, found, log) : undefined
  const backups = files.filter((file) => file !== live)
  const finished = finishedTimes(backups, from, nowMs)
  const names = backupNames(log, backups, finished, found.backups)
  const renames = backups.map((file, at) => renameOf(file, names[at].name))
  const newNames = new Map(renames.map((step) => [step.from, step.to]))
  if (live !== undefined) newNames.set(live.name, log)
  const links = linkSteps(path, found, newNames)
  const steps: Step[] = [...renames, ...links.filter((step) => step.do === 'unlink')]
  if (live !== undefined) steps.push(renameOf(live, log))
  steps.push(...links.filter((step) => step.do === 'link'))
  const lists = listSteps(found, newNames, options.tidies)
  return {
    steps: [...steps, ...lists.steps],
    left: [...found.left, ...lists.left],
    newest: names.at(-1),
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

interface BackupPlace {
  readonly name: string
  readonly stamp: number
  readonly number: number
}

/** Names in the order of `files`, behind those that are there already with the same second. */
function backupNames(
  log: string,
  files: readonly OldFile[],
  finishedMs: readonly number[],
  taken: FoundFiles['backups']
): BackupPlace[] {
  const next = new Map<number, number>()
  for (const { stamp, number } of taken) next.set(stamp, Math.max(next.get(stamp) ?? 0, number + 1))
  return files.map(({ compression }, at) => {
    const stamp = Math.min(Math.floor(finishedMs[at] / 1000), MAX_BACKUP_STAMP)
    const number = next.get(stamp) ?? 0
    if (number > MAX_BACKUP_NUMBER) throw new LogboomError('ERR_LIMIT', `${log} has too many backups`)
    next.set(stamp, number + 1)
    return { name: formatBackupName(log, stamp, number, compression), stamp, number }
  })
}

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
