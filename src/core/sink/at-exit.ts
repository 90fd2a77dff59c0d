// Who has something to write when the process, or this worker thread, exits, and the one deadline they all share.
import { monotonicMs } from '../../base/clock.ts'

/** What can be written is waited for so long while nothing gets done, … */
const STALL_MS = 5_000
/** … and so long in any case, also for a thread that has not begun: on a busy machine its start takes seconds. */
const TOTAL_MS = 10_000
/** What is known to be unable to write is given so long, all of it together. */
const DEGRADED_MS = 500
/** Each gets so long, even if others have used up the time. */
const LEAST_MS = 100

/** Called on 'exit', when nothing asynchronous is possible any more. */
export interface ExitHandler {
  /** Called before anybody waits: has other threads begin. */
  beginExit?(): void
  exitNow(deadline: ExitDeadline): void
}

/** How long to wait for an output; see `OutputWords.block`. */
export interface ExitPatience {
  readonly totalMs: number
  readonly stallMs: number
  readonly startMs: number
  readonly degradedMs: number
}

export class ExitDeadline {
  readonly #startMs = monotonicMs()
  /** When something was written last. */
  #progressMs = this.#startMs

  /** An output has written what it had. */
  progressed(): void {
    this.#progressMs = monotonicMs()
  }

  /**
   * How long a record that was logged meanwhile may wait. There may be any number of them, each of which takes its time:
   * only what stands still is given up.
   */
  get latePatience(): ExitPatience {
    return { ...this.patience, totalMs: Number.POSITIVE_INFINITY }
  }

  /** How long the next one may wait. */
  get patience(): ExitPatience {
    const nowMs = monotonicMs()
    const passedMs = nowMs - this.#startMs
    const totalMs = Math.max(LEAST_MS, TOTAL_MS - passedMs)
    return {
      totalMs,
      stallMs: Math.max(LEAST_MS, STALL_MS - (nowMs - this.#progressMs)),
      startMs: totalMs,
      degradedMs: Math.max(LEAST_MS, DEGRADED_MS - passedMs)
    }
  }
}

// Strong references, unlike those of the usual packages: what was accepted must not be lost with a sink that nobody
// refers to, and whoever is done with a sink closes it.
const handlers = new Set<ExitHandler>()
let isListening = false
let exiting: ExitDeadline | undefined

/** Set once the process has begun to exit: what is logged from then on has to be written at once. */
export function exitDeadline(): ExitDeadline | undefined {
  return exiting
}

/** To be called when something was accepted: has it written at once if there will be no later. */
export function writeAtExit(handler: ExitHandler): void {
  if (exiting !== undefined) handler.exitNow(exiting)
}

function exit(): void {
  exiting ??= new ExitDeadline()
  for (const handler of [...handlers]) handler.beginExit?.()
  for (const handler of [...handlers]) handler.exitNow(exiting)
}

export function addExitHandler(handler: ExitHandler): void {
  // For good: what is made while the process exits has to know that it does.
  if (!isListening) process.on('exit', exit)
  isListening = true
  handlers.add(handler)
}

export function removeExitHandler(handler: ExitHandler): void {
  handlers.delete(handler)
}
