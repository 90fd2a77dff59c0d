// The account of a spool: counters, what is dropped or lost, whether writing works, and who is told.

import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { createCounters, type SinkEvents, type SinkState } from '../sink/contract.ts'
import { Drops } from '../sink/drops.ts'
import { Notice } from '../sink/notice.ts'
import type { SpoolReports } from './spool-store.ts'

export class SpoolAccount implements SpoolReports {
  readonly counters = createCounters()
  state: SinkState = 'open'
  /** How many published files could not be made durable, and the last error of that. */
  syncFailures = 0
  syncFailure: LogboomError | undefined
  readonly #path: string
  readonly #emit: (name: string, ...args: unknown[]) => void
  readonly #notice: Notice
  readonly #drops: Drops
  #failure: LogboomError | undefined
  #lostRecords = 0
  #lostBytes = 0

  constructor(path: string, fallback: false | 'stderr', emit: (name: string, ...args: unknown[]) => void) {
    this.#path = path
    this.#emit = emit
    this.#notice = new Notice(fallback)
    this.#drops = new Drops((event) => this.announce('dropped', event))
  }

  /** Emits an event after the present call, so that no listener runs in the middle of one. */
  announce<E extends keyof SinkEvents>(name: E, ...args: SinkEvents[E]): void {
    process.nextTick(() => this.#emit(name, ...args))
  }

  warn(code: string, message: string, path = this.#path): void {
    this.#notice.write(message)
    this.announce('warning', { code, message, path })
  }

  /** Records that were not taken. */
  discard(records: number, bytes: number): void {
    this.counters.dropped += records
    this.#drops.add({ lines: records, bytes })
  }

  /** Records that were taken and are gone. */
  lost(records: number, bytes: number, reason: string): void {
    this.#lostRecords += records
    this.#lostBytes += bytes
    this.discard(records, bytes)
    this.warn('ERR_LOST', `${records} records (${bytes} bytes) are lost: ${reason}`)
  }

  unsynced(path: string, error: unknown): void {
    const message = `sync of ${path} failed: ${errorMessage(error)}`
    this.counters.errors++
    this.syncFailures++
    this.syncFailure = new LogboomError('ERR_SYNC', message, { path, cause: error })
    this.warn('ERR_SYNC', message, path)
  }

  fail(error: unknown): void {
    const path = this.#path
    const failure = new LogboomError('ERR_IO', `${path}: ${errorMessage(error)}`, { path, cause: error })
    this.counters.errors++
    this.#failure = failure
    this.#notice.write(failure.message)
    if (this.state !== 'open') return
    this.state = 'degraded'
    this.announce('degraded', { code: systemCode(error) ?? 'ERR_IO', message: failure.message, path })
  }

  recover(): void {
    this.#failure = undefined
    if (this.state !== 'degraded') return
    this.state = 'open'
    this.announce('recovered')
  }

  /** The end: reports what was not reported yet. Returns the error of a spool that lost records, if it did. */
  settle(): LogboomError | undefined {
    this.#drops.report()
    if (this.#lostRecords === 0) return undefined
    const cause = this.#failure ?? this.syncFailure
    const reason = cause === undefined ? '' : `: ${cause.message}`
    const message = `${this.#lostRecords} records (${this.#lostBytes} bytes) were not published to ${this.#path}${reason}`
    const error = new LogboomError('ERR_LOST', message, { path: this.#path, cause })
    this.#notice.write(error.message, true)
    return error
  }
}
