// Ships all logs of a folder, such as the files of events, also those that appear later: log by log, each with a checkpoint of its own,
// in passes that are as many at once as memory allows. The trouble of one log is that log's.
import { EventEmitter } from 'node:events'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from '../base/clock.ts'
import { errorMessage, LogboomError } from '../base/errors.ts'
import { requireObject } from '../base/options.ts'
import { notFound } from '../readers/engine/context.ts'
import { findLogs } from '../readers/find-logs.ts'
import { askedMs } from './attempts.ts'
import { FolderBeat } from './folder-beat.ts'
import { emptyCounters, FolderLog, type LogCounters } from './folder-log.ts'
import { type ParsedShipperOptions, parseShipperOptions, type ShipperOptions } from './options.ts'
import { Shipper } from './shipper.ts'
import type { Refusal, ShipTarget } from './target.ts'

/** So many logs are read at once; each has a few batches in memory. */
const LOGS_AT_ONCE = 4
/** How often the folder is looked at. */
const LOOK_MS = 1_000
const MIN_LOOK_MS = 50
/** A target that nobody has used for so long closes its connections. */
const IDLE_MS = 10_000
const MAX_LOGS = 100_000

export type FolderShipperOptions = Omit<
  ShipperOptions,
  'target' | 'checkpoint' | 'rejected' | 'removeShipped'
> & {
  /** Makes the target of a log; those over HTTP may be one for all of them, `jetstream` and `kafka` are one for each. */
  target: () => ShipTarget | Promise<ShipTarget>
}

export interface FolderShipperStats extends LogCounters {
  /** In the folder, and those of them that are shipped no more because of an error. */
  logs: number
  failedLogs: number
  /** Logs that hold what the target does not have, and their bytes as stored, as far as their sizes tell. */
  lagLogs: number
  lagBytes: number
}

/** Messages begin with the name of the log. */
export interface FolderShipperEvents {
  /** Shipping some of the logs fails, and is tried again. Once until `recovered`. */
  degraded: [error: Error]
  recovered: []
  rejected: [refusals: readonly Refusal[], path: string]
  /** Records were removed before they were shipped. */
  lost: [error: Error]
  /** A log is shipped no more; the others go on. `run` rejects with the first of these errors when it ends. */
  failed: [error: Error]
  warning: [error: Error]
}

interface RunningPass {
  /** Undefined before its target is there, and at its end. */
  shipper: Shipper | undefined
  done: Promise<void>
}

export class FolderShipper extends EventEmitter<FolderShipperEvents> {
  readonly #folder: string
  readonly #createTarget: () => ShipTarget | Promise<ShipTarget>
  readonly #given: Omit<FolderShipperOptions, 'source' | 'target'>
  readonly #options: ParsedShipperOptions
  readonly #stop = new AbortController()
  readonly #logs = new Map<string, FolderLog>()
  readonly #passes = new Map<FolderLog, RunningPass>()
  /** When a target was used last, and how often it is at the moment. */
  readonly #targets = new Map<ShipTarget, { users: number; lastMs: number }>()
  /** Of logs that are not there any more. */
  readonly #gone = emptyCounters()
  readonly #said = new Set<string>()
  #firstTarget: ShipTarget | undefined
  #beat: FolderBeat | undefined
  #failures = 0
  #failure: Error | undefined
  #isDegraded = false
  #running: Promise<void> | undefined

  /** Throws `ERR_OPTION`. */
  constructor(given: FolderShipperOptions) {
    super()
    requireObject('shipper', given)
    const { source, target, ...options } = given
    if (typeof source !== 'string' || source === '' || typeof target !== 'function') {
      const message =
        'shipper: source must be the path of a folder of logs, and target a function that makes one'
      throw new LogboomError('ERR_OPTION', message)
    }
    for (const name of ['checkpoint', 'rejected', 'removeShipped'])
      if ((options as Record<string, unknown>)[name] !== undefined) {
        const message = `shipper: ${name} is not for a folder of logs, each of which has its own`
        throw new LogboomError('ERR_OPTION', message)
      }
    this.#folder = resolve(source)
    this.#createTarget = target
    this.#given = options
    this.#options = parseShipperOptions(options)
  }

