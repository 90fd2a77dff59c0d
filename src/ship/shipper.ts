// Ships a log to another store: reads it by cursors, sends batches whose borders were noted before, tries again for as long as
// it takes, and moves its checkpoint over what the target has without a gap.
import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { monotonicMs } from '../base/clock.ts'
import { errorMessage, LogboomError } from '../base/errors.ts'
import {
  count,
  duration,
  flag,
  type OptionsInput,
  option,
  optionalOption,
  parseOptions,
  path,
  size
} from '../base/options.ts'
import { realDisk } from '../io/disk.ts'
import { findLogs } from '../readers/find-logs.ts'
import { BatchCutter, type CutBatch, logNameOf, severalLogs } from './batches.ts'
import { Checkpoint } from './checkpoint.ts'
import { keepRejected } from './rejected.ts'
import { resumeFrom } from './resume.ts'
import { type Refusal, RefusedError, type ShipBatch, type ShipRecord, type ShipTarget } from './target.ts'

const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000
const MINUTE_MS = 60_000
const LINE_FORMATS = ['text', 'spool']

const positive = v.pipe(
  count,
  v.check((value) => value > 0, 'must be at least 1')
)
const positiveSize = v.pipe(
  size,
  v.check((value) => value > 0, 'must be at least 1')
)

/** The options of a shipper beside its target; docs/shipping.md explains them. */
export const shipperOptions = {
  checkpoint: optionalOption(
    'path',
    path,
    'The file that says how far it has come. Default: `.<log>.ship-<target>` beside the log.'
  ),
  rejected: optionalOption(
    'path',
    path,
    'The file of records that the target will never take. Default: `.<log>.rejected` beside the log.'
  ),
  follow: option('boolean', flag, true, 'Go on with what is appended, until stopped.'),
  batchBytes: option('size', positiveSize, '1m', 'A batch is sent when it has this many bytes.'),
  batchRecords: option('count', positive, 10_000, 'A batch is sent when it has this many records.'),
  batchAge: option('duration', duration, '1s', 'A batch is sent when its first record has waited this long.'),
  maxRejected: option(
    'count',
    count,
    100,
    'More refused records in a minute stop it: then it is the configuration that is wrong.'
  )
}

export type ShipperOptions = OptionsInput<typeof shipperOptions> & {
  /** Path of a log. */
  source: string
  target: ShipTarget
}

export interface ShipperStats {
  /** Records that the target has, in this run. */
  records: number
  batches: number
  rejected: number
  /** Attempts that failed and were made again. */
  retries: number
  /** Records read and not known to be in the target. */
  waitingRecords: number
  /** For how long the oldest of them have waited. */
  waitingMs: number
  /** Of damaged files of the log, which are passed over. */
  skippedBytes: number
}

export interface ShipperEvents {
  /** Sending fails, and is tried again. Once until `recovered`. */
  degraded: [error: Error]
  recovered: []
  rejected: [refusals: readonly Refusal[]]
}

/** A batch on its way. */
interface Sending {
  readonly cut: CutBatch
  readonly sinceMs: number
  isDone: boolean
}

export class Shipper extends EventEmitter<ShipperEvents> {
  readonly #source: string
  readonly #target: ShipTarget
  readonly #options: ReturnType<typeof parseShipperOptions>
  readonly #stop = new AbortController()
  readonly #counters = { records: 0, batches: 0, rejected: 0, retries: 0 }
  /** In the order of the log. */
  readonly #sending: Sending[] = []
  readonly #work = new Set<Promise<void>>()
  /** When records were refused, on the monotonic clock. */
  #refusedMs: number[] = []
  #areLines = true
  #cutter: BatchCutter | undefined
  #isDegraded = false
  #failure: unknown
  #running: Promise<void> | undefined

  /** Throws `ERR_OPTION`. */
  constructor({ source, target, ...options }: ShipperOptions) {
    super()
    this.#source = resolve(source)
    this.#target = target
    this.#options = parseShipperOptions(options)
  }

