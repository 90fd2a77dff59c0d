// Where the servers that are shipped to in tests are: one folder for each and its version, outside the checkout, so that a
// fresh clone finds what the machine has.
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

export const engines = JSON.parse(readFileSync(new URL('engines.json', import.meta.url), 'utf8'))

/** `LOGBOOM_ENGINES`, else in the user's folder for caches. */
export const root =
  process.env.LOGBOOM_ENGINES ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'logboom', 'engines')

export function folderOf(name) {
  return join(root, `${name}-${engines[name].version}`)
}

/** Whether it was got, and completely. */
export function hasEngine(name) {
  return existsSync(join(folderOf(name), '.complete'))
}
