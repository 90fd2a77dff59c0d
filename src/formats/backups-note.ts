// Where readers find the backups of a log that are not beside it under the usual names: `.<name>.backups` beside the log,
// replaced as a whole by a rename. A writer adds its way before its first rotation, and none is ever taken away, so that
// what was made in another way before is found, too.
//
//   line 1   `logboom backups 1`
//   then     a JSON object in each line, the oldest way first: `{"dir":"../old","name":"{stem}-%Y-%m-%d.%i{ext}"}`, each left out
//            where it is as usual; `dir` is relative to the folder of the log

import { faultOfPattern } from './backup-pattern.ts'

/** How a writer names backups: undefined is as usual. */
export interface BackupWay {
  /** Relative to the folder of the log. */
  readonly dir?: string | undefined
  /** A pattern, see backup-pattern.ts. */
  readonly name?: string | undefined
}

const HEAD = 'logboom backups 1'
/** A note with more is not ours. */
export const MAX_BACKUPS_NOTE_BYTES = 256 * 1024
const NAME = /^\.(.+)\.backups$/s

export function backupsNoteName(base: string): string {
  return `.${base}.backups`
}

/** The log whose note `name` is. */
export function baseOfBackupsNote(name: string): string | undefined {
  return NAME.exec(name)?.[1]
}

export function encodeBackupsNote(ways: readonly BackupWay[]): string {
  return `${[HEAD, ...ways.map(({ dir, name }) => JSON.stringify({ dir, name }))].join('\n')}\n`
}

/** Whether `text` is that of a note, or the beginning of one: what is neither is somebody else's. */
export function isBackupsNote(text: string): boolean {
  return text.startsWith(`${HEAD}\n`) || HEAD.startsWith(text)
}

/** The ways in a note; lines that cannot be read are left out, and none are in what is no note. */
export function decodeBackupsNote(text: string): BackupWay[] {
  const [head, ...lines] = text.split('\n')
  if (head !== HEAD) return []
  return lines.map(wayIn).filter((way) => way !== undefined)
}

function wayIn(line: string): BackupWay | undefined {
  try {
    return asBackupWay(JSON.parse(line))
  } catch {
    return undefined
  }
}

/** What was read from a file as a way, if it is one. */
export function asBackupWay(value: unknown): BackupWay | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { dir, name } = value as { dir?: unknown; name?: unknown }
  const isDir = dir === undefined || (typeof dir === 'string' && dir !== '' && !dir.includes('\0'))
  const isName = name === undefined || (typeof name === 'string' && faultOfPattern(name) === undefined)
  return isDir && isName ? { dir: dir as string | undefined, name: name as string | undefined } : undefined
}
