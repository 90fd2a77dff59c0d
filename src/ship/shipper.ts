// Ships a log to another store: reads it by cursors, sends batches whose borders were noted before, tries again for as long as
// it takes, and moves its checkpoint over what the target has without a gap.
import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { basename, dirname, join, resolve } from 'node:path'
import { monotonicMs } from '../base/clock.ts'
import { LogboomError } from '../base/errors.ts'
import { requireObject } from '../base/options.ts'
import { realDisk } from '../io/disk.ts'
import { Attempts } from './attempts.ts'
import { BatchCutter, type CutBatch } from './batches.ts'
import { Beat, type Sending } from './beat.ts'
import { Checkpoint } from './checkpoint.ts'
import { removeDone } from './done-files.ts'
import type { Lag } from './lag.ts'
import { type ParsedShipperOptions, parseShipperOptions, type ShipperOptions } from './options.ts'
import { Registration } from './registration.ts'
import { keepRejected } from './rejected.ts'
import { resumeFrom } from './resume.ts'
import { refusedError, requireRemoval, requireSource, withLoss, wrongAnswer } from './ship-errors.ts'
import { NumberedRecord } from './ship-record.ts'
import { findSource, type SourceLog } from './source.ts'
import { type Refusal, RefusedError, type ShipBatch, type ShipRecord, type ShipTarget } from './target.ts'

const MINUTE_MS = 60_000
const noLag: Lag = { records: 0, bytes: 0, ms: 0 }
/** Of batches under way, unless a single one is larger. */
const MAX_SENDING_BYTES = 32 * 1024 * 1024

/**
 * One pass over a log of a folder: it ends with the log, or with the first error that may pass, and leaves the target open.
 * @internal
 */
export interface Pass {
  readonly event: string
  /** When the first pass began, and what the passes before it have shipped. */
  readonly startedAtMs: number
  readonly before: { records: number; bytes: number; rejected: number; retries: number }
}

export interface ShipperStats {
  /** Records that the target has, in this run, and their bytes. */
  records: number
  bytes: number
  batches: number
  rejected: number
  /** Attempts that failed and were made again. */
  retries: number
  /** Records read and not known to be in the target. */
  waitingRecords: number
  /** For how long the oldest of them have waited. */
  waitingMs: number
  /** How far the target is behind the log: records (of those not read yet an estimate), … */
  lagRecords: number
  /** … bytes, as stored where they were not read yet, … */
  lagBytes: number
  /** … and for how long the oldest record that it has not has been there. */
  lagMs: number
  /** How often records were removed from the log before they were shipped (`onLost: 'skip'`). */
  losses: number
  /** Of damaged files of the log, which are passed over. */
  skippedBytes: number
}

export interface ShipperEvents {
  /** Sending or noting fails, and is tried again. Once until `recovered`. */
  degraded: [error: Error]
  recovered: []
  rejected: [refusals: readonly Refusal[]]
  /** Records were removed from the log before they were shipped, and it goes on behind them (`onLost: 'skip'`). */
  lost: [error: Error]
  /** What does not keep it from shipping, such as that the log will not wait for it. */
  warning: [error: Error]
}

export class Shipper extends EventEmitter<ShipperEvents> {
  readonly #source: string
  readonly #target: ShipTarget
  readonly #options: ParsedShipperOptions
  readonly #stop = new AbortController()
  readonly #attempts: Attempts
  readonly #counters = { records: 0, bytes: 0, batches: 0, rejected: 0, losses: 0 }
  /** In the order of the log. */
  readonly #sending: Sending[] = []
  /** Waits for its turn to be one of them. */
  #next: Sending | undefined
  readonly #work = new Set<Promise<void>>()
  /** When records were refused, on the monotonic clock. */
  #refusedMs: number[] = []
  readonly #pass: Pass | undefined
  #areLines = true
  #skippedBytes = 0
  #cutter: BatchCutter | undefined
  #beat: Beat | undefined
  #failure: unknown
  #running: Promise<void> | undefined

