// Whether a spool can write: several workers may fail at the same time, which is one episode for the application. And
// what was taken and is gone.
import { errorMessage, LogboomError } from '../../base/errors.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { Account } from '../sink/account.ts'
import type { SinkLife } from '../sink/sink-state.ts'
import { Trouble } from '../sink/trouble.ts'

/** A worker by its number, opening the folders, or making durable what is published. */
type Part = number | 'folders' | 'sync'

export class SpoolHealth {
  readonly #account: Account
  readonly #trouble: Trouble
  readonly #failing = new Set<Part>()
  readonly #lost: Dropped = { lines: 0, bytes: 0 }

  constructor(account: Account, life: SinkLife) {
    this.#account = account
    this.#trouble = new Trouble(account, life)
  }

  /** Why it cannot write, or could not last. */
  get failure(): LogboomError | undefined {
    return this.#trouble.failure
  }

  failed(part: Part, error: unknown): void {
    this.#account.counters.errors++
    this.#failing.add(part)
    this.#trouble.begin('write', this.#asFailure(error))
  }

  /** A worker has succeeded, so the folders are there, too. */
  works(part: Part): void {
    if (this.#failing.size === 0) return
    this.#failing.delete(part)
    this.#failing.delete('folders')
    if (this.#failing.size === 0) this.#trouble.end('write')
  }

  /** It will not pass. */
  fail(error: LogboomError): void {
    this.#trouble.fail(error)
  }

  /** Records that came and were counted as dropped, because nothing is written any more. */
  givenUp(records: number, bytes: number): void {
    this.#lost.lines += records
    this.#lost.bytes += bytes
  }

  /** Records that were taken are gone. */
  lost(records: number, bytes: number, reason: string): void {
    this.givenUp(records, bytes)
    this.#account.drop({ lines: records, bytes })
    this.#account.warn('ERR_LOST', `${records} records (${bytes} bytes) are lost: ${reason}`)
  }

  /** The end: reports what was not reported yet. Returns the error of a spool that lost records, if it did. */
  settle(): LogboomError | undefined {
    this.#account.reportDrops()
    const { lines, bytes } = this.#lost
    if (lines === 0) return undefined
    const { path } = this.#account
    const cause = this.#trouble.failure
    const reason = cause === undefined ? '' : `: ${cause.message}`
    const message = `closed with ${lines} records (${bytes} bytes) not written to ${path}${reason}`
    const error = new LogboomError('ERR_LOST', message, { path, cause })
    this.#account.notice(error.message, true)
    return error
  }

  #asFailure(error: unknown): LogboomError {
    if (error instanceof LogboomError) return error
    const { path } = this.#account
    return new LogboomError('ERR_IO', `${path}: ${errorMessage(error)}`, { path, cause: error })
  }
}
