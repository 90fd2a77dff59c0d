// What a sink tells: counters, events, the notices on stderr, and exact counts of what was dropped. Pump and target of
// a sink write into the same account.
import type { EventEmitter } from 'node:events'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import { publish } from './channels.ts'
import { createCounters, type RecoveredLaneEvent, type SinkEvents } from './contract.ts'
import { Drops } from './drops.ts'
import { Notice } from './notice.ts'

export class Account {
  readonly path: string
  readonly counters = createCounters()
  readonly #emitter: EventEmitter<SinkEvents>
  readonly #notice: Notice
  #lastNotice: Buffer | undefined
  /** Code of the last error; empty as long as there was none. */
  lastError = ''
  readonly #drops = new Drops((event) => this.announce('dropped', event))

  constructor(emitter: EventEmitter<SinkEvents>, path: string, fallback: false | 'stderr') {
    this.path = path
    this.#emitter = emitter
    this.#notice = new Notice(fallback)
  }

  /** Emits an event after the present call, so that no listener runs while a lock is held. */
  announce<E extends keyof SinkEvents>(name: E, ...args: SinkEvents[E]): void {
    process.nextTick(() => {
      publish(name, this.path, args[0])
      ;(this.#emitter as EventEmitter).emit(name, ...args)
    })
  }

  /** The sink will write nothing any more. */
  failed(failure: LogboomError): void {
    this.counters.errors++
    this.notice(failure.message, true)
    const { code, message } = failure
    this.lastError = code
    const event = { code, message, path: failure.path ?? this.path }
    process.nextTick(() => publish('failed', this.path, event))
    this.announce('warning', event)
  }

  /** Reports what does not stop the sink. */
  warn(code: string, message: string, path = this.path): void {
    this.lastError = code
    this.#notice.write(message)
    this.announce('warning', { code, message, path })
  }

  /** Counts an error and reports it as a warning. */
  warnOf(error: unknown): void {
    this.counters.errors++
    const code = error instanceof LogboomError ? error.code : (systemCode(error) ?? 'ERR_IO')
    this.warn(code, `${this.path}: ${errorMessage(error)}`)
  }

  /** A notice on stderr, where that is wanted: one in ten seconds, `isUrgent` ones always. */
  notice(message: string, isUrgent = false): void {
    this.#notice.write(message, isUrgent)
  }

  repaired(path: string, bytes: number): void {
    this.counters.repairs++
    this.announce('repaired', { path, bytes })
  }

  recoveredLane(event: RecoveredLaneEvent): void {
    this.counters.recovered += event.records
    this.announce('recovered-lane', event)
  }

  drop(dropped: Dropped): void {
    if (dropped.lines === 0 && dropped.bytes === 0) return
    this.counters.dropped += dropped.lines
    this.#drops.add(dropped)
  }

  /** Emits what was dropped and not yet reported. */
  reportDrops(): void {
    this.#drops.report()
  }

  /** The line for the log itself, or undefined when nothing was dropped since the last one. */
  takeDropNotice(): string | undefined {
    const notice = this.#drops.takeNotice()
    if (notice !== undefined) this.#lastNotice = Buffer.from(notice)
    return notice
  }

  /** Whether a line of the log is the last one of ours, and no record of the host. True once. */
  isDropNotice(line: Uint8Array): boolean {
    if (this.#lastNotice === undefined || !this.#lastNotice.equals(line)) return false
    this.#lastNotice = undefined
    return true
  }
}
