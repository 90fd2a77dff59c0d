// The storage of a write-ahead log: appends batches to the last segment, syncs, cuts, and moves to a new segment
// after a failure. What is not on disk yet is kept in memory, so that it can be written again there.

import { errorMessage, LogboomError } from '../../base/errors.ts'
import { MAX_INDEX, MEMBER, segmentName, TERM } from '../../formats/wal.ts'
import { CONF_STATE, WalEncoder } from '../../formats/wal-encoder.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { syncFolder } from '../../io/open-file.ts'
import { Patience } from './patience.ts'
import { reencode } from './reencode.ts'
import type { Segment } from './segment.ts'
import { SegmentSupply } from './segment-supply.ts'
import type { IndexRange, WalRecords, WriterCounters, WriterHooks, WriterOptions } from './writer-contract.ts'

/** A place in what was appended, to go back to. */
interface Mark {
  readonly turn: number
  readonly length: number
  readonly crc: number
  readonly nextIndex: bigint
}

export class LogWriter {
  nextIndex: bigint
  /** Index of the last entry that is on disk. */
  durableIndex: bigint
  failure: LogboomError | undefined
  readonly #disk: Disk
  readonly #options: WriterOptions
  readonly #counters: WriterCounters
  readonly #hooks: WriterHooks
  readonly #supply: SegmentSupply
  readonly #patience: Patience
  #segment: Segment
  /** Checksum at the end of what is on disk, and that end in the segment. */
  #durableCrc: number
  #durableEnd: number
  /** What was appended since the running sync began, and what that sync covers. */
  #tail: WalEncoder
  #syncing: WalEncoder | undefined
  #spare: WalEncoder | undefined
  /** Changes whenever the tail begins anew. */
  #turn = 0
  /** The segment failed: nothing is written before `#moveOn` has succeeded. */
  #broken = false
  /** The failed segment has been cut to what is on disk. */
  #sealed = false
  #running: Promise<void> | undefined
  /** Changes whenever the result of a running sync has become meaningless. */
  #epoch = 0

  constructor(
    disk: Disk,
    options: WriterOptions,
    counters: WriterCounters,
    hooks: WriterHooks,
    segment: Segment,
    position: { crc: number; index: bigint }
  ) {
    this.#disk = disk
    this.#options = options
    this.#counters = counters
    this.#hooks = hooks
    this.#segment = segment
    this.#patience = new Patience(options.patience)
    this.#supply = new SegmentSupply(disk, options, counters)
    this.nextIndex = position.index + 1n
    this.durableIndex = position.index
    this.#durableCrc = position.crc
    this.#durableEnd = segment.used
    this.#tail = new WalEncoder(position.crc)
  }

  get lastIndex(): bigint {
    return this.nextIndex - 1n
  }

  get segmentPath(): string {
    return this.#segment.path
  }

  get unsyncedBytes(): number {
    return this.#tail.length + (this.#syncing?.length ?? 0)
  }

