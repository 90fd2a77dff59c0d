// Names of the backups of a rotated file: `<base>.<YYYYMMDD>-<HHMMSS>.<n>` plus `.gz`, `.br` or `.zst` once
// compressed. The time is UTC. Nothing outside exactly this grammar is ever read, compressed or removed; what it allows
// can always be counted on and noted in a lock file.

/** How a backup is compressed; '' for not at all. */
export type BackupCompression = '' | 'gz' | 'br' | 'zst'

export interface BackupName {
  /** Time of the rotation in seconds since 1970. */
  readonly stamp: number
  /** Tells backups of the same second apart; they were made in the order of their numbers. */
  readonly number: number
  readonly compression: BackupCompression
}

/** One backup and every file of it in the folder. */
export interface Backup extends BackupName {
  /** The file to read: the uncompressed one where it is still there. */
  readonly name: string
  /**
   * All files of this backup, `name` first. More than one is what a crash between compressing and removing the
   * source leaves; only the uncompressed one is then known to be complete.
   */
  readonly names: readonly string[]
}

/** The highest number of a backup: a lock file notes it in 32 bits. A name with a higher one is no backup. */
export const MAX_BACKUP_NUMBER = 999_999_999
/** 31 December 9999, 23:59:59: later times have no four digits for the year. */
export const MAX_BACKUP_STAMP = 253_402_300_799

// A number has no leading zero, so that each backup has one spelling.
const SUFFIX = /^\.(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})(\d{2})\.(0|[1-9]\d{0,8})(?:\.(gz|br|zst))?$/
/** How the name of a compressed backup ends. */
export const COMPRESSED = /\.(gz|br|zst)$/
const WITH_SUFFIX = new RegExp(`^(.+)${SUFFIX.source.slice(1)}`, 's')

/** The parts of `name` if it is a backup of the file named `base`, else undefined. Both without folder. */
export function parseBackupName(base: string, name: string): BackupName | undefined {
  if (!name.startsWith(base)) return undefined
  const match = SUFFIX.exec(name.slice(base.length))
  if (match === null) return undefined
  const stamp = stampOf(+match[1], +match[2], +match[3], +match[4], +match[5], +match[6])
  if (stamp === undefined) return undefined
  const number = +match[7]
  return { stamp, number, compression: (match[8] ?? '') as BackupCompression }
}

/**
 * A time in UTC as it stands in the name of a backup, in seconds since 1970; undefined if there is no such time, or it is
 * before 1970, which no lock file can note.
 */
export function stampOf(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number
): number | undefined {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  // Date carries 31 February over into March and 24:00 into the next day. A folder may hold many thousand names, so
  // this is checked without making texts.
  const isDate = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  if (!isDate || hour > 23 || minute > 59 || second > 59) return undefined
  const stamp = date.getTime() / 1000 + hour * 3600 + minute * 60 + second
  return stamp < 0 ? undefined : stamp
}

/** `name` without the suffix of its compression: the name its backup had before. */
export function withoutCompression(name: string): string {
  return name.replace(COMPRESSED, '')
}

/** The base of which `name` is a backup, or undefined if it is none. */
export function backupBase(name: string): string | undefined {
  const base = WITH_SUFFIX.exec(name)?.[1]
  return base === undefined || parseBackupName(base, name) === undefined ? undefined : base
}

/**
 * The name of a backup of `base`. A time outside the years 1970 to 9999 becomes the nearest one within: what a clock
 * that is wrong makes has to be found again.
 */
export function formatBackupName(
  base: string,
  unixSeconds: number,
  number: number,
  compression: BackupCompression = ''
): string {
  const stamp = Math.min(Math.max(Math.floor(unixSeconds), 0), MAX_BACKUP_STAMP)
  const name = `${base}.${formatStamp(stamp)}.${number}`
  return compression === '' ? name : `${name}.${compression}`
}

/** Orders backups from the oldest to the newest. */
export function compareBackups(
  a: Pick<BackupName, 'stamp' | 'number'>,
  b: Pick<BackupName, 'stamp' | 'number'>
): number {
  return a.stamp - b.stamp || a.number - b.number
}

/** The backups of `base` among the names of its folder, oldest first, each once. */
export function groupBackups(base: string, names: Iterable<string>): Backup[] {
  return groupNames(names, (name) => parseBackupName(base, name))
}

/** The same by any grammar: `parse` gives the parts of a name, or undefined for what is no backup. */
export function groupNames(
  names: Iterable<string>,
  parse: (name: string) => BackupName | undefined
): Backup[] {
  const groups = new Map<string, (BackupName & { name: string })[]>()
  for (const name of names) {
    const parsed = parse(name)
    if (parsed === undefined) continue
    const key = `${parsed.stamp}.${parsed.number}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [{ ...parsed, name }])
    else group.push({ ...parsed, name })
  }
  const backups = [...groups.values()].map((group) => {
    group.sort((a, b) => COMPRESSIONS.indexOf(a.compression) - COMPRESSIONS.indexOf(b.compression))
    return { ...group[0], names: group.map(({ name }) => name) }
  })
  return backups.sort(compareBackups)
}

/** The order in which the files of one backup are tried: only the uncompressed one is known to be complete. */
export const COMPRESSIONS: readonly BackupCompression[] = ['', 'gz', 'br', 'zst']

function formatStamp(unixSeconds: number): string {
  const text = new Date(unixSeconds * 1000).toISOString()
  return `${text.slice(0, 10).replaceAll('-', '')}-${text.slice(11, 19).replaceAll(':', '')}`
}