  /**
   * Ships until all logs have come to their end, with `follow` until `stop`. Rejects with `ERR_LOCKED` if another shipper of
   * this name has the folder, `ERR_OPTION`, `ERR_UNSUPPORTED`; at the end with the first error that ended a log.
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

  stats(): FolderShipperStats {
    const total = { ...this.#gone }
    let lagLogs = 0
    let lagBytes = 0
    for (const log of this.#logs.values()) {
      add(total, log.counters)
      const now = this.#passes.get(log)?.shipper?.stats()
      if (now !== undefined) add(total, now)
      if (log.isShipped) continue
      lagLogs++
      lagBytes += now === undefined ? log.unshippedBytes : now.lagBytes
    }
    return { ...total, logs: this.#logs.size, failedLogs: this.#failures, lagLogs, lagBytes }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    try {
      this.#firstTarget = requireTarget(await this.#createTarget())
      const consumer = this.#options.consumer ?? `ship-${this.#firstTarget.name}`
      this.#beat = new FolderBeat(this.#folder, consumer, this.#firstTarget.name, {
        stats: () => this.stats(),
        isDegraded: () => this.#isDegraded,
        warn: (error) => this.#warn(error),
        lost: (error) => this.#lose(error)
      })
      const { follow, batchAge } = this.#options
      const everyMs = follow ? Math.min(LOOK_MS, Math.max(MIN_LOOK_MS, batchAge)) : MIN_LOOK_MS
      for (let turn = 0; !signal.aborted; turn++) {
        // Without `follow` what is there at the start is all.
        if (follow || turn === 0) await this.#look(follow)
        this.#startPasses()
        if (!follow && this.#isOver()) break
        await sleep(everyMs, undefined, { signal }).catch(() => {})
      }
    } finally {
      this.#stop.abort()
      for (const { shipper } of this.#passes.values()) void shipper?.stop()
      await Promise.all([...this.#passes.values()].map(({ done }) => done))
      await Promise.all([...this.#targets.keys()].map((target) => target.close?.().catch(() => {})))
      await this.#firstTarget?.close?.().catch(() => {})
      this.#beat?.close(this.#failure)
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  #isOver(): boolean {
    return (
      this.#passes.size === 0 &&
      [...this.#logs.values()].every((log) => log.wasShipped || log.failure !== undefined)
    )
  }

  /** For logs that are new, and whether the others have changed. */
  async #look(follow: boolean): Promise<void> {
    try {
      this.#beat?.look()
      this.#closeIdle()
      await this.#findNew(follow)
      for (const log of this.#logs.values()) if (!log.isRunning) await log.look()
    } catch (error) {
      const isFinal = error instanceof LogboomError && ['ERR_LOCKED', 'ERR_OPTION'].includes(error.code)
      if (!follow || isFinal) throw error
      // The folder may be unreadable for a while.
      this.#warn(error)
    }
  }

