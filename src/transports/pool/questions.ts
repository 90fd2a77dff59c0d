// What the application asks of an output in its thread, and the answers.
import { LogboomError } from '../../base/errors.ts'
import type { PoolWorker } from './pool-worker.ts'
import type { PlainError, Question, ToMain } from './protocol.ts'

interface Pending {
  readonly what: Question
  resolve(value: unknown): void
  reject(error: Error): void
}

export class Questions {
  readonly #worker: PoolWorker
  readonly #id: number
  readonly #pending = new Map<number, Pending>()
  #last = 0

  constructor(worker: PoolWorker, id: number) {
    this.#worker = worker
    this.#id = id
  }

  /** Keeps the process alive until there is an answer. */
  ask(what: Question): Promise<unknown> {
    const ask = ++this.#last
    this.#worker.hold()
    return new Promise((resolve, reject) => {
      this.#pending.set(ask, { what, resolve, reject })
      this.#worker.post({ type: 'ask', id: this.#id, ask, what })
    })
  }

  /** Another thread has taken over. */
  askAgain(): void {
    for (const [ask, { what }] of this.#pending) this.#worker.post({ type: 'ask', id: this.#id, ask, what })
  }

  answered({ ask, value, error }: Extract<ToMain, { type: 'answer' }>): void {
    const pending = this.#pending.get(ask)
    if (pending === undefined) return
    this.#pending.delete(ask)
    this.#worker.letGo()
    if (error === undefined) pending.resolve(value)
    else pending.reject(fromPlain(error))
  }

  rejectAll(error: Error): void {
    for (const { reject } of this.#pending.values()) {
      this.#worker.letGo()
      reject(error)
    }
    this.#pending.clear()
  }
}

/** The error that a thread has sent. */
export function fromPlain({ code, message, path }: PlainError): LogboomError {
  return new LogboomError(code, message, { path })
}
