// How the backups of a log are called, as far as upkeep needs to know. Nothing outside the grammar of a log is ever
// read, compressed or removed.
import {
  type BackupCompression,
  formatBackupName,
  groupBackups,
  parseBackupName
} from '../../formats/backup-name.ts'

import { formatNumberedName, numberedBackups, parseNumberedName } from '../../formats/numbered-name.ts'

/** One backup and every file of it in the folder. */
export interface BackupFiles {
  /** The file to read: the uncompressed one where it is still there. */
  readonly name: string
  /** All files of this backup, `name` first; more than one is what a crash between compressing and removing leaves. */
  readonly names: readonly string[]
  readonly compression: BackupCompression
  /** When it was made, in seconds since 1970, where its name says so. */
  readonly stamp?: number | undefined
}

export interface BackupGrammar {
  /** The backups among the names of a folder, oldest first, each once. */
  group(names: Iterable<string>): BackupFiles[]
  /** How `name` is compressed if it is a backup, else undefined. */
  compressionOf(name: string): BackupCompression | undefined
  /** The name of an uncompressed backup once it is compressed. */
  compressedName(name: string, compression: BackupCompression): string
}

/** `<base>.<YYYYMMDD>-<HHMMSS>.<n>`, plus the suffix of its compression. */
export function stampedGrammar(base: string): BackupGrammar {
  return {
    group: (names) => groupBackups(base, names),
    compressionOf: (name) => parseBackupName(base, name)?.compression,
    compressedName: (name, compression) => {
      const { stamp, number } = parseBackupName(base, name)!
      return formatBackupName(base, stamp, number, compression)
    }
  }
}

/** `<stem>.<n><ext>`, plus the suffix of its compression. Its age is that of the file. */
export function numberedGrammar(base: string): BackupGrammar {
  return {
    group: (names) => numberedBackups(base, names),
    compressionOf: (name) => parseNumberedName(base, name)?.compression,
    compressedName: (name, compression) =>
      formatNumberedName(base, parseNumberedName(base, name)!.number, compression)
  }
}
