// The write-ahead log: durable, checksummed, indexed records in etcd's WAL format, with snapshots.
import { argumentError } from '../../base/bytes.ts'
import { errorMessage, LogboomError } from '../../base/errors.ts'
import { type RepairedSegment, repairLog } from '../../repair/wal.ts'
import { openQueue } from '../lane/open-queue.ts'
import { FrameQueue } from '../queue/payload-queue.ts'
import { Account } from '../sink/account.ts'
import { writeAtExit } from '../sink/at-exit.ts'
import type { Durability, SinkStats } from '../sink/contract.ts'
import { internals, withInternals } from '../sink/internals.ts'
import { warnOfOtherMachines } from '../sink/other-machines.ts'
import { Pump } from '../sink/pump.ts'
import { PumpedSink } from '../sink/pumped-sink.ts'
import { type Batch, takeBatch } from './batch.ts'
import type { ConsumerOptions } from './consumer-options.ts'
import type { Entry } from './entries.ts'
import { type ParsedWalOptions, parseWalOptions, type WriteAheadLogOptions } from './options.ts'
import { endlessPatience } from './patience.ts'
import type { RunningLog } from './running-log.ts'
import type { Snapshot } from './snapshots.ts'
import { verifyLog, type WalReport } from './verify.ts'
import { type ConsumerHost, WalConsumer } from './wal-consumer.ts'
import { WalTarget } from './wal-target.ts'
import type { IndexRange, WalRecords } from './writer-contract.ts'

export class WriteAheadLog extends PumpedSink {
  readonly #options: ParsedWalOptions
  readonly #input: WriteAheadLogOptions
  readonly #account: Account
  readonly #internals = internals()
  /** Whether records are acknowledged only when they are on disk. */
  readonly #isDurable: boolean
  #target: WalTarget
  #pump: Pump
  readonly #consumers = new Set<WalConsumer>()
  #isPumpOpen = false
  #startLane: () => void = () => {}
  /** Whether lines may wait in front of a batch. */
  #hasLines = false
  #closing: Promise<void> | undefined
  #starting: Promise<void> | undefined
  #failure: LogboomError | undefined
  #failed: Promise<never> = neverRejected()
  #rejectFailed: (error: LogboomError) => void = () => {}

