// The spool as a sink of lines, for transports: a pump that writes to temp files, and what publishes them.
import { setTimeout as pause } from 'node:timers/promises'
import { errorMessage, LogboomError } from '../../base/errors.ts'
import { openQueue } from '../lane/open-queue.ts'
import { LineQueue } from '../queue/line-queue.ts'
import { Account } from '../sink/account.ts'
import { addExitHandler, removeExitHandler, writeAtExit } from '../sink/at-exit.ts'
import { afterFailure, Backoff } from '../sink/backoff.ts'
import type { ControlRequest, Durability, FlushCallback } from '../sink/contract.ts'
import { internals } from '../sink/internals.ts'
import { Pump } from '../sink/pump.ts'
import { PumpedSink } from '../sink/pumped-sink.ts'
import { PermanentError } from '../sink/target.ts'
import { parseSpoolOptions, type SpoolOptions } from './options.ts'
import { SpoolTarget } from './spool-target.ts'

/** Lines wait in the temp file, not in memory. */
const MOST_QUEUED_MS = 10

export class SpoolLines extends PumpedSink {
  readonly #account: Account
  readonly #target: SpoolTarget
  readonly #durability: Durability
  #closed: Promise<void> | undefined
  readonly #atExit = { exitNow: (): void => void this.#target.tryPublishAll() }

  /** Opens the folders. Throws `ERR_OPTION` or `ERR_UNSUPPORTED`; other failures are retried. */
  constructor(input: SpoolOptions) {
    const options = parseSpoolOptions(input)
    const { disk, now } = internals()
    super()
    this.#durability = options.durability === 'none' ? 'os' : options.durability
    this.#account = new Account(this, options.path, options.fallback)
    this.#target = new SpoolTarget(options, disk, now, this.#account, {
      failed: (error) => this.#publishFailed(error),
      works: () => this.pump.targetRecovered()
    })
    // `flushInterval` is the time until lines are published.
    const flushInterval = Math.min(options.flushInterval, MOST_QUEUED_MS)
    const { queue, start, maxBufferBytes } = openQueue({
      ...options,
      account: this.#account,
      kind: 'spool',
      given: input,
      place: { dir: undefined, path: options.path, temp: options.temp },
      memory: new LineQueue(),
      format: { unit: 'text' },
      rules: { settles: false, keeps: options.durability === 'disk', isStaging: false },
      // Logged before that, and files are read in the order of their publication.
      beforeAdopted: () => this.#target.recoverNow()
    })
    this.attach(new Pump(this.#account, { ...options, flushInterval, maxBufferBytes }, queue, this.#target))
    this.pump.open()
    // Behind the pump, which brings its last lines to the temp files.
    addExitHandler(this.#atExit)
    start(() => this.pump.writeNow())
  }

  override write(chunk: string | Uint8Array): boolean {
    const isWelcome = super.write(chunk)
    writeAtExit(this.#atExit)
    return isWelcome
  }

  override async flush(to?: Durability | FlushCallback): Promise<void> {
    if (typeof to === 'function') return this.flush().then(() => to(), to)
    await super.flush(to)
    await this.#published(to)
  }

  override async flushLines(to?: Durability): Promise<void> {
    await super.flushLines(to)
    await this.#published(to)
  }

  override flushSync(to?: Durability): void {
    super.flushSync(to)
    if (to === 'none') return
    this.#target.publishAll()
    this.pump.targetRecovered()
    if (to === 'disk') this.#target.syncNow('disk')
  }

  override close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    return this.#closed
  }

  override control(request: ControlRequest): boolean {
    if (request.type !== 'rotate') return false
    this.flushLines().catch((error) => this.#warnOf(error))
    return true
  }

  /** Resolves when everything written is in published files, and those are as durable as they have to be. */
  async #published(to: Durability = this.#durability): Promise<void> {
    if (to === 'none') return
    const { path } = this.#account
    const backoff = new Backoff(afterFailure)
    while (!(this.#target.tryPublishAll() && (to === 'os' || (await this.#areDurable())))) {
      await pause(backoff.next())
      if (this.pump.isClosed) throw new LogboomError('ERR_CLOSED', `the sink of ${path} is closed`, { path })
    }
  }

  /** False if that has to be asked again; a sync that failed is thrown. */
  async #areDurable(): Promise<boolean> {
    try {
      await this.#target.sync('disk')
      return true
    } catch (error) {
      if (error instanceof LogboomError) throw error
      this.#publishFailed(error)
      return false
    }
  }

  async #shutDown(): Promise<void> {
    removeExitHandler(this.#atExit)
    await super.close()
    if (!this.#target.isUnsynced) return
    const { path } = this.#account
    throw new LogboomError('ERR_SYNC', `records for ${path} are in files, but not known to be on disk`, {
      path,
      cause: this.failure
    })
  }

  #publishFailed(error: unknown): void {
    const { path } = this.#account
    this.#account.counters.errors++
    if (error instanceof LogboomError && error.code === 'ERR_UNSUPPORTED') {
      this.pump.failForGood(new PermanentError(error.code, error.message, { path, cause: error.cause }))
      return
    }
    this.pump.targetFailed(
      new LogboomError('ERR_IO', `${path}: ${errorMessage(error)}`, { path, cause: error })
    )
  }

  #warnOf(error: unknown): void {
    if (error instanceof LogboomError && error.code === 'ERR_CLOSED') return
    this.#account.warnOf(error)
  }
}
