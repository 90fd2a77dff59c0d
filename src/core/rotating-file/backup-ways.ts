// Where the backups of a rotated text file go and what they are called: beside it with the time of the rotation behind its
// name, or as the options say, which is then noted beside the log for those who read it.
import { constants } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { formatBackupName, groupBackups } from '../../formats/backup-name.ts'
import { BackupPattern } from '../../formats/backup-pattern.ts'
import {
  type BackupWay,
  backupsNoteName,
  decodeBackupsNote,
  encodeBackupsNote,
  isBackupsNote,
  MAX_BACKUPS_NOTE_BYTES
} from '../../formats/backups-note.ts'
import { mergeWays } from '../../formats/merge-ways.ts'
import type { Disk } from '../../io/disk.ts'
import { makeFolders, type OpenOptions, openFile } from '../../io/open-file.ts'
import { type BackupFiles, type BackupGrammar, stampedGrammar } from '../shared-file/backup-grammar.ts'

export interface BackupWaysOptions extends OpenOptions {
  readonly backupName?: string | undefined
  readonly backupDir?: string | undefined
}

export class BackupWays {
  /** Of the backups. */
  readonly folder: string
  readonly grammar: BackupGrammar
  readonly #disk: Disk
  readonly #path: string
  readonly #base: string
  readonly #options: BackupWaysOptions
  readonly #pattern: BackupPattern | undefined
  readonly #way: BackupWay
  /** Everything is as usual, so that nothing need be noted. */
  readonly #isUsual: boolean

  constructor(disk: Disk, path: string, options: BackupWaysOptions) {
    const { backupName, backupDir } = options
    this.#disk = disk
    this.#path = path
    this.#base = basename(path)
    this.#options = options
    this.folder = backupDir === undefined ? dirname(path) : resolve(backupDir)
    const dir = relative(dirname(path), this.folder)
    this.#way = { dir: dir === '' ? undefined : dir, name: backupName }
    this.#isUsual = backupName === undefined && dir === ''
    this.#pattern = backupName === undefined ? undefined : new BackupPattern(backupName, this.#base)
    this.grammar = this.#isUsual ? stampedGrammar(this.#base) : this.#mixedGrammar()
  }

  /**
   * The unit of the times in names that holds `stamp`: within one the numbers tell them apart.
   */
  unitOf(stamp: number): number {
    return this.#pattern === undefined ? stamp : this.#pattern.unitOf(stamp)
  }

  pathOf(stamp: number, number: number): string {
    const name =
      this.#pattern === undefined
        ? formatBackupName(this.#base, stamp, number)
        : this.#pattern.format(stamp, number)
    return join(this.folder, name)
  }

  /** The newest of those that are there under the present way; with the time of its unit. */
  newest(): { stamp: number; number: number } | undefined {
    const names = this.#namesIn()
    return (this.#pattern?.group(names) ?? groupBackups(this.#base, names)).at(-1)
  }

  /** Whether the folder has to be looked at for the next name, as what is noted under the lock may be another way's. */
  get mustLook(): boolean {
    return !this.#isUsual
  }

  /** To be called in a turn, before the sink is used: throws `ERR_OPTION` where no file can be moved to the folder. */
  check(): void {
    if (this.#way.dir === undefined) return
    this.#makeFolder()
    const found = this.#disk.stat(this.folder)
    if (found.isFile) throw this.#refused('must be a folder')
    if (found.dev !== this.#disk.stat(dirname(this.#path)).dev)
      throw this.#refused('must be on the file system of the log')
  }

  /** To be called in a turn, before a backup is made: sees to it that it can be, and that readers find it. */
  prepare(): void {
    if (this.#isUsual) return
    if (this.#way.dir !== undefined) this.#makeFolder()
    const ways = this.#read()
    const isOwn = ({ dir, name }: BackupWay): boolean => dir === this.#way.dir && name === this.#way.name
    // The last one is that of the latest writer: commands go by it.
    const last = ways.at(-1)
    if (last === undefined || !isOwn(last)) this.#write([...ways.filter((way) => !isOwn(way)), this.#way])
  }

  #refused(rule: string): LogboomError {
    const message = `rotating-file: option 'backupDir' ${rule}, and ${this.folder} is not`
    return new LogboomError('ERR_OPTION', message, { path: this.#path })
  }

  #makeFolder(): void {
    const { mkdir, dirMode } = this.#options
    if (mkdir && !this.#disk.exists(this.folder)) makeFolders(this.#disk, this.folder, dirMode)
  }

  #namesIn(): string[] {
    try {
      return this.#disk.readdir(this.folder)
    } catch (error) {
      const code = systemCode(error)
      // Where names may not be read the kernel still says which is taken.
      if (code === 'ENOENT' || code === 'EACCES') return []
      throw error
    }
  }

  /** This way, those that were noted for the same folder before, and the usual one, which needs no note. */
  #mixedGrammar(): BackupGrammar {
    const base = this.#base
    const own = this.#way
    const others = this.#read().filter(({ dir, name }) => dir === own.dir && name !== own.name)
    const patterns = [own, ...others]
      .flatMap(({ name }) => name ?? [])
      .map((name) => new BackupPattern(name, base))
    const usual = stampedGrammar(base)
    const compressionOf = (name: string) =>
      usual.compressionOf(name) ??
      patterns.map((each) => each.parse(name)?.compression).find((each) => each !== undefined)
    return {
      group: (names) => {
        const all = [...names]
        // The time of a coarser unit is not that of the rotation; that of the file is closer.
        const noted = patterns.map((each) =>
          each.group(all).map((backup) => (each.isExact ? backup : { ...backup, stamp: undefined }))
        )
        const lists: BackupFiles[][] = [groupBackups(base, all), ...noted]
        return mergeWays(lists, (name) => this.#disk.lstat(join(this.folder, name))?.mtimeMs ?? 0)
      },
      compressionOf,
      compressedName: (name, compression) => `${name}.${compression}`
    }
  }

  get #notePath(): string {
    return join(dirname(this.#path), backupsNoteName(this.#base))
  }

  #read(): BackupWay[] {
    const disk = this.#disk
    if (disk.lstat(this.#notePath) === undefined) return []
    const file = openFile(disk, this.#notePath, constants.O_RDONLY, this.#options)
    try {
      const bytes = Buffer.alloc(Math.min(disk.fstat(file.fd).size, MAX_BACKUPS_NOTE_BYTES))
      let at = 0
      for (let count = -1; at < bytes.length && count !== 0; at += count) {
        count = disk.read(file.fd, bytes, at, bytes.length - at, at)
      }
      const text = bytes.toString('utf8', 0, at)
      // It would be replaced.
      if (!isBackupsNote(text)) {
        const message = `${this.#notePath} is no note of backups and is left alone`
        throw new LogboomError('ERR_NOT_FILE', message, { path: this.#notePath })
      }
      return decodeBackupsNote(text)
    } finally {
      file.release()
    }
  }

  #write(ways: readonly BackupWay[]): void {
    const disk = this.#disk
    const temporary = `${this.#notePath}.tmp`
    if (disk.exists(temporary)) disk.unlink(temporary)
    const bytes = Buffer.from(encodeBackupsNote(ways))
    const file = openFile(disk, temporary, constants.O_WRONLY | constants.O_EXCL, this.#options)
    try {
      for (let at = 0; at < bytes.length; ) at += disk.write(file.fd, bytes, at, bytes.length - at, at)
      // Without it nobody would find the backups after a power cut.
      disk.fsync(file.fd)
    } finally {
      file.release()
    }
    disk.rename(temporary, this.#notePath)
  }
}
