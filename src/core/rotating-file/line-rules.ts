// What a file of lines is to its target: a line is a record, a file ends before the line that would make it larger than
// `maxBytes` or when its period is over, and backups are called by the time of their rotation.
import { basename, dirname, join } from 'node:path'
import {
  formatBackupName,
  groupBackups,
  MAX_BACKUP_NUMBER,
  MAX_BACKUP_STAMP
} from '../../formats/backup-name.ts'
import type { Disk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import { type BackupGrammar, stampedGrammar } from '../shared-file/backup-grammar.ts'
import type { ReadAt, SharedFile } from '../shared-file/shared-file.ts'
import type { BackupCandidate, FileRules } from '../shared-file/shared-file-target.ts'
import type { Periods } from './period.ts'

const NEWLINE = 10
const NEWLINE_BYTES = Buffer.from('\n')
const SEARCH_BYTES = 256 * 1024

export interface LineRulesHost {
  readonly disk: Disk
  readonly now: () => number
  readonly path: string
  readonly maxBytes: number
  readonly periods: Periods | undefined
  /** The file and the way to rotate it, within a turn. */
  readonly file: () => SharedFile
  readonly rotate: () => void
}

export class LineRules implements FileRules {
  readonly unit = 'text'
  readonly grammar: BackupGrammar
  readonly #host: LineRulesHost
  readonly #folder: string
  readonly #base: string

  constructor(host: LineRulesHost) {
    this.#host = host
    this.#folder = dirname(host.path)
    this.#base = basename(host.path)
    this.grammar = stampedGrammar(this.#base)
  }

  wholeEnd(start: number, end: number, readAt: ReadAt): number {
    const buffer = Buffer.allocUnsafe(Math.min(end - start, SEARCH_BYTES))
    for (let to = end; to > start; to -= buffer.length) {
      const from = Math.max(start, to - buffer.length)
      const piece = buffer.subarray(0, to - from)
      const newline = piece.subarray(0, readAt(piece, from)).lastIndexOf(NEWLINE)
      if (newline !== -1) return from + newline + 1
    }
    return start
  }

  countRecords(bytes: Uint8Array, start: number, end: number): number {
    return native.countLines(bytes, start, end)
  }

  prepare(): void {
    if (this.isPeriodOver()) this.#host.rotate()
    this.#finishForeignLine()
  }

  /** The end of the lines from `at` that still fit; `at` if the file must be rotated first. */
  fitting(lines: Buffer, at: number): number {
    const { maxBytes } = this.#host
    const { size } = this.#host.file()
    const room = maxBytes - size
    if (maxBytes === 0 || lines.length - at <= room) return lines.length
    const end = room <= 0 ? at : lines.lastIndexOf(NEWLINE, at + room - 1) + 1
    if (end > at) return end
    // Not even one line fits. In an empty file it stands alone, however long.
    return size > 0 ? at : lines.indexOf(NEWLINE, at) + 1
  }

  /** Whether the file was last written to in an earlier period; within a turn. */
  isPeriodOver(): boolean {
    const { periods, now } = this.#host
    const { size, mtimeMs } = this.#host.file()
    if (periods === undefined || size === 0) return false
    return mtimeMs < periods.startOf(now())
  }

  /** Names for the next backup, always behind all others in order, whatever the clock does. */
  *backupNames(): Generator<BackupCandidate> {
    const newest = this.#knownNewest()
    const now = Math.min(Math.max(Math.floor(this.#host.now() / 1000), 0), MAX_BACKUP_STAMP)
    let stamp = Math.max(now, newest.stamp)
    let number = stamp === newest.stamp ? newest.number + 1 : 0
    for (;;) {
      if (number > MAX_BACKUP_NUMBER) {
        // Behind the last name that there can be is none. Then order gives way, so that no record is lost.
        stamp = stamp < MAX_BACKUP_STAMP ? stamp + 1 : now
        number = 0
      }
      const path = join(this.#folder, formatBackupName(this.#base, stamp, number))
      const isTaken = ['gz', 'br', 'zst'].some((suffix) => this.#host.disk.exists(`${path}.${suffix}`))
      if (!isTaken) yield { path, stamp, number }
      number++
    }
  }

  /** Another program left the last line without its end: closes it, so that ours does not become part of it. */
  #finishForeignLine(): void {
    const { maxBytes } = this.#host
    const file = this.#host.file()
    const { clean, size } = file
    // A file that has no room for the newline is rotated as it is.
    if (clean || size === 0 || (maxBytes > 0 && size >= maxBytes)) return
    const last = Buffer.alloc(1)
    file.readAt(last, size - 1)
    if (last[0] !== NEWLINE) file.append(NEWLINE_BYTES, 0, 1)
  }

  /** The newest backup as noted under the lock; the folder is read only once, when there is no note. */
  #knownNewest(): { stamp: number; number: number } {
    const noted = this.#host.file().newestBackup
    if (noted.stamp > 0) return noted
    const newest = groupBackups(this.#base, this.#host.disk.readdir(this.#folder)).at(-1)
    return newest ?? { stamp: 0, number: -1 }
  }
}
