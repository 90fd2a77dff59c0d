// What a file of length-prefixed records is to its target: it ends with the record that makes it reach `maxBytes`, and
// becomes the backup with the next number.
import { basename, dirname, join } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import { MAX_BACKUP_NUMBER } from '../../formats/backup-name.ts'
import { completeEnd, decodeLength, LENGTH_BYTES, wholeEnd } from '../../formats/binary-file.ts'
import { formatNumberedName, numberedBackups } from '../../formats/numbered-name.ts'
import type { Disk } from '../../io/disk.ts'
import type { LaneUnit } from '../lane/lane-codec.ts'
import { countFrames } from '../queue/payload-queue.ts'
import { type BackupGrammar, numberedGrammar } from '../shared-file/backup-grammar.ts'
import type { ReadAt, SharedFile } from '../shared-file/shared-file.ts'
import type { BackupCandidate, FileRules } from '../shared-file/shared-file-target.ts'

const SCAN_BYTES = 256 * 1024
/** So many backups in a row may have been removed. */
const MOST_MISSING = 1_000

export interface PayloadRulesHost {
  readonly disk: Disk
  readonly now: () => number
  readonly path: string
  readonly maxBytes: number
  readonly unit: LaneUnit
  /** The file and the way to rotate it, within a turn. */
  readonly file: () => SharedFile
  readonly rotate: () => void
  readonly warn: (code: string, message: string) => void
}

export class PayloadRules implements FileRules {
  readonly unit: LaneUnit
  readonly grammar: BackupGrammar
  readonly #host: PayloadRulesHost
  readonly backupFolder: string
  readonly #base: string

  constructor(host: PayloadRulesHost) {
    this.unit = host.unit
    this.#host = host
    this.backupFolder = dirname(host.path)
    this.#base = basename(host.path)
    this.grammar = numberedGrammar(this.#base)
  }

  wholeEnd(start: number, end: number, readAt: ReadAt): number {
    const size = end - start
    const buffer = Buffer.allocUnsafe(Math.min(size, SCAN_BYTES))
    const read = (at: number): Uint8Array => {
      const piece = buffer.subarray(0, Math.min(buffer.length, size - at))
      return piece.subarray(0, readAt(piece, start + at))
    }
    return start + wholeEnd(size, read)
  }

  countRecords(bytes: Uint8Array, start: number, end: number): number {
    return countFrames(bytes, start, end)
  }

  // A record behind a torn one would never be found again, and bytes of others are never cut: such a file is
  // rolled over as it is.
  prepare(): void {
    const { path, warn, rotate } = this.#host
    const file = this.#host.file()
    const { clean, size, readAt } = file
    if (clean || size === 0 || this.wholeEnd(0, size, readAt) === size) return
    warn('ERR_CORRUPT', `${path} ends within a record that was not ours; it is rolled over`)
    rotate()
  }

  /** All records up to the one that makes the file reach `maxBytes`. */
  fitting(records: Buffer, at: number): number {
    const room = this.#host.maxBytes - this.#host.file().size
    if (room <= 0) return at
    if (records.length - at <= room) return records.length
    const end = completeEnd(records, at, at + room)
    return end - at === room ? end : end + LENGTH_BYTES + decodeLength(records, end)
  }

  appended(): void {
    if (this.#host.file().size >= this.#host.maxBytes) this.#host.rotate()
  }

  /** Numbers only grow: behind the last one noted, which a removed backup does not change, and those there. */
  *backupNames(): Generator<BackupCandidate> {
    const noted = this.#host.file().newestBackup
    const last = noted.stamp > 0 ? noted.number : this.#lastNumber()
    const stamp = Math.max(0, Math.floor(this.#host.now() / 1000))
    for (let number = last + 1; number <= MAX_BACKUP_NUMBER; number++) yield this.#candidate(number, stamp)
    // Behind the last number there is none. Then order gives way, so that no record is lost.
    for (let number = 0; number <= last; number++) yield this.#candidate(number, stamp)
  }

  #candidate(number: number, stamp: number): BackupCandidate {
    return { path: join(this.backupFolder, formatNumberedName(this.#base, number)), stamp, number }
  }

  #lastNumber(): number {
    const { disk } = this.#host
    try {
      return numberedBackups(this.#base, disk.readdir(this.backupFolder)).at(-1)?.number ?? -1
    } catch (error) {
      if (systemCode(error) !== 'EACCES') throw error
    }
    // Names may not be read there, but asked for one by one.
    let last = -1
    for (let number = 0; number <= last + MOST_MISSING; number++) {
      if (disk.exists(this.#candidate(number, 0).path)) last = number
    }
    return last
  }
}