  async #findNew(follow: boolean): Promise<void> {
    const known = new Set([...this.#logs.values()].flatMap(({ path, place }) => [path, place]))
    const { kind, logs, failures } = await findLogs(this.#folder, 'auto', known)
    for (const failure of failures) this.#warn(failure)
    if (kind === 'missing' && !follow) throw notFound(this.#folder)
    if (kind === 'log' && known.size === 0 && logs.length > 0) {
      const message = `${this.#folder} is one log, and no folder of logs: Shipper ships it`
      throw new LogboomError('ERR_OPTION', message, { path: this.#folder })
    }
    if (kind !== 'folder') return
    for (const found of logs) {
      if (this.#logs.size >= MAX_LOGS) break
      const log = new FolderLog(this.#folder, found)
      this.#logs.set(log.path, log)
    }
  }

  /** Those that have waited longest come first. */
  #startPasses(): void {
    const turn = { batchAgeMs: this.#options.batchAge, batchBytes: this.#options.batchBytes }
    if (this.#stop.signal.aborted || this.#passes.size >= LOGS_AT_ONCE) return
    const due = [...this.#logs.values()].filter((log) => log.isDue(turn))
    due.sort((a, b) => a.waitsSinceMs - b.waitsSinceMs)
    for (const log of due.slice(0, LOGS_AT_ONCE - this.#passes.size)) this.#start(log)
  }

  #start(log: FolderLog): void {
    const before = log.seen
    const running: RunningPass = { shipper: undefined, done: Promise.resolve() }
    log.isRunning = true
    this.#passes.set(log, running)
    running.done = this.#pass(log, running)
      .then(
        () => this.#done(log, before),
        (error) => this.#ended(log, error)
      )
      .finally(() => {
        log.isRunning = false
        this.#passes.delete(log)
        this.#startPasses()
      })
  }

  async #pass(log: FolderLog, running: RunningPass): Promise<void> {
    const target = await this.#use(log)
    const { startedAtMs, counters } = log
    const { records, bytes, rejected, retries } = counters
    const options = { ...this.#given, source: log.path, target, follow: false }
    const before = { records, bytes, rejected, retries }
    const shipper = new Shipper(options, { event: log.event, startedAtMs, before })
    this.#tellOf(shipper, log)
    running.shipper = shipper
    try {
      if (!this.#stop.signal.aborted) await shipper.run()
    } finally {
      running.shipper = undefined
      add(counters, shipper.stats())
      this.#leave(target)
    }
  }

  #tellOf(shipper: Shipper, { name }: FolderLog): void {
    shipper.on('rejected', (refusals) => this.emit('rejected', refusals, shipper.rejectedPath))
    // Counted by itself.
    shipper.on('lost', (error) => this.emit('lost', of(name, error)))
    shipper.on('warning', (error) => this.#warn(of(name, error)))
  }

  #done(log: FolderLog, before: FolderLog['seen']): void {
    if (this.#stop.signal.aborted) return
    log.done(before)
    this.#tellTrouble(undefined)
  }

  #ended(log: FolderLog, error: unknown): void {
    if (this.#stop.signal.aborted) return
    const code = error instanceof LogboomError ? error.code : undefined
    // What the disk says may pass, as what the target says.
    const mayPass = code === undefined || code === 'ERR_IO'
    if (mayPass) log.failed(askedMs(error))
    if (code === 'ERR_NOT_FOUND') this.#forget(log)
    else if (mayPass) this.#tellTrouble(of(log.name, error))
    else this.#giveUp(log, error)
    // Of all logs.
    if (code === 'ERR_UNSUPPORTED') this.#stop.abort()
  }

  #giveUp(log: FolderLog, error: unknown): void {
    log.failure = of(log.name, error)
    this.#failures++
    this.#failure ??= log.failure
    this.emit('failed', log.failure)
  }

  /** It is not there any more, nor is any backup of it. */
  #forget(log: FolderLog): void {
    this.#logs.delete(log.path)
    add(this.#gone, log.counters)
    if (!log.isRemovedUnshipped) return
    const message = `${log.name}: the log was removed before all of it was shipped`
    this.#lose(new LogboomError('ERR_CURSOR_LOST', message, { path: log.path }))
  }

  #tellTrouble(error: Error | undefined): void {
    const isDegraded = [...this.#logs.values()].some((each) => each.isDegraded)
    const wasDegraded = this.#isDegraded
    this.#isDegraded = isDegraded
    if (isDegraded && !wasDegraded && error !== undefined) this.emit('degraded', error)
    if (!isDegraded && wasDegraded) this.emit('recovered')
  }

  #lose(error: Error): void {
    this.#gone.losses++
    this.emit('lost', error)
  }

  /** Once. */
  #warn(error: unknown): void {
    const message = errorMessage(error)
    if (this.#said.has(message) || this.#said.size > 1000) return
    this.#said.add(message)
    this.emit('warning', error instanceof Error ? error : new Error(message))
  }

  async #use(log: FolderLog): Promise<ShipTarget> {
    const first = this.#firstTarget
    if (log.target === undefined && first !== undefined) {
      this.#firstTarget = undefined
      log.target = first
    }
    log.target ??= requireTarget(await this.#createTarget())
    const use = this.#targets.get(log.target) ?? { users: 0, lastMs: 0 }
    use.users++
    this.#targets.set(log.target, use)
    return log.target
  }

  #leave(target: ShipTarget): void {
    const use = this.#targets.get(target)
    if (use === undefined) return
    use.users--
    use.lastMs = monotonicMs()
  }

  #closeIdle(): void {
    const now = monotonicMs()
    for (const [target, { users, lastMs }] of this.#targets) {
      if (users > 0 || now - lastMs < IDLE_MS) continue
      this.#targets.delete(target)
      target.close?.().catch(() => {})
    }
  }
}

function requireTarget(target: ShipTarget): ShipTarget {
  if (typeof target?.send === 'function' && typeof target.name === 'string') return target
  throw new LogboomError('ERR_OPTION', 'shipper: target must make what the logs are shipped to')
}

function add(sum: LogCounters, more: LogCounters): void {
  for (const key of Object.keys(emptyCounters()) as (keyof LogCounters)[]) sum[key] += more[key]
}

/** With the log's name in front. */
function of(name: string, error: unknown): Error {
  const message = `${name}: ${errorMessage(error).replace(/ \[ERR_\w+\]$/, '')}`
  if (!(error instanceof LogboomError)) return new Error(message, { cause: error })
  return new LogboomError(error.code, message, { path: error.path, cause: error })
}
