// Incremental decoder of one WAL segment after the other, without I/O: it says which bytes of the file it wants
// next and gives a verdict on every record, as formats.md §2.7 defines it.
import { native } from '../native/index.ts'
import { WAL_ROW, walRun } from '../native/wal-scan.ts'
import { CRC, FRAME_HEADER_BYTES, recordName, SECTOR_BYTES } from './wal.ts'
import { decodeRecord } from './wal-record.ts'
import { WalRest } from './wal-rest.ts'

const WINDOW_BYTES = 256 * 1024
const ROWS = 4096

/**
 * `record`: the fields of the decoder describe the next record. `more`: call `makeRoom`, read `fillBytes` bytes at
 * file offset `fillPosition` into `window` at `fillOffset`, then call `filled`. `end`: the used part of the segment ends.
 * `torn`: an unexpected end of the last segment, which repair may cut off. `corrupt`: any other damage.
 *
 * An end counts only if nothing but zeros follows it, and a break of the last segment is `torn` only if a crash can
 * have left it so: the file ends within the record, or is all zeros from somewhere in the record on, or a sector of it
 * was never written. What a power loss leaves of writes that no sync covered may have such a hole with whole batches
 * behind it: that, too, is `torn`, with `intactAt` set. Whole batches behind any other break are proof of damage.
 */
export type WalStep = 'record' | 'more' | 'end' | 'torn' | 'corrupt'

export class WalDecoder {
  /** Rolling checksum after the last record, carried from segment to segment. */
  crc = 0
  /** What is wrong, after `torn` and `corrupt`. */
  reason = ''
  /** After `torn` and `corrupt`: where whole batches follow the damage, if they do. */
  intactAt: number | undefined
  /** Whether what follows an end is looked at; who follows a growing file cannot. */
  checksRest = true
  /** Index up to which batches were complete so far, as far as it is known. */
  commit = 0n
  /** File offset behind the last sound record: where damage starts, or where appending goes on. */
  offset = 0
  /** Type of the record, its offset in the file, and the range of its data in `window`. */
  type = 0
  recordOffset = 0
  dataStart = 0
  dataEnd = 0
  window = Buffer.allocUnsafe(WINDOW_BYTES)
  fillOffset = 0
  fillBytes = 0
  fillPosition = 0
  #fileBytes = 0
  #last = true
  /** File offset of `window[0]`; the range of the window that holds bytes not yet decoded. */
  #base = 0
  #at = 0
  #end = 0
  #wanted = 0
  #crcBefore = 0
  readonly #rows = new Uint32Array(ROWS * WAL_ROW)
  #row = 0
  #rowCount = 0
  /** So many records are looked at ahead: few as long as `follow` gets on. */
  #ahead = ROWS
  /** While the rest behind an end or a break is looked at: what came before, and where the broken record ends. */
  #rest: WalRest | undefined
  #verdict: 'end' | 'torn' | 'corrupt' = 'end'
  #brokenEnd = 0

  /** Starts a segment of `fileBytes` bytes; `last` decides whether an unexpected end may be a torn write. */
  begin(fileBytes: number, last: boolean): void {
    this.#fileBytes = fileBytes
    this.#last = last
    this.#base = 0
    this.#at = 0
    this.#end = 0
    this.#row = 0
    this.#rowCount = 0
    this.offset = 0
    this.#forgetBreak()
  }

  /** File offset of the first byte of `window`. */
  get windowPosition(): number {
    return this.#base
  }

  /** The segment has grown, or is no longer the last one: decoding may go on after an `end` or `torn`. */
  resume(fileBytes: number, last: boolean): void {
    this.#fileBytes = fileBytes
    this.#last = last
    // What was behind the end has been overwritten since: it is read again.
    this.#base = this.offset
    this.#at = 0
    this.#end = 0
    this.#forgetBreak()
  }

