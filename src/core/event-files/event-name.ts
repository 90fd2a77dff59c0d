// Event names as file names: nothing in a name can leave the folder, hide a file, make it too long, or make it look
// like something that readers and retention take for a part of another log.
import { createHash } from 'node:crypto'
import { BACKUP_SUFFIX_BYTES, MAX_NAME_BYTES as LONGEST_NAME_BYTES } from '../../base/file-name.ts'
import { backupBase } from '../../formats/backup-name.ts'
import { numberedBase } from '../../formats/numbered-name.ts'
import { parseSnapshotName } from '../../formats/snapshot-file.ts'
import { parsePublishedName } from '../../formats/spool.ts'
import { parseSegmentName } from '../../formats/wal.ts'
import { extensionOf, type OutputKind } from './output-kind.ts'

/**
 * Longest file name, in bytes; the rest is for what is added to it: the suffix of a backup
 * (`.20250131-235959.12345.zst.tmp`) and the name of a lock file.
 */
export const MAX_NAME_BYTES = LONGEST_NAME_BYTES - BACKUP_SUFFIX_BYTES
const HASH_LENGTH = 8

/** Separators, wildcards, quotes, spaces of any kind, and characters that terminals or editors act upon. */
const UNSAFE = /[/\\:*?"<>|\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
/** Names that mean devices on Windows, with whatever extension. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i
/** What is behind the names of files that are no live logs. */
const RESERVED_SUFFIX = /\.(?:gz|br|zst|lock|tmp|bin|wal|snap|broken|note)$/i

/** The name of the file (with output `'wal'`: folder) of `event`, without extension; undefined if it is empty. */
export function eventFileStem(event: string, output: OutputKind): string | undefined {
  if (event.length === 0) return undefined
  let name = event.replace(UNSAFE, '_').replace(/^\.+/, hidden).replace(/\.+$/, hidden)
  if (RESERVED.test(name)) name = `_${name}`
  const extension = extensionOf(output)
  const roomBytes = MAX_NAME_BYTES - Buffer.byteLength(extension)
  if (Buffer.byteLength(name) > roomBytes) name = cutName(event, name, roomBytes)
  // Each round takes a dot away, and without dots one more character ends it.
  while (isTaken(name + extension, output)) {
    const dot = name.lastIndexOf('.')
    if (dot !== -1) name = `${name.slice(0, dot)}_${name.slice(dot + 1)}`
    else name = Buffer.byteLength(name) < roomBytes ? `${name}_` : cutName(event, name, roomBytes)
  }
  return name
}

/** Whether a file of this name would be taken for a backup, a segment or the like. */
function isTaken(fileName: string, output: OutputKind): boolean {
  if (backupBase(fileName) !== undefined || parsePublishedName(fileName) !== undefined) return true
  if (RESERVED_SUFFIX.test(fileName)) return true
  if (parseSegmentName(fileName) !== undefined || parseSnapshotName(fileName) !== undefined) return true
  // `a.0.log` is the first backup of `a.log` where backups are numbered.
  return (output === 'binary-file' || output === 'wal') && numberedBase(fileName) !== undefined
}

function cutName(event: string, name: string, roomBytes: number): string {
  const hash = createHash('sha256').update(event).digest('hex').slice(0, HASH_LENGTH)
  return `${cut(name, roomBytes - HASH_LENGTH - 1)}-${hash}`
}

function hidden(dots: string): string {
  return '_'.repeat(dots.length)
}

/** The longest beginning of `text` of at most `bytes` bytes of UTF-8 that splits no character. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text)
  let end = bytes
  while (end > 0 && (encoded[end] & 0xc0) === 0x80) end--
  return encoded.toString('utf8', 0, end)
}
