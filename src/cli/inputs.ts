// What the user named on the command line: files, folders, patterns the shell did not expand, or '-' for stdin.
import { existsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { backupBase, compareBackups, parseBackupName } from '../formats/backup-name.ts'
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
export async function expandInputs(positionals: readonly string[]): Promise<string[]> {
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
  return withoutOwnBackups(paths)
}

// A shell expands `app.log*` to the log and its backups, sorted as text. The log alone stands for all of them;
// without it the backups are read in their order.
function withoutOwnBackups(paths: readonly string[]): string[] {
  const named = new Set(paths.map((path) => resolve(path)))
  const kept: string[] = []
  const seen = new Set<string>()
  for (const path of paths) {
    const base = baseOf(path)
    if (base === undefined) kept.push(path)
    else if (!named.has(base) && !seen.has(base)) {
      seen.add(base)
      kept.push(...paths.filter((each) => baseOf(each) === base).sort(byRotation))
    }
  }
  return kept
}

function baseOf(path: string): string | undefined {
  const base = path === '-' ? undefined : backupBase(basename(path))
  return base === undefined ? undefined : resolve(join(dirname(path), base))
}

function byRotation(a: string, b: string): number {
  const [first, second] = [a, b].map((path) => {
    const name = basename(path)
    return parseBackupName(backupBase(name) ?? name, name)
  })
  return first === undefined || second === undefined ? 0 : compareBackups(first, second)
}