  next(): WalStep {
    if (this.#rest !== undefined) return this.#scanRest(this.#rest)
    if (this.#row < this.#rowCount) return this.#takeRow()
    if (this.#end - this.#at >= FRAME_HEADER_BYTES && this.offset > 0) {
      const rows = this.#rows.subarray(0, this.#ahead * WAL_ROW)
      this.#rowCount = native.walScan(this.window, this.#at, this.#end, this.crc, rows)
      this.#row = 0
      if (this.#rowCount > 0) return this.#takeRow()
    }
    const step = this.#judge()
    return step === 'record' || step === 'more' ? step : this.#lookBehind(step)
  }

  /**
   * Goes over the records in the window that need no understanding (`native.walFollow`), before whatever `next` says
   * then. What `run` says of places is in the window; false if there was no such record.
   */
  follow(run: Float64Array, bounds?: Int32Array, frames?: Int32Array): boolean {
    const isAtFrame = this.#rest === undefined && this.#row === this.#rowCount && this.offset > 0
    if (!isAtFrame || this.#end - this.#at < FRAME_HEADER_BYTES) return false
    run[walRun.crc] = this.crc
    native.walFollow(this.window, this.#at, this.#end, run, bounds, frames)
    const end = run[walRun.end]
    if (end === this.#at) {
      // Of another writer, maybe, whose records are all looked at one by one.
      this.#ahead = Math.min(ROWS, this.#ahead * 2)
      return false
    }
    this.#ahead = 1
    this.crc = run[walRun.crc]
    this.#at = end
    this.offset = this.#base + end
    return true
  }

  /** The record makes no sense to who understands its data: it counts as not read. */
  reject(reason: string): void {
    this.reason = reason
    this.crc = this.#crcBefore
    this.#at -= this.offset - this.recordOffset
    this.offset = this.recordOffset
    this.#rowCount = 0
  }

  /** `bytes` bytes were read into the window as asked; 0 means that the file ends there. */
  filled(bytes: number): void {
    this.#end += bytes
    if (bytes === 0) this.#fileBytes = this.#base + this.#end
  }

  #takeRow(): WalStep {
    const rows = this.#rows
    const at = this.#row++ * WAL_ROW
    this.type = rows[at]
    this.recordOffset = this.#base + rows[at + 1]
    this.dataStart = rows[at + 2]
    this.dataEnd = rows[at + 3]
    this.#at = rows[at + 4]
    this.#crcBefore = this.crc
    this.crc = rows[at + 5]
    this.offset = this.#base + this.#at
    return 'record'
  }

  #forgetBreak(): void {
    this.reason = ''
    this.intactAt = undefined
    this.#rest = undefined
    this.#brokenEnd = 0
  }

  /** A verdict on the end of a segment may depend on all that follows. */
  #lookBehind(verdict: 'end' | 'torn' | 'corrupt'): WalStep {
    const matters = verdict === 'end' || this.#last
    if (!this.checksRest || !matters || this.#fileBytes <= this.offset) return verdict
    this.#verdict = verdict
    this.#rest = new WalRest(this.offset, this.#fileBytes, this.commit)
    return this.#scanRest(this.#rest)
  }

  #scanRest(rest: WalRest): WalStep {
    const isEnd = this.#base + this.#end >= this.#fileBytes
    this.#at += rest.scan(this.window, this.#at, this.#end, this.#base + this.#at, isEnd)
    if (!isEnd && rest.intactAt === undefined) return this.#want(this.#end - this.#at + 1)
    this.#rest = undefined
    return this.#conclude(rest)
  }

  #conclude(rest: WalRest): WalStep {
    const isEnd = this.#verdict === 'end'
    if (isEnd && rest.end === this.offset && rest.intactAt === undefined) return 'end'
    if (isEnd) this.reason = 'a frame of zeros with other bytes behind it'
    if (!this.#last) return this.#corrupt(`${this.reason}; more segments follow`)
    this.intactAt = rest.intactAt
    if (rest.intactAt !== undefined) {
      this.reason += `; whole batches follow at offset ${rest.intactAt}`
      // A record that is whole, and makes no sense, is explained by no hole.
      const isWhole = this.#verdict === 'corrupt' && this.#brokenEnd === 0
      return rest.hasLostSector && !isWhole ? 'torn' : 'corrupt'
    }
    if (isEnd) return rest.beginsWithLostSector ? 'torn' : 'corrupt'
    if (this.#verdict === 'corrupt' && rest.end < this.#brokenEnd) {
      this.reason += '; it is all zeros from there to the end of the file'
      return 'torn'
    }
    return this.#verdict
  }

  /** One record the long way round, with the verdict on whatever is wrong with it. */
  #judge(): WalStep {
    const left = this.#fileBytes - this.offset
    if (left <= 0) return 'end'
    if (left < FRAME_HEADER_BYTES) return this.#unexpectedEnd(`${left} bytes left, too few for a frame`)
    if (this.#end - this.#at < FRAME_HEADER_BYTES) return this.#want(FRAME_HEADER_BYTES)
    const low = this.window.readUInt32LE(this.#at)
    const high = this.window.readUInt32LE(this.#at + 4)
    if (low === 0 && high === 0) return 'end'
    const length = low + (high & 0xff_ffff) * 2 ** 32
    const padding = -low & 7
    const frameBytes = FRAME_HEADER_BYTES + length + padding
    if (frameBytes > left) {
      return this.#unexpectedEnd(`a record of ${length} bytes where ${left - FRAME_HEADER_BYTES} are left`)
    }
    if (this.#end - this.#at < frameBytes) return this.#want(frameBytes)
    const start = this.#at + FRAME_HEADER_BYTES
    const end = start + length
    if (high >>> 24 !== (padding === 0 ? 0 : 0x80 | padding))
      return this.#damaged(start, end, 'wrong padding')
    return this.#judgeRecord(start, end, frameBytes)
  }

  #judgeRecord(start: number, end: number, frameBytes: number): WalStep {
    const record = decodeRecord(this.window, start, end)
    if (record === undefined) return this.#damaged(start, end, 'not a record')
    let crc = record.crc
    if (record.type === CRC) {
      if (this.crc !== 0 && crc !== this.crc) {
        return this.#corrupt('the checksum does not follow on what was before; records are missing')
      }
    } else {
      crc = native.crc32c(this.window, this.crc, record.dataStart, record.dataEnd)
      if (crc !== record.crc) return this.#damaged(start, end, 'wrong checksum')
      if (recordName(record.type) === undefined) return this.#corrupt(`unknown record type ${record.type}`)
      if (this.offset === 0) return this.#corrupt('the segment does not start with a checksum record')
    }
    this.type = record.type
    this.#crcBefore = this.crc
    this.crc = crc
    this.dataStart = record.dataStart
    this.dataEnd = record.dataEnd
    this.recordOffset = this.offset
    this.#at += frameBytes
    this.offset += frameBytes
    return 'record'
  }

  #damaged(start: number, end: number, reason: string): WalStep {
    this.#brokenEnd = this.#base + end
    if (this.#last && this.#hasZeroSector(start, end)) {
      this.reason = `${reason}; a sector of it was never written`
      return 'torn'
    }
    return this.#corrupt(reason)
  }

  #unexpectedEnd(reason: string): WalStep {
    if (!this.#last) return this.#corrupt(`${reason}; more segments follow`)
    this.reason = reason
    return 'torn'
  }

  #corrupt(reason: string): WalStep {
    this.reason = reason
    return 'corrupt'
  }

  /** Whether a piece of the record, split where the file's sectors end, is all zeros. */
  #hasZeroSector(start: number, end: number): boolean {
    let at = start
    while (at < end) {
      const stop = Math.min(end, at + SECTOR_BYTES - ((this.#base + at) % SECTOR_BYTES))
      if (this.window.subarray(at, stop).every((byte) => byte === 0)) return true
      at = stop
    }
    return false
  }

  /** Makes room in the window for what `next` asked for; what lay before the current offset is overwritten. */
  makeRoom(): void {
    const kept = this.#end - this.#at
    const tooLarge = this.window.length > WINDOW_BYTES && this.#wanted <= WINDOW_BYTES
    if (this.#wanted > this.window.length || tooLarge) {
      const window = Buffer.allocUnsafe(Math.max(WINDOW_BYTES, this.#wanted))
      this.window.copy(window, 0, this.#at, this.#end)
      this.window = window
    } else this.window.copyWithin(0, this.#at, this.#end)
    this.#base += this.#at
    this.#at = 0
    this.#end = kept
    this.fillOffset = kept
    this.fillPosition = this.#base + kept
    this.fillBytes = Math.min(this.window.length - kept, this.#fileBytes - this.fillPosition)
  }

  /** Asks for at least `bytes` from the current offset on; never for more than the file holds. */
  #want(bytes: number): WalStep {
    this.#wanted = bytes
    return 'more'
  }
}
