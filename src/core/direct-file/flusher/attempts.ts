// Tries what may fail, and tries it again with growing pauses; says once that it fails and once that it works again.
import { monotonicMs } from '../../../base/clock.ts'
import { errorMessage, LogboomError, systemCode } from '../../../base/errors.ts'
import { NotSyncableError } from '../../sink/target.ts'
import type { FlushAccount } from '../files/flush-account.ts'
import type { FlushTarget } from '../files/flush-target.ts'
import { control, runState } from '../memory/shared-memory.ts'
import type { FlusherPort } from './flusher-protocol.ts'

const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 500

export class Attempts {
  readonly #words: Int32Array
  readonly #account: FlushAccount
  readonly #target: FlushTarget
  readonly #path: string
  readonly #port: FlusherPort
  /** 0 while nothing fails. */
  #retryMs = 0
  #retryAtMs = 0
  #askedAtFailure = 0

  constructor(
    words: Int32Array,
    account: FlushAccount,
    target: FlushTarget,
    path: string,
    port: FlusherPort
  ) {
    this.#words = words
    this.#account = account
    this.#target = target
    this.#path = path
    this.#port = port
  }

  /** When the pause after a failure is over; undefined while nothing fails. */
  get retryAtMs(): number | undefined {
    return this.#retryMs > 0 ? this.#retryAtMs : undefined
  }

  /** Whether somebody has asked for a flush, or for the end, since the last failure. */
  get isAsked(): boolean {
    const words = this.#words
    return (
      Atomics.load(words, control.flushAsked) !== this.#askedAtFailure ||
      Atomics.load(words, control.giveUp) !== 0
    )
  }

  /** Carries out I/O; after a failure everything is as before, and it is tried again with growing pauses. */
  run(work: () => void): boolean {
    try {
      work()
    } catch (error) {
      this.#account.countError()
      if (error instanceof NotSyncableError) {
        Atomics.store(this.#words, control.unsyncable, 1)
        return false
      }
      this.#failed(this.#path, error)
      return false
    }
    const { heldFailure } = this.#target
    if (this.#target.holds && heldFailure !== undefined) {
      this.#failed(heldFailure.path, heldFailure.error)
      return true
    }
    this.#retryMs = 0
    const words = this.#words
    const { degraded, open } = runState
    if (Atomics.compareExchange(words, control.state, degraded, open) === degraded) {
      this.#port.send({ type: 'recovered' })
    }
    return true
  }

  #failed(path: string, error: unknown): void {
    const words = this.#words
    const nowMs = monotonicMs()
    // What fails in the same round as something else does not make the pause longer.
    if (nowMs >= this.#retryAtMs || this.#retryMs === 0) {
      this.#retryMs = Math.min(Math.max(this.#retryMs * 2, RETRY_MIN_MS), RETRY_MAX_MS)
      this.#retryAtMs = nowMs + this.#retryMs
    }
    this.#askedAtFailure = Atomics.load(words, control.flushAsked)
    const { degraded, open } = runState
    if (Atomics.compareExchange(words, control.state, open, degraded) === open) {
      this.#port.send({ type: 'degraded', ...describe(path, error) })
    }
  }
}

function describe(path: string, error: unknown): { code: string; message: string; path: string } {
  const code = error instanceof LogboomError ? (systemCode(error.cause) ?? error.code) : systemCode(error)
  return { code: code ?? 'ERR_IO', message: `${path}: ${errorMessage(error)}`, path }
}