  /** Checks the options (`ERR_OPTION`); `start` opens the log. */
  constructor(input: WriteAheadLogOptions) {
    super()
    const options = parseWalOptions(input)
    this.#options = options
    this.#input = input
    this.#isDurable = options.durability === 'disk' && options.syncInterval === 0
    this.#account = new Account(this, options.walDir, options.fallback)
    warnOfOtherMachines(this.#account, options.walDir)
    const { target, pump } = this.#createPump()
    this.#target = target
    this.#pump = pump
  }

  /** Creates a log object and starts it. */
  static async open(options: WriteAheadLogOptions): Promise<WriteAheadLog> {
    const log = new WriteAheadLog(options)
    await log.start()
    return log
  }

  /**
   * Like `open` for transports: where opening or writing fails for a reason that may pass, it is tried again and again
   * for as long as it takes.
   */
  static openSync(options: WriteAheadLogOptions): WriteAheadLog {
    const patience = internals().patience ?? endlessPatience
    const log = withInternals({ patience }, () => new WriteAheadLog(options))
    log.#openPump()
    return log
  }

  /**
   * Opens the folder and recovers what is there; blocks the thread meanwhile. A log that has failed is opened anew.
   * Rejects with `ERR_LOCKED`, `ERR_CORRUPT`, `ERR_FORMAT`, `ERR_OPTION` (other metadata), `ERR_NOT_FILE`, `ERR_CLOSED`
   * or `ERR_IO`.
   */
  async start(): Promise<void> {
    if (this.#closing !== undefined) throw this.#target.closedError()
    if (this.#failure !== undefined) {
      this.#starting ??= this.#startAgain().finally(() => {
        this.#starting = undefined
      })
      await this.#starting
      if (this.#closing !== undefined) throw this.#target.closedError()
    }
    this.#use()
  }

  /** Index of the last entry that is on disk; 0 if there is none. */
  get durableIndex(): bigint {
    return this.#target.running?.writer.durableIndex ?? 0n
  }

  /** Index of the last entry; 0 if there is none. */
  get lastIndex(): bigint {
    return this.#target.running?.writer.lastIndex ?? 0n
  }

  /** Index of the last entry that a released snapshot covers; 0 if there is none. */
  get snapshotIndex(): bigint {
    return this.#target.running?.snapshots.releasedIndex ?? 0n
  }

  override write(chunk: string | Uint8Array): boolean {
    this.#hasLines = true
    if (!this.#isPumpOpen) this.#openForWriting()
    return super.write(chunk)
  }

  /**
   * Appends the records as one batch: after a crash either all of them are there or none. Resolves with their
   * indices when they are on disk (with `syncInterval` or `durability: 'os'`: when the kernel has them). The array is
   * copied; bytes in it must not change before. An empty batch resolves at once, with a range that ends before it begins.
   * Rejects with `ERR_ARGUMENT`, `ERR_WAL_FAILED`, `ERR_INDEX_OVERFLOW`, `ERR_TOO_LARGE`, `ERR_OVERFLOW`, `ERR_CLOSED`,
   * and, where it is the first call, with what `start` rejects with. With `overflow: 'block'` it blocks the thread while
   * `maxBufferBytes` wait.
   */
  log(batch: WalRecords): Promise<IndexRange> {
    try {
      return this.#log(batch)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * The same on this thread, behind the batches of `log` before: the records are on disk when it returns, whatever the
   * options. Throws the same, `ERR_IO` if the disk fails and trying again may help, and `ERR_UNSUPPORTED` where nothing can
   * be on disk. Then they are taken out of the log again, or will be before anything else is appended: only a death before
   * that, of a process whose disk refuses everything, may let the next start find them, behind all others.
   */
  logSync(batch: WalRecords): IndexRange {
    const taken = this.#take('logSync', batch)
    if (taken.records.length === 0) return this.#emptyRange()
    const { writer, retention } = this.#use()
    this.#target.requireDisk()
    if (this.#hasLines) this.#writeLines()
    this.#target.commits.appendNow()
    const range = writer.appendNow(taken.records)
    this.#target.requireDisk()
    retention.checkNow()
    return range
  }

  /**
   * The entries since the last released snapshot, or undefined if there are none. Only one snapshot is out at a
   * time: a second call waits for the release of the first.
   */
  async createSnapshot(): Promise<Snapshot | undefined> {
    if (this.#closing !== undefined) throw this.#target.closedError()
    return this.#use().snapshots.create()
  }

  /**
   * Opens the consumer `name` of this log, which is made if it is new: it takes entries in order and acknowledges them, and
   * the log keeps what the slowest one still needs. Rejects with `ERR_LOCKED` if it is open elsewhere, and with what
   * `WalConsumer.open` rejects with.
   */
  async consumer(name: string, options: ConsumerOptions = {}): Promise<WalConsumer> {
    if (this.#closing !== undefined) throw this.#target.closedError()
    const { snapshots } = this.#use()
    const { walDir, mode, dirMode, foreignOwner } = this.#options
    const running = (): RunningLog => this.#use()
    const host: ConsumerHost = {
      file: { mode, dirMode, foreignOwner },
      snapDir: this.#options.snapDir,
      get lastIndex() {
        return running().writer.lastIndex
      },
      get durableIndex() {
        return running().writer.durableIndex
      },
      sync: () => running().writer.sync(),
      acknowledged: () => this.#target.running?.retention.check(),
      closed: (consumer) => this.#consumers.delete(consumer)
    }
    const consumer = await WalConsumer.openIn(this.#internals.disk, walDir, name, options, host)
    this.#consumers.add(consumer)
    // Who takes snapshots is a consumer, too.
    if (snapshots.hasConsumer) snapshots.noteConsumer()
    if (this.#closing !== undefined) await consumer.close()
    return consumer
  }

  /**
   * The entries from `fromIndex` (default: the first there is) up to the last one on disk now. `ERR_NOT_FOUND` if
   * they begin with entries that were removed after a snapshot.
   */
  async *read(fromIndex?: bigint): AsyncGenerator<Entry, void, undefined> {
    if (fromIndex !== undefined && typeof fromIndex !== 'bigint') {
      throw argumentError('read', 'an index, a bigint', fromIndex)
    }
    const { writer, snapshots } = this.#use()
    const { walDir } = this.#options
    const to = writer.durableIndex
    const first = snapshots.firstIndex()
    if (fromIndex !== undefined && fromIndex < first && first > 1n) {
      const message = `entries before ${first} were removed from ${walDir} after a snapshot`
      throw new LogboomError('ERR_NOT_FOUND', message, { path: walDir })
    }
    yield* snapshots.read(fromIndex ?? first, to)
  }

  /** Reads everything and reports what is wrong, also what keeps the log from being opened; changes nothing. */
  async verify(): Promise<WalReport> {
    const { walDir, snapDir, foreignOwner } = this.#options
    return this.#withCode(() => verifyLog(walDir, { disk: this.#internals.disk, snapDir, foreignOwner }))
  }

  /**
   * Makes a damaged log one that can be opened: cuts it off at the damage, keeping every file that is changed or removed
   * as `.broken`. Only before `start`, which does the harmless part (a torn tail) by itself. Throws `ERR_LOCKED`.
   */
  async repair(): Promise<RepairedSegment[]> {
    if (this.#target.running !== undefined) return []
    const { walDir, snapDir } = this.#options
    const repaired = await this.#withCode(async () =>
      repairLog(walDir, this.#internals.disk, snapDir, this.#options.foreignOwner)
    )
    for (const { path, bytes } of repaired) this.#account.repaired(path, bytes)
    return repaired
  }

  override async flush(to?: Parameters<PumpedSink['flush']>[0]): Promise<void> {
    if (typeof to === 'function') return this.flush().then(() => to(), to)
    const level = to === undefined ? this.#flushLevel() : to
    await Promise.race([this.#flush(level), this.#failed])
  }

  override flushSync(to: Durability = this.#flushLevel()): void {
    super.flushSync(to)
    if (to === 'none') return
    this.#target.commits.appendNow()
    if (to !== 'disk') return
    this.#target.running?.writer.syncNow()
    this.#target.requireDisk()
  }

  override close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** @internal */
  override closeNow(): boolean {
    if (this.#consumers.size > 0 || !super.closeNow()) return false
    this.#closing ??= super.close()
    return true
  }

  /** @internal */
  override hurry(): void {
    super.hurry()
    this.#target.hurry()
  }

  override stats(): SinkStats {
    const stats = super.stats()
    if (stats.state === 'open' && this.#target.running === undefined) return { ...stats, state: 'opening' }
    return stats
  }

  #log(batch: WalRecords): Promise<IndexRange> {
    const taken = this.#take('log', batch)
    const { length } = taken.records
    if (length === 0) return Promise.resolve(this.#emptyRange())
    if (this.#hasLines) this.#writeLines()
    const { commits } = this.#target
    if (commits.queuedBytes > 0 && commits.queuedBytes + taken.bytes > this.#options.maxBufferBytes) {
      this.#makeRoom(taken)
    }
    const logged = commits.push(taken)
    writeAtExit(this.#pump)
    return logged
  }

  #take(entry: string, batch: unknown): Batch {
    const taken = takeBatch(entry, batch, this.#options.walDir)
    if (this.#closing !== undefined) throw this.#target.closedError()
    if (this.#failure !== undefined && taken.records.length > 0) throw this.#failure
    return taken
  }

  #emptyRange(): IndexRange {
    return { firstIndex: this.lastIndex + 1n, lastIndex: this.lastIndex }
  }

  /** Lines that were written before a batch come before it. What cannot be written now waits, and the batch does not. */
  #writeLines(): void {
    if (this.#pump.writeNow()) this.#hasLines = false
  }

  #makeRoom({ records }: Batch): void {
    if (this.#options.overflow === 'block') {
      this.#target.commits.appendBlocking()
      return
    }
    this.#account.counters.dropped += records.length
    const { maxBufferBytes, walDir } = this.#options
    const message = `more than ${maxBufferBytes} bytes wait to be written to ${walDir}`
    throw new LogboomError('ERR_OVERFLOW', message, { path: walDir })
  }

  async #flush(level: Durability): Promise<void> {
    // Both are asked at once: what was asked before `close` is not refused because of it.
    await Promise.all([super.flush(level), this.#target.commits.idle()])
    if (level !== 'disk') return
    await this.#target.running?.writer.sync()
    this.#target.requireDisk()
  }

  #flushLevel(): Durability {
    return this.#options.durability === 'none' ? 'os' : this.#options.durability
  }

  async #close(): Promise<void> {
    // At once, so that nothing is accepted any more.
    const closed = this.#pump.close()
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()))
    await this.#starting?.catch(() => {})
    await closed
    if (this.#failure !== undefined) throw this.#failure
  }

  #createPump(): { target: WalTarget; pump: Pump } {
    const options = this.#options
    this.#failed = new Promise((_, reject) => {
      this.#rejectFailed = reject
    })
    this.#failed.catch(() => {})
    const target = new WalTarget(options, this.#isDurable, this.#account, this.#internals, {
      degraded: (error) => pump.targetFailed(error),
      recovered: () => pump.targetRecovered(),
      failed: (error) => {
        this.#failure = error
        this.#rejectFailed(error)
        pump.failForGood(error)
      }
    })
    const durability = this.#isDurable || options.durability === 'none' ? options.durability : 'os'
    const { queue, lane, start, maxBufferBytes } = openQueue({
      ...options,
      account: this.#account,
      kind: 'wal',
      given: this.#input,
      place: { walDir: undefined, dir: options.walDir, instance: 'exclusive' },
      memory: new FrameQueue('lines'),
      format: { unit: 'line' },
      rules: { settles: true, keeps: this.#isDurable, isStaging: false }
    })
    if (lane !== undefined) target.noteIn(lane)
    const pump: Pump = new Pump(this.#account, { ...options, durability, maxBufferBytes }, queue, target)
    this.#startLane = () => start(() => pump.writeNow())
    this.attach(pump)
    this.#isPumpOpen = false
    return { target, pump }
  }

  /** `waits`: what refuses the log, such as another owner, may pass, and is asked again. */
  #openPump(waits = false): void {
    if (this.#isPumpOpen) return
    this.#pump.open(waits)
    this.#isPumpOpen = true
    this.#startLane()
  }

  /** What keeps a log that was not started from being opened is no reason to refuse a line: it waits. */
  #openForWriting(): void {
    if (this.#closing === undefined) this.#openPump(true)
  }

  #use(): RunningLog {
    if (this.#target.running !== undefined) return this.#target.running
    if (this.#closing !== undefined) throw this.#target.closedError()
    const running = this.#target.log()
    this.#openPump()
    return running
  }

  /** Frees what is left of the log that failed, and begins anew with the same object. */
  async #startAgain(): Promise<void> {
    // What it could not write was counted and reported when it failed.
    await this.#pump.close().catch(() => {})
    if (this.#closing !== undefined) return
    this.#failure = undefined
    const { target, pump } = this.#createPump()
    this.#target = target
    this.#pump = pump
  }

  async #withCode<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof LogboomError) throw error
      const { walDir } = this.#options
      const message = `${walDir}: ${errorMessage(error)}`
      throw new LogboomError('ERR_IO', message, { path: walDir, cause: error })
    }
  }
}

function neverRejected(): Promise<never> {
  return new Promise(() => {})
}
