// What a file of lines is to its target: a line is a record, a file ends before the line that would make it larger than
// `maxBytes` or when its period is over, and backups are called by the time of their rotation.
import { MAX_BACKUP_NUMBER, MAX_BACKUP_STAMP } from '../../formats/backup-name.ts'
import type { Disk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import type { BackupGrammar } from '../shared-file/backup-grammar.ts'
import type { ReadAt, SharedFile } from '../shared-file/shared-file.ts'
import type { BackupCandidate, FileRules } from '../shared-file/shared-file-target.ts'
import type { BackupWays } from './backup-ways.ts'
import type { Boundaries } from './period.ts'

const NEWLINE = 10
const NEWLINE_BYTES = Buffer.from('\n')
const SEARCH_BYTES = 256 * 1024

export interface LineRulesHost {
  readonly disk: Disk
  readonly now: () => number
  readonly maxBytes: number
  /** What each file begins with, whole lines. */
  readonly header: Buffer | undefined
  readonly periods: Boundaries | undefined
  readonly ways: BackupWays
  /** The file and the way to rotate it, within a turn. */
  readonly file: () => SharedFile
  readonly rotate: () => void
}

export class LineRules implements FileRules {
  readonly unit = 'text'
  readonly grammar: BackupGrammar
  readonly backupFolder: string
  readonly #host: LineRulesHost

  constructor(host: LineRulesHost) {
    this.#host = host
    this.grammar = host.ways.grammar
    this.backupFolder = host.ways.folder
  }

  check(): void {
    this.#host.ways.check()
  }

  wholeEnd(start: number, end: number, readAt: ReadAt): number {
    if (this.#isTornHeader(start, end, readAt)) return start
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
    const { header, file } = this.#host
    // With the first record, so that a file that gets none stays empty.
    if (header !== undefined && file().size === 0) file().append(header, 0, header.length)
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
    // Not even one line fits. In an empty file, or behind nothing but the header, it stands alone, however long.
    return this.#holdsRecords() ? at : lines.indexOf(NEWLINE, at) + 1
  }

  /** Whether the file was last written to in an earlier period; within a turn. */
  isPeriodOver(): boolean {
    const { periods, now } = this.#host
    const { size, mtimeMs } = this.#host.file()
    if (periods === undefined || size === 0) return false
    return mtimeMs < periods.startOf(now()) && this.#holdsRecords()
  }

  /** Names for the next backup, always behind all others in order, whatever the clock does. */
  *backupNames(): Generator<BackupCandidate> {
    const { ways } = this.#host
    ways.prepare()
    const newest = this.#knownNewest()
    const now = Math.min(Math.max(Math.floor(this.#host.now() / 1000), 0), MAX_BACKUP_STAMP)
    let stamp = Math.max(now, newest.stamp)
    let number = ways.unitOf(stamp) === ways.unitOf(newest.stamp) ? newest.number + 1 : 0
    for (;;) {
      if (number > MAX_BACKUP_NUMBER) {
        // Behind the last name that there can be is none. Then order gives way, so that no record is lost.
        stamp = stamp < MAX_BACKUP_STAMP ? stamp + 1 : now
        number = 0
      }
      const path = ways.pathOf(stamp, number)
      const isTaken = ['gz', 'br', 'zst'].some((suffix) => this.#host.disk.exists(`${path}.${suffix}`))
      if (!isTaken) yield { path, stamp, number }
      number++
    }
  }

  /** Whether the file holds more than a header, which is all of it if a writer died behind it. */
  #holdsRecords(): boolean {
    const { header } = this.#host
    const file = this.#host.file()
    if (header === undefined || file.size !== header.length) return file.size > 0
    const found = Buffer.alloc(header.length)
    return file.readAt(found, 0) < found.length || !found.equals(header)
  }

  /** Whether what came of an append is the beginning of a header: its first lines alone are none. */
  #isTornHeader(start: number, end: number, readAt: ReadAt): boolean {
    const { header } = this.#host
    if (header === undefined || end - start >= header.length) return false
    const found = Buffer.alloc(end - start)
    return readAt(found, start) === found.length && header.subarray(0, found.length).equals(found)
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

  /** The newest backup as noted under the lock; the folder is read where there is no note, or others may have made it. */
  #knownNewest(): { stamp: number; number: number } {
    const { ways } = this.#host
    const noted = this.#host.file().newestBackup
    if (noted.stamp > 0 && !ways.mustLook) return noted
    const found = ways.newest() ?? { stamp: 0, number: -1 }
    if (noted.stamp === 0) return found
    const [notedUnit, foundUnit] = [ways.unitOf(noted.stamp), ways.unitOf(found.stamp)]
    if (notedUnit !== foundUnit) return notedUnit > foundUnit ? noted : found
    return { stamp: Math.max(noted.stamp, found.stamp), number: Math.max(noted.number, found.number) }
  }
}
