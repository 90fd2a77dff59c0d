// Names of the backups of a binary file: `<stem>.<n><ext>`, n counted from 0 without leading zeros (events.bin →
// events.0.bin), plus `.gz`, `.br` or `.zst` once compressed. Nothing outside exactly this grammar is ever read,
// compressed or removed.
import { parse } from 'node:path'
import { type BackupCompression, COMPRESSIONS } from './backup-name.ts'
import { lockFileName } from './lock-file.ts'

export interface NumberedName {
  readonly number: number
  readonly compression: BackupCompression
}

/** One backup and every file of it in the folder. */
export interface NumberedBackup extends NumberedName {
  /** The file to read: the uncompressed one where it is still there. */
  readonly name: string
  /** Its name without compression, whether or not there is such a file. */
  readonly plain: string
  /** All files of this backup, `name` first; see `Backup.names`. */
  readonly names: readonly string[]
}

// At most nine digits, as in backup-name.ts: a date is no number of a backup.
const NUMBER = /^(?:0|[1-9]\d{0,8})$/
const COMPRESSED = /^(.+)\.(gz|br|zst)$/s
const NUMBERED_STEM = /^(.+)\.(?:0|[1-9]\d{0,8})$/s

/** The name of backup number `number` of the file named `name`, both without folder. */
export function formatNumberedName(
  name: string,
  number: number,
  compression: BackupCompression = ''
): string {
  const { name: stem, ext } = parse(name)
  const plain = `${stem}.${number}${ext}`
  return compression === '' ? plain : `${plain}.${compression}`
}

/** The number of `candidate` if it is a backup of the file named `name`, else undefined. Both without folder. */
export function parseNumberedName(name: string, candidate: string): NumberedName | undefined {
  const { name: stem, ext } = parse(name)
  if (!candidate.startsWith(`${stem}.`)) return undefined
  const number = numberBetween(stem, ext, candidate)
  if (number !== undefined) return { number, compression: '' }
  const [, plain, compression] = COMPRESSED.exec(candidate) ?? []
  const packed = plain === undefined ? undefined : numberBetween(stem, ext, plain)
  return packed === undefined ? undefined : { number: packed, compression: compression as BackupCompression }
}

function numberBetween(stem: string, ext: string, candidate: string): number | undefined {
  if (!candidate.endsWith(ext)) return undefined
  const digits = candidate.slice(stem.length + 1, candidate.length - ext.length)
  return NUMBER.test(digits) ? Number(digits) : undefined
}

/** The name of the file that `name` would be a backup of, else undefined. */
export function numberedBase(name: string): string | undefined {
  const [, unpacked] = COMPRESSED.exec(name) ?? []
  const { name: rest, ext } = parse(unpacked ?? name)
  // The number of a name without extension looks like one: events.0 is a backup of events.
  const stem = NUMBERED_STEM.exec(rest)?.[1]
  const base = stem === undefined ? rest : `${stem}${ext}`
  return parseNumberedName(base, name) === undefined ? undefined : base
}

/**
 * The backups of `name` among the names of its folder, oldest first, each once. What has a lock file is written to by its own
 * name, `worker.1.bin` beside `worker.2.bin`: nobody's backup, and removed by nobody else.
 */
export function numberedBackups(name: string, candidates: Iterable<string>): NumberedBackup[] {
  const groups = new Map<number, (NumberedName & { name: string })[]>()
  const all = new Set(candidates)
  for (const candidate of all) {
    const parsed = parseNumberedName(name, candidate)
    if (parsed === undefined || all.has(lockFileName(candidate))) continue
    const group = groups.get(parsed.number)
    if (group === undefined) groups.set(parsed.number, [{ ...parsed, name: candidate }])
    else group.push({ ...parsed, name: candidate })
  }
  const backups = [...groups].map(([number, group]) => {
    group.sort((a, b) => COMPRESSIONS.indexOf(a.compression) - COMPRESSIONS.indexOf(b.compression))
    return { ...group[0], plain: formatNumberedName(name, number), names: group.map((file) => file.name) }
  })
  return backups.sort((a, b) => a.number - b.number)
}
