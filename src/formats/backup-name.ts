// Names of the backups of a rotated file: `<base>.<YYYYMMDD>-<HHMMSS>.<n>` plus `.gz`, `.br` or `.zst` once
// compressed. The time is UTC. Nothing outside exactly this grammar is ever read, compressed or removed.

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

// A number is at most 15 digits, so that it is an exact integer, and has no leading zero, so that each backup
// has one spelling.
const SUFFIX = /^\.(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})(\d{2})\.(0|[1-9]\d{0,14})(?:\.(gz|br|zst))?$/
const WITH_SUFFIX = new RegExp(`^(.+)${SUFFIX.source.slice(1)}`, 's')

/** The parts of `name` if it is a backup of the file named `base`, else undefined. Both without folder. */
export function parseBackupName(base: string, name: string): BackupName | undefined {
  if (!name.startsWith(base)) return undefined
  const match = SUFFIX.exec(name.slice(base.length))
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = [
    +match[1],
    +match[2],
    +match[3],
    +match[4],
    +match[5],
    +match[6]
  ]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  // Date carries 31 February over into March and 24:00 into the next day. A folder may hold many thousand names, so
  // this is checked without making texts.
  const isDate = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  if (!isDate || hour > 23 || minute > 59 || second > 59) return undefined
  const stamp = date.getTime() / 1000 + hour * 3600 + minute * 60 + second
  const number = +match[7]
  return { stamp, number, compression: (match[8] ?? '') as BackupCompression }
}

/** The base of which `name` is a backup, or undefined if it is none. */
export function backupBase(name: string): string | undefined {
  const base = WITH_SUFFIX.exec(name)?.[1]
  return base === undefined || parseBackupName(base, name) === undefined ? undefined : base
}

/**
 * The name of a backup of `base`. `unixSeconds` is rounded down and must be within the years 0 to 9999.
 */
export function formatBackupName(
  base: string,
  unixSeconds: number,
  number: number,
  compression: BackupCompression = ''
): string {
  const name = `${base}.${formatStamp(Math.floor(unixSeconds))}.${number}`
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
  const groups = new Map<string, (BackupName & { name: string })[]>()
  for (const name of names) {
    const parsed = parseBackupName(base, name)
    if (parsed === undefined) continue
    const key = `${parsed.stamp}.${parsed.number}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [{ ...parsed, name }])
    else group.push({ ...parsed, name })
  }
  const backups = [...groups.values()].map((group) => {
    group.sort((a, b) => PREFERENCE.indexOf(a.compression) - PREFERENCE.indexOf(b.compression))
    return { ...group[0], names: group.map(({ name }) => name) }
  })
  return backups.sort(compareBackups)
}

const PREFERENCE: readonly BackupCompression[] = ['', 'gz', 'br', 'zst']

function formatStamp(unixSeconds: number): string {
  const text = new Date(unixSeconds * 1000).toISOString()
  return `${text.slice(0, 10).replaceAll('-', '')}-${text.slice(11, 19).replaceAll(':', '')}`
}