  get checkpointPath(): string {
    return resolve(this.#options.checkpoint ?? this.#beside(`ship-${this.#target.name}`))
  }

  get rejectedPath(): string {
    return resolve(this.#options.rejected ?? this.#beside('rejected'))
  }

  /**
   * Ships until the log ends, with `follow` until `stop`. Rejects with `ERR_LOCKED` if another shipper has the checkpoint,
   * `ERR_CURSOR_LOST` if records that were not shipped are gone, `ERR_TARGET` if the target refuses too much, `ERR_CORRUPT`,
   * `ERR_IO`, `ERR_OPTION`.
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
    const waiting = this.#sending.reduce((sum, { cut }) => sum + cut.noted.records, 0)
    const waitingMs = this.#sending.length === 0 ? 0 : monotonicMs() - this.#sending[0].sinceMs
    const skippedBytes = this.#cutter?.reader.stats().skippedBytes ?? 0
    return { ...this.#counters, waitingRecords: waiting, waitingMs, skippedBytes }
  }

  async #run(): Promise<void> {
    const format = await this.#format()
    const checkpoint = Checkpoint.open(this.checkpointPath)
    const { signal } = this.#stop
    const { follow, batchBytes, batchRecords, batchAge } = this.#options
    const bounds = { batchBytes, batchRecords, batchAgeMs: batchAge }
    let cutter: BatchCutter | undefined
    try {
      await this.#takeOver(checkpoint)
      cutter = new BatchCutter(this.#source, checkpoint.state, bounds, { format, follow, signal })
      this.#cutter = cutter
      for await (const cut of cutter.noted(checkpoint.state.pending)) await this.#send(checkpoint, cut)
      for await (const cut of cutter.fresh()) await this.#send(checkpoint, cut)
      await Promise.all(this.#work)
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#stop.abort()
      await cutter?.reader.return()
      await Promise.allSettled(this.#work)
      await this.#target.close?.().catch(() => {})
      checkpoint.close()
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Of a log that is there, or will be. */
  async #format(): Promise<string> {
    const { kind, logs } = await findLogs(this.#source, 'auto')
    if (kind === 'folder') throw severalLogs(this.#source)
    const format = logs[0]?.reader.format
    this.#areLines = format === undefined || LINE_FORMATS.includes(format)
    return 'auto'
  }

  /** Goes on from what the target has, if it keeps that. */
  async #takeOver(checkpoint: Checkpoint): Promise<void> {
    const target = this.#target
    if (target.takeOver === undefined) return
    const { stream } = checkpoint.state
    const source = { stream, log: logNameOf(this.#source) }
    const held = await this.#tryUntilDone(async (signal) => await target.takeOver?.(source, signal))
    const state = resumeFrom(checkpoint.state, held, target.name)
    if (state !== checkpoint.state) checkpoint.write(state)
  }

  /** Notes the batch and begins to send it; resolves when another one may follow. */
  async #send(checkpoint: Checkpoint, cut: CutBatch): Promise<void> {
    while (this.#work.size >= this.#target.maxInFlight) await Promise.race(this.#work)
    if (this.#stop.signal.aborted) return
    const { state } = checkpoint
    const before = this.#sending.reduce((sum, { cut: { noted } }) => sum + noted.records, state.records)
    const sequence = state.batches + this.#sending.length
    if (cut.isNew) checkpoint.write({ ...state, pending: [...state.pending, cut.noted] })
    const sending: Sending = { cut, sinceMs: monotonicMs(), isDone: false }
    this.#sending.push(sending)
    const batch: ShipBatch = {
      stream: state.stream,
      log: logNameOf(this.#source),
      areLines: this.#areLines,
      sequence,
      after: this.#sending[this.#sending.length - 2]?.cut.noted.cursor ?? state.cursor,
      firstNumber: before,
      rangeHash: createHash('sha256').update(`${before}|${cut.noted.cursor}`).digest('hex').slice(0, 16),
      records: cut.data.map((data, at) => ({ data, number: before + at, timeMs: cut.times[at] }))
    }
    const work: Promise<void> = this.#deliver(batch)
      .then(
        () => this.#delivered(checkpoint, sending),
        (error) => this.#fail(error)
      )
      .catch((error) => this.#fail(error))
      .finally(() => this.#work.delete(work))
    this.#work.add(work)
  }

  /** Until the target has it; rejects if it never will, or when it is stopped. */
  async #deliver(batch: ShipBatch): Promise<void> {
    try {
      const refusals = await this.#tryUntilDone((signal) => this.#target.send(batch, signal))
      if (refusals.length > 0) this.#reject(batch.stream, refusals)
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      await this.#isolate(batch, error)
    }
  }

  /** With longer and longer pauses; rejects with what trying again does not help against, or when it is stopped. */
  async #tryUntilDone<T>(attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#stop
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      signal.throwIfAborted()
      try {
        const result = await untilStopped(attempt(signal), signal)
        this.#recovered()
        return result
      } catch (error) {
        if (error instanceof LogboomError || error instanceof RefusedError) throw error
        signal.throwIfAborted()
        this.#counters.retries++
        this.#degraded(error)
        await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal })
      }
    }
  }

  /** Finds the records that are refused by halving. */
  async #isolate(batch: ShipBatch, error: RefusedError): Promise<void> {
    const { records } = batch
    if (!this.#target.splits) throw refusedError(this.#target, error)
    if (records.length === 1)
      return this.#reject(batch.stream, [{ record: records[0], reason: error.message }])
    const half = Math.ceil(records.length / 2)
    const part = (some: readonly ShipRecord[]): Promise<void> => this.#deliver({ ...batch, records: some })
    await part(records.slice(0, half))
    await part(records.slice(half))
  }

  #reject(stream: string, refusals: readonly Refusal[]): void {
    keepRejected(realDisk, this.rejectedPath, stream, refusals)
    this.#counters.rejected += refusals.length
    this.emit('rejected', refusals)
    const now = monotonicMs()
    this.#refusedMs = [...this.#refusedMs.filter((ms) => now - ms < MINUTE_MS), ...refusals.map(() => now)]
    if (this.#refusedMs.length > this.#options.maxRejected)
      throw refusedError(this.#target, new Error(refusals[0].reason))
  }

  /** The checkpoint moves over what is there without a gap. */
  #delivered(checkpoint: Checkpoint, sending: Sending): void {
    sending.isDone = true
    const end = this.#sending.findIndex(({ isDone }) => !isDone)
    const done = this.#sending.slice(0, end === -1 ? this.#sending.length : end)
    if (done.length === 0) return
    const records = done.reduce((sum, { cut }) => sum + cut.noted.records, 0)
    const { state } = checkpoint
    checkpoint.write({
      ...state,
      cursor: done[done.length - 1].cut.noted.cursor,
      records: state.records + records,
      batches: state.batches + done.length,
      pending: state.pending.slice(done.length)
    })
    this.#sending.splice(0, done.length)
    this.#counters.records += records
    this.#counters.batches += done.length
  }

  #degraded(error: unknown): void {
    if (this.#isDegraded) return
    this.#isDegraded = true
    this.emit('degraded', error instanceof Error ? error : new Error(String(error)))
  }

  #recovered(): void {
    if (!this.#isDegraded) return
    this.#isDegraded = false
    this.emit('recovered')
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

function parseShipperOptions(options: OptionsInput<typeof shipperOptions>) {
  return parseOptions('shipper', shipperOptions, options)
}

function refusedError({ name }: ShipTarget, error: Error): LogboomError {
  return new LogboomError('ERR_TARGET', `${name} refuses what is shipped: ${errorMessage(error)}`, {
    cause: error
  })
}

/** A target that does not heed the signal must not hold up `stop`. */
async function untilStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop)
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
