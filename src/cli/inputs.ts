// What the user named on the command line: files, folders, patterns the shell did not expand, or '-' for stdin.
import { existsSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { notedBackups } from '../readers/engine/backup-ways.ts'
import { namesIn } from '../readers/engine/log-files.ts'
import { findLogs } from '../readers/find-logs.ts'
import type { BackupNames } from '../readers/reader.ts'
import { readers } from '../readers/registry.ts'
import { type CliOption, type CliValues, UsageError } from './command.ts'
import { expandGlob, isPattern } from './glob.ts'

export const formatOption = {
  format: {
    type: 'string',
    value: 'name',
    text: `Format of the input, found out by default: ${readers.map(({ format }) => format).join(', ')}.`
  }
} as const satisfies Record<string, CliOption>

/** The format asked for, else 'auto'. */
export function inputFormat(values: CliValues): string {
  const format = (values.format ?? 'auto') as string
  if (format === 'auto' || readers.some((reader) => reader.format === format)) return format
  const known = readers.map((reader) => reader.format).join(', ')
  throw new UsageError(`unknown format ${JSON.stringify(format)}; known formats: ${known}`)
}

/** The paths to read, each log once. Throws `UsageError` if there are none. */
export async function expandInputs(positionals: readonly string[], format: string): Promise<string[]> {
  if (positionals.length === 0) throw new UsageError('no input; name a log, a folder, or - for stdin')
  const paths: string[] = []
  for (const each of positionals) {
    if (each === '-' || existsSync(each) || !isPattern(each)) {
      paths.push(each)
      continue
    }
    const found = await expandGlob(each)
    if (found.length === 0) throw new UsageError(`nothing matches ${each}`)
    paths.push(...found)
  }
  return await withoutOwnBackups(paths, format)
}

// A shell expands `app.log*` to the log and its backups, sorted as text. The log alone stands for all of them;
// without it the backups are read in their order.
async function withoutOwnBackups(paths: readonly string[], format: string): Promise<string[]> {
  const bases = new Map<string, string | undefined>()
  const noted = await notedIn(
    new Set(paths.filter((path) => path !== '-').map((path) => dirname(resolve(path))))
  )
  for (const path of paths) {
    if (!bases.has(path)) bases.set(path, noted.get(resolve(path)) ?? (await baseOf(path, format)))
  }
  const named = new Set(paths.map((path) => resolve(path)))
  const kept: string[] = []
  const seen = new Set<string>()
  for (const path of paths) {
    const base = bases.get(path)
    if (base === undefined) kept.push(path)
    else if (!named.has(base) && !seen.has(base)) {
      seen.add(base)
      const own = paths.filter((each) => bases.get(each) === base)
      const order = namesOf(basename(own[0]), basename(base))?.of(
        basename(base),
        own.map((each) => basename(each))
      )
      const places = order?.flat() ?? [...noted.keys()].map((each) => basename(each))
      kept.push(...own.sort((a, b) => places.indexOf(basename(a)) - places.indexOf(basename(b))))
    }
  }
  return kept
}

/** Backups in these folders that notes speak of → their logs. */
async function notedIn(folders: ReadonlySet<string>): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const folder of folders) {
    const names = await namesIn(folder).catch(() => [])
    for (const [path, log] of await notedBackups(folder, names).catch(() => [])) found.set(path, log)
  }
  return found
}

/** The log of which `path` is a backup. */
async function baseOf(path: string, format: string): Promise<string | undefined> {
  if (path === '-') return undefined
  const name = basename(path)
  for (const { backups } of readers) {
    const base = backups?.baseOf(name)
    if (backups === undefined || base === undefined) continue
    const log = resolve(dirname(path), base)
    if (backups.isUnmistakable || (await isLogWith(backups, log, format))) return log
  }
  return undefined
}

async function isLogWith(backups: BackupNames, log: string, format: string): Promise<boolean> {
  try {
    return (await findLogs(log, format)).logs.some(({ reader }) => reader.backups === backups)
  } catch {
    // Said when it is read.
    return false
  }
}

/** The rule by which `name` is a backup of `base`. */
function namesOf(name: string, base: string): BackupNames | undefined {
  return readers.find(({ backups }) => backups?.baseOf(name) === base)?.backups
}
