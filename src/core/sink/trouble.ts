// Why a sink cannot write at the moment. Several causes may overlap (a lock that is held, a sync that fails, a target
// that retries by itself); for the application they are one episode: one 'degraded', one 'recovered'.
import { type ErrorCode, errorTable, LogboomError, systemCode } from '../../base/errors.ts'
import type { Account } from './account.ts'
import type { SinkLife } from './sink-state.ts'

export type TroubleCause = 'write' | 'sync' | 'target'

export class Trouble {
  readonly #account: Account
  readonly #life: SinkLife
  readonly #causes = new Set<TroubleCause>()
  #failure: LogboomError | undefined

  constructor(account: Account, life: SinkLife) {
    this.#account = account
    this.#life = life
  }

  /** The last error of the present episode. */
  get failure(): LogboomError | undefined {
    return this.#failure
  }

  has(cause: TroubleCause): boolean {
    return this.#causes.has(cause)
  }

  begin(cause: TroubleCause, failure: LogboomError): void {
    this.#causes.add(cause)
    this.#failure = failure
    this.#account.notice(failure.message)
    this.#account.lastError = systemCode(failure.cause) ?? failure.code
    if (this.#life.state !== 'open' && this.#life.state !== 'opening') return
    this.#life.become('degraded')
    this.#account.announce('degraded', {
      code: systemCode(failure.cause) ?? failure.code,
      message: failure.message,
      path: this.#account.path
    })
  }

  end(cause: TroubleCause): void {
    if (!this.#causes.delete(cause) || this.#causes.size > 0) return
    this.#failure = undefined
    if (this.#life.state !== 'degraded') return
    this.#life.become('open')
    this.#account.announce('recovered')
  }

  /** It will not pass. */
  fail(failure: LogboomError): void {
    this.#failure = failure
    this.#life.become('failed')
    this.#account.failed(failure)
  }
}

/** The error behind a `degraded` event. */
export function failureOf(code: string, message: string, path: string): LogboomError {
  const text = message.replace(/ \[ERR_[A-Z_]+\]$/, '')
  if (Object.hasOwn(errorTable, code)) return new LogboomError(code as ErrorCode, text, { path })
  return new LogboomError('ERR_IO', text, { path, cause: Object.assign(new Error(text), { code }) })
}
