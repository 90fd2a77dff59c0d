// What the spool tests look at: published files and what else is in a folder.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Names of the published files in the order of their times. */
export function publishedNames(folder: string): string[] {
  const time = (name: string): bigint => BigInt(/_(\d+)\.log$/.exec(name)?.[1] ?? 0)
  const names = readdirSync(folder).filter((name) => !name.startsWith('.'))
  return names.sort((a, b) => (time(a) < time(b) ? -1 : 1))
}

/** What the published files hold, one after the other. */
export function publishedText(folder: string): string {
  return publishedNames(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('')
}

/** Names of temp files and notes. */
export function hiddenNames(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('.'))
}