  /** Throws `ERR_OPTION`. */
  constructor(given: ShipperOptions)
  /** @internal */
  constructor(given: ShipperOptions, pass: Pass)
  constructor(given: ShipperOptions, pass?: Pass) {
    super()
    this.#pass = pass
    requireObject('shipper', given)
    const { source, target, ...options } = given
    requireSource(source, target)
    this.#source = resolve(source)
    this.#target = target
    this.#options = parseShipperOptions(options)
    const news = {
      degraded: (error: Error) => void this.emit('degraded', error),
      recovered: () => void this.emit('recovered')
    }
    this.#attempts = new Attempts(this.#stop.signal, news, pass === undefined)
  }

  /** Its name among the consumers of the log. */
  get consumer(): string {
    return this.#options.consumer ?? `ship-${this.#target.name}`
  }

  get checkpointPath(): string {
    return resolve(this.#options.checkpoint ?? this.#beside(this.consumer))
  }

  get rejectedPath(): string {
    return resolve(this.#options.rejected ?? this.#beside('rejected'))
  }

  /**
   * Ships until the log ends, with `follow` until `stop`. Rejects with `ERR_LOCKED` if another shipper has the checkpoint
   * or the name, `ERR_CURSOR_LOST` if records that were not shipped are gone, `ERR_TARGET` if the target refuses too much,
   * `ERR_CORRUPT`, `ERR_IO`, `ERR_OPTION`.
   */
  run(): Promise<void> {
    this.#running ??= this.#run()
    return this.#running
  }

  /** Ends it; what is under way and not acknowledged is sent again by the next one. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running?.catch(() => {})
  }

  stats(): ShipperStats {
    const waitingRecords = this.#sending.reduce((sum, { cut }) => sum + cut.noted.records, 0)
    const waitingMs = this.#sending.length === 0 ? 0 : monotonicMs() - this.#sending[0].sinceMs
    const { records: lagRecords, bytes: lagBytes, ms: lagMs } = this.#beat?.lag() ?? noLag
    const skippedBytes = this.#skippedBytes + (this.#cutter?.skippedBytes ?? 0)
    const { retries } = this.#attempts
    return {
      ...this.#counters,
      retries,
      waitingRecords,
      waitingMs,
      lagRecords,
      lagBytes,
      lagMs,
      skippedBytes
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    const source = await findSource(this.#source, this.#options.follow, signal)
    if (source === undefined) return
    this.#areLines = source.areLines
    requireRemoval(source, this.#options.removeShipped)
    const checkpoint = Checkpoint.open(this.checkpointPath)
    let registration: Registration | undefined
    try {
      registration = await this.#register(source, checkpoint)
      await this.#takeOver(checkpoint)
      await this.#shipAll(source, checkpoint, registration)
      await Promise.all(this.#work)
      if (!this.#stop.signal.aborted) await this.#removeEnded(source, checkpoint)
    } catch (error) {
      this.#fail(withLoss(error, registration?.lost()))
    } finally {
      this.#stop.abort()
      await Promise.allSettled(this.#work)
      if (this.#pass === undefined) await this.#target.close?.().catch(() => {})
      this.#beat?.close(this.#failure, this.#pass !== undefined)
      registration?.close()
      await checkpoint.close()
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  async #register(source: SourceLog, checkpoint: Checkpoint): Promise<Registration> {
    const { cursor } = checkpoint.state
    const registration = await Registration.open(source, this.consumer, cursor)
    if (registration.obstacle !== undefined) {
      const message = `${this.#source} does not keep what was not shipped: ${registration.obstacle}`
      this.emit('warning', new LogboomError('ERR_RETENTION', message, { path: this.#source }))
    }
    const startedAtMs = this.#pass?.startedAtMs ?? Date.now()
    this.#beat = new Beat(source, registration, this.#target.name, startedAtMs, {
      cursor: () => checkpoint.state.cursor,
      attempts: this.#attempts,
      counters: () => this.#total(),
      sending: () => (this.#next === undefined ? this.#sending : [...this.#sending, this.#next]),
      reached: () => this.#cutter?.reached,
      isAtEnd: () => this.#cutter?.isAtEnd ?? true
    })
    await this.#beat.start(() => this.#removeEnded(source, checkpoint))
    return registration
  }

  /** In this run, or in all passes together. */
  #total() {
    const { records, bytes, rejected } = this.#counters
    const { retries } = this.#attempts
    const before = this.#pass?.before ?? { records: 0, bytes: 0, rejected: 0, retries: 0 }
    return {
      records: before.records + records,
      bytes: before.bytes + bytes,
      rejected: before.rejected + rejected,
      retries: before.retries + retries
    }
  }

  /** Goes on from what the target has, if it keeps that. */
  async #takeOver(checkpoint: Checkpoint): Promise<void> {
    const target = this.#target
    if (target.takeOver === undefined) return
    const { stream } = checkpoint.state
    const source = { stream, log: basename(this.#source), event: this.#pass?.event }
    const held = await this.#attempts.untilDone(async (signal) => await target.takeOver?.(source, signal))
    const state = resumeFrom(checkpoint.state, held, target.name)
    if (state === checkpoint.state) return
    checkpoint.state = state
    await this.#save(checkpoint)
  }

  /** Again from the oldest record that is left, where records were lost and that is to be passed over. */
  async #shipAll(source: SourceLog, checkpoint: Checkpoint, registration: Registration): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#ship(source, checkpoint)
        return
      } catch (error) {
        const isLoss = error instanceof LogboomError && error.code === 'ERR_CURSOR_LOST'
        if (!isLoss || this.#options.onLost === 'stop') throw error
        await Promise.all(this.#work)
        if (this.#stop.signal.aborted) return
        await this.#passLoss(checkpoint)
        await registration.passLoss()
        this.emit('lost', withLoss(error, registration.lost()) as Error)
      }
    }
  }

  async #ship(source: SourceLog, checkpoint: Checkpoint): Promise<void> {
    const { signal } = this.#stop
    const { follow, batchBytes, batchRecords, batchAge } = this.#options
    const bounds = { batchBytes, batchRecords, batchAgeMs: batchAge }
    const cutter = new BatchCutter(source, checkpoint.state, bounds, { follow, signal })
    this.#cutter = cutter
    try {
      for await (const cut of cutter.noted(checkpoint.state.pending)) await this.#send(checkpoint, cut)
      for await (const cut of cutter.fresh()) await this.#send(checkpoint, cut)
    } finally {
      this.#cutter = undefined
      this.#skippedBytes += cutter.skippedBytes
      await cutter.close()
    }
  }

  /** What was noted and cannot be read again keeps its numbers; nobody else is ever given them. */
  async #passLoss(checkpoint: Checkpoint): Promise<void> {
    const { state } = checkpoint
    const { pending } = state
    this.#counters.losses++
    checkpoint.state = {
      ...state,
      cursor: null,
      records: pending.reduce((sum, { records }) => sum + records, state.records),
      batches: state.batches + pending.length,
      pending: []
    }
    await this.#save(checkpoint)
  }