  /**
   * Appends each batch, to be recovered whole or not at all. When it throws, none of them is in the log: `ERR_IO`
   * if trying again may help, `ERR_WAL_FAILED`, `ERR_INDEX_OVERFLOW`.
   */
  append(batches: readonly WalRecords[]): IndexRange[] {
    this.#refuse(batches)
    const mark = this.#mark()
    const ranges = batches.map((batch) => this.#encode(batch))
    const bytes = this.#tail.length - mark.length
    try {
      this.#writeTail(mark.length)
    } catch (error) {
      throw this.#takeBack(mark, error)
    }
    this.#appended(mark, bytes)
    return ranges
  }

  /** Like `append`, and on disk when it returns. */
  appendNow(batch: WalRecords): IndexRange {
    this.#refuse([batch])
    const mark = this.#mark()
    const range = this.#encode(batch)
    const bytes = this.#tail.length - mark.length
    try {
      if (!this.#writeAloneNow(mark)) {
        this.#writeTail(mark.length)
        this.syncNow()
      }
    } catch (error) {
      throw this.#takeBack(mark, error)
    }
    this.#appended(mark, bytes)
    return range
  }

  /** Resolves when everything appended before is on disk. Rejects with `ERR_WAL_FAILED` only. */
  async sync(): Promise<void> {
    const target = this.lastIndex
    while (this.durableIndex < target) {
      if (this.failure !== undefined) throw this.failure
      this.#running ??= this.#syncOnce().finally(() => {
        this.#running = undefined
      })
      await this.#running
    }
  }

  /** The same, blocking the thread. Throws `ERR_IO` if trying again may help, or `ERR_WAL_FAILED`. */
  syncNow(): void {
    if (this.failure !== undefined) throw this.failure
    if (this.unsyncedBytes === 0) return
    if (!this.#broken && this.#syncSegment()) return
    try {
      this.#moveOn()
    } catch (error) {
      throw this.#judge(error)
    }
  }

  /** Notes a snapshot durably. Throws like `syncNow`. */
  recordSnapshot(index: bigint): void {
    this.syncNow()
    const mark = this.#mark()
    this.#tail.writeSnapshot({ index, term: TERM }, CONF_STATE)
    try {
      this.#writeTail(mark.length)
      this.syncNow()
    } catch (error) {
      throw this.#takeBack(mark, error)
    }
  }

  /** Writes out what can be written and frees everything. Throws `ERR_WAL_FAILED` if records could not be. */
  async close(): Promise<void> {
    this.#patience.end()
    await this.#running?.catch(() => {})
    await this.#supply.close()
    try {
      if (this.failure === undefined) this.syncNow()
    } catch (error) {
      this.fail(error)
    }
    if (this.#broken) this.#segment.close()
    else this.#segment.finish()
    if (this.failure !== undefined && this.durableIndex < this.lastIndex) throw this.failure
  }

  /** Failures are not waited out any more. */
  end(): void {
    this.#patience.end()
  }

  /** Resolves after a while, longer each time as long as writing fails. */
  waitToRetry(): Promise<void> {
    return this.#patience.wait()
  }

  /** Ends writing for good. */
  fail(cause: unknown): LogboomError {
    if (this.failure !== undefined) return this.failure
    const { walDir } = this.#options
    const message = `the log in ${walDir} failed: ${errorMessage(cause)}`
    this.failure = new LogboomError('ERR_WAL_FAILED', message, { path: walDir, cause })
    this.#hooks.failed(this.failure, this.#kept(), this.#durableCrc)
    return this.failure
  }

  #refuse(batches: readonly WalRecords[]): void {
    if (this.failure !== undefined) throw this.failure
    let count = 0n
    for (const batch of batches) count += BigInt(batch.length)
    if (this.lastIndex + count <= MAX_INDEX) return
    const message = `${count} records do not fit behind index ${this.lastIndex}`
    throw new LogboomError('ERR_INDEX_OVERFLOW', message, { path: this.#options.walDir })
  }

  #encode(batch: WalRecords): IndexRange {
    const firstIndex = this.nextIndex
    const lastIndex = this.#tail.writeBatch(firstIndex, batch)
    this.nextIndex = lastIndex + 1n
    return { firstIndex, lastIndex }
  }

  #appended(mark: Mark, bytes: number): void {
    this.#counters.records += Number(this.nextIndex - mark.nextIndex)
    this.#counters.bytes += bytes
    if (this.#segment.used >= this.#options.segmentBytes) this.#cut()
    this.#supply.consider(this.#segment)
  }

  /** What was appended and is not known to be on disk. */
  #kept(): Uint8Array[] {
    return this.#syncing === undefined ? [this.#tail.bytes] : [this.#syncing.bytes, this.#tail.bytes]
  }

  #mark(): Mark {
    const { length, crc } = this.#tail
    return { turn: this.#turn, length, crc, nextIndex: this.nextIndex }
  }

  /** Writes the tail from `from` on to the segment, or all that is kept to a new one. */
  #writeTail(from: number): void {
    if (!this.#broken) {
      try {
        this.#segment.write(this.#tail.bytes.subarray(from))
        failpoint('wal-written')
        return
      } catch (error) {
        this.#break(error)
      }
    }
    this.#moveOn()
  }

  /** Writes and syncs what follows `mark` in one call, where it is all there is to sync; false if it is not on disk. */
  #writeAloneNow(mark: Mark): boolean {
    if (this.#broken || mark.length > 0 || this.#syncing !== undefined) return false
    try {
      this.#segment.writeNow(this.#tail.bytes)
    } catch (error) {
      this.#break(error)
      return false
    }
    failpoint('wal-synced')
    this.#advance(this.#segment.used, this.#tail.crc)
    return true
  }

  /** Forgets what was appended since `mark` and could not be written; whether that may pass decides what to throw. */
  #takeBack(mark: Mark, error: unknown): LogboomError {
    if (this.#turn === mark.turn) {
      this.#tail.rewind(mark.length, mark.crc)
      this.nextIndex = mark.nextIndex
    }
    return this.#judge(error)
  }

  #judge(error: unknown): LogboomError {
    if (this.failure !== undefined) return this.failure
    return this.#patience.isOver(error) ? this.fail(error) : this.#ioError(error)
  }

  #ioError(error: unknown): LogboomError {
    if (error instanceof LogboomError) return error
    const { walDir } = this.#options
    return new LogboomError('ERR_IO', `${walDir}: ${errorMessage(error)}`, { path: walDir, cause: error })
  }

  #break(error: unknown): void {
    this.#counters.errors++
    this.#broken = true
    this.#sealed = false
    this.#hooks.warning(this.#ioError(error))
  }

  async #syncOnce(): Promise<void> {
    if (this.#broken) return this.#heal()
    const encoder = this.#tail
    const lastIndex = this.lastIndex
    const end = this.#segment.used
    const epoch = this.#epoch
    this.#syncing = encoder
    this.#tail = this.#spare ?? new WalEncoder()
    this.#tail.reset(encoder.crc)
    this.#spare = undefined
    this.#turn++
    try {
      await this.#segment.sync()
      failpoint('wal-synced')
    } catch (error) {
      if (epoch !== this.#epoch) return
      if (!this.#broken) this.#break(error)
      return this.#heal()
    }
    if (epoch !== this.#epoch) return
    this.durableIndex = lastIndex
    this.#syncing = undefined
    this.#spare = encoder
    this.#durableCrc = encoder.crc
    this.#durableEnd = end
  }

  /** Moves on to a new segment, however often it takes, as long as the causes may pass. */
  async #heal(): Promise<void> {
    let told = false
    for (;;) {
      if (this.failure !== undefined) throw this.failure
      if (!this.#broken) break
      try {
        this.#moveOn()
        break
      } catch (error) {
        if (this.#patience.isOver(error)) throw this.fail(error)
        if (!told) this.#hooks.degraded(this.#ioError(error))
        told = true
      }
      await this.#patience.wait()
    }
    if (told) this.#hooks.recovered()
  }

  #syncSegment(): boolean {
    try {
      this.#segment.syncNow()
      failpoint('wal-synced')
    } catch (error) {
      this.#break(error)
      return false
    }
    this.#advance(this.#segment.used, this.#tail.crc)
    return true
  }

  /**
   * Leaves a failed segment: cuts it to what is on disk, and writes all that is kept to a new one, durably. May be
   * called again after it threw. A failed sync is never repeated on the same file: the kernel has marked its pages
   * clean, so it would succeed and lie.
   */
  #moveOn(): void {
    if (!this.#sealed) {
      // A sync that is running may be about to cover what is cut off here.
      this.#epoch++
      this.#segment.seal(this.#durableEnd)
      this.#sealed = true
      failpoint('wal-sealed')
    }
    this.#openNext((encoder) => {
      let crc = this.#durableCrc
      for (const bytes of this.#kept()) crc = reencode(bytes, crc, encoder)
    })
  }

  /** Begins a new segment. If that does not work the old one simply goes on. */
  #cut(): void {
    try {
      this.syncNow()
      if (this.#segment.used >= this.#options.segmentBytes) this.#finishSegment()
    } catch (error) {
      if (this.failure !== undefined || this.#broken) return
      this.#counters.errors++
      this.#hooks.warning(this.#ioError(error))
    }
  }

  #finishSegment(): void {
    try {
      this.#segment.truncate(this.#segment.used)
    } catch (error) {
      this.#break(error)
    }
    if (this.#broken) this.#moveOn()
    else this.#openNext(() => {})
  }

  #openNext(fill: (encoder: WalEncoder) => void): void {
    const { walDir, metadata } = this.#options
    const next = this.#supply.take()
    const old = this.#segment
    const encoder = new WalEncoder(this.#durableCrc)
    let renamed = false
    try {
      encoder.writeCrc()
      encoder.writeMetadata(metadata)
      if (this.durableIndex > 0n) {
        encoder.writeState({ term: TERM, vote: MEMBER, commit: this.durableIndex })
      }
      fill(encoder)
      next.write(encoder.bytes)
      next.syncNow()
      failpoint('wal-created')
      next.rename(segmentName(old.name.sequence + 1n, this.durableIndex + 1n))
      renamed = true
      failpoint('wal-renamed')
      syncFolder(this.#disk, walDir)
    } catch (error) {
      this.#undo(next, renamed, error)
      throw error
    }
    const bytes = old.used
    old.close()
    this.#segment = next
    this.#broken = false
    this.#patience.reset()
    this.#counters.rotations++
    this.#advance(next.used, encoder.crc)
    this.#hooks.rotated(old.path, next.path, bytes)
  }

  /** A segment that is in place but not in use would contradict what the old one gets to hold. */
  #undo(next: Segment, renamed: boolean, cause: unknown): void {
    if (!this.#supply.discard(next) && renamed) this.fail(cause)
  }

  /** Everything kept is on disk now, and ends at `end` of the segment. */
  #advance(end: number, crc: number): void {
    this.durableIndex = this.lastIndex
    this.#epoch++
    this.#syncing = undefined
    this.#tail.reset(crc)
    this.#turn++
    this.#durableCrc = crc
    this.#durableEnd = end
  }
}