  /** Notes the batch and begins to send it; resolves when another one may follow. */
  async #send(checkpoint: Checkpoint, cut: CutBatch): Promise<void> {
    const sending: Sending = { cut, sinceMs: monotonicMs(), isDone: false }
    this.#next = sending
    while (this.#isBusy(cut)) await Promise.race(this.#work)
    if (this.#stop.signal.aborted) return
    const { state } = checkpoint
    const before = this.#sending.reduce((sum, { cut: { noted } }) => sum + noted.records, state.records)
    const sequence = state.batches + this.#sending.length
    const after = this.#sending.at(-1)?.cut.noted.cursor ?? state.cursor
    this.#sending.push(sending)
    this.#next = undefined
    if (cut.isNew) {
      checkpoint.state = { ...state, pending: [...state.pending, cut.noted] }
      await this.#save(checkpoint)
    }
    const { timeMs, cursor } = cut.noted
    const batch: ShipBatch = {
      stream: state.stream,
      log: basename(this.#source),
      event: this.#pass?.event,
      areLines: this.#areLines,
      sequence,
      after,
      firstNumber: before,
      rangeHash: createHash('sha256').update(`${before}|${cursor}`).digest('hex').slice(0, 16),
      records: cut.data.map((data, at) => new NumberedRecord(data, before + at, timeMs))
    }
    const work: Promise<void> = this.#deliver(batch)
      .then(() => this.#delivered(checkpoint, sending))
      .catch((error) => this.#fail(error))
      .finally(() => this.#work.delete(work))
    this.#work.add(work)
  }

  #isBusy({ bytes }: CutBatch): boolean {
    const { size } = this.#work
    if (size === 0) return false
    const sendingBytes = this.#sending.reduce((sum, { cut, isDone }) => sum + (isDone ? 0 : cut.bytes), 0)
    return size >= this.#target.maxInFlight || sendingBytes + bytes > MAX_SENDING_BYTES
  }

  /** Until the target has it; rejects if it never will, or when it is stopped. */
  async #deliver(batch: ShipBatch): Promise<void> {
    try {
      const refusals = await this.#attempts.untilDone((signal) => this.#target.send(batch, signal))
      if (!Array.isArray(refusals)) throw wrongAnswer(this.#target, refusals)
      if (refusals.length > 0) await this.#reject(batch.stream, refusals)
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      await this.#isolate(batch, error)
    }
  }

  /** Finds the records that are refused by halving. */
  async #isolate(batch: ShipBatch, error: RefusedError): Promise<void> {
    const { records } = batch
    if (!this.#target.splits) throw refusedError(this.#target, error)
    if (records.length === 1)
      return await this.#reject(batch.stream, [{ record: records[0], reason: error.message }])
    const half = Math.ceil(records.length / 2)
    const part = (some: readonly ShipRecord[]): Promise<void> => this.#deliver({ ...batch, records: some })
    await part(records.slice(0, half))
    await part(records.slice(half))
  }

  async #reject(stream: string, refusals: readonly Refusal[]): Promise<void> {
    await this.#attempts.untilWritten(() => keepRejected(realDisk, this.rejectedPath, stream, refusals))
    this.#counters.rejected += refusals.length
    this.emit('rejected', refusals)
    const now = monotonicMs()
    this.#refusedMs = [...this.#refusedMs.filter((ms) => now - ms < MINUTE_MS), ...refusals.map(() => now)]
    if (this.#refusedMs.length > this.#options.maxRejected)
      throw refusedError(this.#target, new Error(refusals[0].reason))
  }

  /** The checkpoint moves over what is there without a gap. */
  async #delivered(checkpoint: Checkpoint, sending: Sending): Promise<void> {
    sending.isDone = true
    const end = this.#sending.findIndex(({ isDone }) => !isDone)
    const done = this.#sending.splice(0, end === -1 ? this.#sending.length : end)
    if (done.length === 0) return
    const cuts = done.map(({ cut }) => cut)
    const records = cuts.reduce((sum, { noted }) => sum + noted.records, 0)
    const { state } = checkpoint
    checkpoint.state = {
      ...state,
      cursor: cuts[cuts.length - 1].noted.cursor,
      records: state.records + records,
      batches: state.batches + done.length,
      pending: state.pending.slice(done.length),
      done: [...state.done, ...cuts.flatMap(({ noted }) => noted.files)]
    }
    await this.#save(checkpoint)
    this.#counters.records += records
    this.#counters.bytes += cuts.reduce((sum, { bytes }) => sum + bytes, 0)
    this.#counters.batches += done.length
    removeDone(realDisk, this.#source, checkpoint, (error) => this.emit('warning', error))
  }

  /** Of a spool: files that ended without a batch behind them. */
  async #removeEnded(source: SourceLog, checkpoint: Checkpoint): Promise<void> {
    if (this.#sending.length > 0 || source.reader.format !== 'spool') return
    const ended = this.#cutter?.takeEnded() ?? []
    if (ended.length === 0 && checkpoint.state.done.length === 0) return
    checkpoint.state = { ...checkpoint.state, done: [...checkpoint.state.done, ...ended] }
    await this.#save(checkpoint)
    removeDone(realDisk, this.#source, checkpoint, (error) => this.emit('warning', error))
  }

  /** On a full disk, for example, it is tried again for as long as it takes. */
  async #save(checkpoint: Checkpoint): Promise<void> {
    await this.#attempts.untilWritten(() => checkpoint.save())
  }

  /** The first reason counts; that it was stopped is none. */
  #fail(error: unknown): void {
    if (!this.#stop.signal.aborted) this.#failure = error
    this.#stop.abort()
  }

  #beside(what: string): string {
    return join(dirname(this.#source), `.${basename(this.#source)}.${what}`)
  }
}
