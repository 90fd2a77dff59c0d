// The opening thread's side of a flusher: starts its thread, and again where it ended; asks it to flush, passes its
// news on, ends it.

import { randomUUID } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import { builtFile } from '../../base/package-root.ts'
import type { DiskModule } from '../sink/internals.ts'
import { createJournal } from './flush-journal.ts'
import type { FlusherMessage, FlusherOptions, FlusherRequest } from './flusher-protocol.ts'
import type { FlusherThreadData } from './flusher-thread.ts'
import {
  activity,
  control,
  createMemory,
  type DirectFileHandle,
  runState,
  SEALED,
  SharedMemory,
  statistic,
  threadState
} from './shared-memory.ts'
import { STALL_MS, StallClock } from './stall-clock.ts'
import { openRecords } from './statistics.ts'

/** How often a thread that waits for the flusher looks whether it still lives and goes on. */
const WAIT_MS = 100
/** A flusher that was given up may finish the call it is in, and is terminated then. */
const LAST_CALL_MS = 500
/** A thread in a call that never returns cannot be ended; its disk refuses all further ones. */
const MAX_TERMINATIONS = 10
const RESTART_MIN_MS = 50
const RESTART_MAX_MS = 1_000
/** So many ends of the thread in a row, without anything written in between, and the file has failed. */
const MAX_DEATHS = 8
/** A blocked thread gets no events; a thread that has not begun to run by then is started anew. */
const START_LIMIT_MS = 10_000
/** Why a thread could not be started that may start later. */
const PASSING = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'])

export interface FlusherLinkOptions extends Omit<FlusherOptions, 'journal' | 'isRestart'> {
  readonly diskModule?: DiskModule | undefined
}

export interface LinkNews {
  message(message: FlusherMessage): void
  /** The thread ended and is started again. */
  ended(error: LogboomError): void
  /** It ended too often; what was in memory is counted as lost. */
  failed(error: LogboomError): void
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class FlusherLink {
  readonly handle: DirectFileHandle
  readonly memory: SharedMemory
  readonly #options: FlusherLinkOptions
  /** See flush-journal.ts. */
  readonly journal: SharedArrayBuffer
  readonly #news: LinkNews
  /** What a new thread has to be told before anything else. */
  readonly #resend: () => readonly FlusherRequest[]
  #worker: Worker | undefined
  #starts = 0
  #startedAtMs = 0
  #restartAtMs = 0
  #restartTimer: NodeJS.Timeout | undefined
  #cause: unknown
  #deaths = 0
  #bytesAtStart = -1
  #failure: LogboomError | undefined
  #closing: Promise<number> | undefined
  /** Called when no thread works any more, and none will. */
  #over: (() => void) | undefined
  readonly #flushes = new Map<number, Waiter>()
  readonly #closes = new Map<number, Waiter & { readonly tag: number }>()
  #closeNumber = 0
  #refs = 0

  constructor(
    handle: Omit<DirectFileHandle, 'buffer' | 'channel'>,
    options: FlusherLinkOptions,
    news: LinkNews,
    resend: () => readonly FlusherRequest[] = () => []
  ) {
    this.handle = { ...handle, buffer: createMemory(handle.shape), channel: `logboom-${randomUUID()}` }
    this.memory = new SharedMemory(this.handle)
    this.#options = options
    this.journal = createJournal(options.group?.maxFiles ?? 1)
    this.#news = news
    this.#resend = resend
    this.#start()
  }

  /** One of `runState`. */
  get state(): number {
    return Atomics.load(this.memory.words, control.state)
  }

  /** Why the flusher was given up; nothing is accepted any more. */
  get failure(): LogboomError | undefined {
    return this.#failure
  }

  /** Carried out before anything that is logged after this call is written. */
  request(request: FlusherRequest): void {
    this.#worker?.postMessage(request)
  }

  /** Resolves when everything logged before is on disk, or counted as lost. */
  flush(): Promise<void> {
    const { words } = this.memory
    if (this.state >= runState.closed) return Promise.reject(this.#gone())
    const number = (Atomics.add(words, control.flushAsked, 1) + 1) | 0
    this.memory.wake()
    return this.#await(this.#flushes, number, {})
  }

  /** Resolves when what was logged for file `tag` before is on disk, or counted as lost, and the file is closed. */
  closeFile(tag: number): Promise<void> {
    if (this.state >= runState.closed) return Promise.reject(this.#gone())
    const number = ++this.#closeNumber
    this.request({ type: 'close', tag, number })
    this.memory.wake()
    return this.#await(this.#closes, number, { tag })
  }

  /**
   * `flush`, blocking this thread. Throws `ERR_IO` after `timeoutMs`, or, without it, when nothing has got on for
   * `STALL_MS`; `ERR_CLOSED` if the flusher has ended.
   */
  flushNow(timeoutMs?: number): void {
    const { words } = this.memory
    const number = (Atomics.add(words, control.flushAsked, 1) + 1) | 0
    this.memory.wake()
    this.#waitNow(control.flushDone, timeoutMs, () => this.#isDone(number))
  }

  /** Waits, blocking this thread, for a `close` under way. Throws `ERR_IO` when nothing has got on for `STALL_MS`. */
  closeNow(): void {
    this.#waitNow(control.flushed, undefined, () => this.state >= runState.closed)
  }

  /** For a thread that blocks and gets no events: starts the flusher's thread again if it has ended. */
  look(): void {
    const { words } = this.memory
    const nowMs = monotonicMs()
    if (this.#worker !== undefined) {
      if (Atomics.load(words, control.thread) === threadState.ended) this.#threadEnded(this.#worker)
      else if (this.#isStartLate(nowMs)) this.#threadEnded(this.#worker)
    }
    if (this.#worker === undefined && this.#restartTimer !== undefined && nowMs >= this.#restartAtMs) {
      this.#start()
    }
  }

  /**
   * Writes what is left and ends the thread; with `isVain` somebody has waited for that long enough. Resolves with the
   * number of records that could not be written.
   */
  close(isVain = false): Promise<number> {
    this.#closing ??= this.#close(isVain)
    return this.#closing
  }

  async #close(isVain: boolean): Promise<number> {
    const { words, statistics } = this.memory
    for (const state of [runState.opening, runState.open, runState.degraded]) {
      if (Atomics.compareExchange(words, control.state, state, runState.closing) === state) break
    }
    this.memory.wake()
    if (this.state !== runState.closed && this.#failure === undefined) {
      this.#hold()
      const clock = new StallClock(this.memory)
      // Not unref'ed: what was accepted keeps the process alive until it is written.
      const timer = setInterval(() => {
        if (clock.isStalled()) this.#giveUp()
      }, WAIT_MS)
      await new Promise<void>((resolve) => {
        this.#over = resolve
        if (isVain) this.#giveUp()
      })
      clearInterval(timer)
      this.#letGo()
    }
    Atomics.store(words, control.state, runState.closed)
    Atomics.notify(words, control.flushed)
    this.#settleAll()
    const lost = openRecords(this.memory)
    statistics[statistic.lost] += lost
    return lost
  }

  #waitNow(word: number, timeoutMs: number | undefined, isDone: () => boolean): void {
    const { words } = this.memory
    const deadlineMs = monotonicMs() + (timeoutMs ?? Number.POSITIVE_INFINITY)
    const clock = new StallClock(this.memory)
    while (!isDone()) {
      const seen = Atomics.load(words, word)
      this.look()
      if (this.#failure !== undefined) throw this.#failure
      if (this.state === runState.closed) throw this.#gone()
      const restMs = deadlineMs - monotonicMs()
      if (restMs <= 0 || (timeoutMs === undefined && clock.isStalled())) {
        const { path } = this.handle
        const limit =
          timeoutMs === undefined ? `nothing was written for ${STALL_MS} ms` : `not within ${timeoutMs} ms`
        throw new LogboomError('ERR_IO', `${path} could not be written: ${limit}`, { path })
      }
      if (!isDone()) Atomics.wait(words, word, seen, Math.min(restMs, WAIT_MS))
    }
  }

  #start(): void {
    const { words, statistics } = this.memory
    clearTimeout(this.#restartTimer)
    this.#restartTimer = undefined
    const start = ++this.#starts
    this.#startedAtMs = monotonicMs()
    this.#cause = undefined
    this.#bytesAtStart = statistics[statistic.bytesWritten]
    Atomics.store(words, control.thread, threadState.starting)
    Atomics.store(words, control.activity, activity.working)
    Atomics.store(words, control.start, start)
    const { diskModule, ...options } = this.#options
    const workerData: FlusherThreadData = {
      handle: this.handle,
      options: { ...options, journal: this.journal, isRestart: start > 1 },
      start,
      diskModule
    }
    let worker: Worker
    try {
      worker = new Worker(builtFile('core/direct-file/flusher-thread.js'), {
        workerData,
        // The application's loaders and debug options are not for this thread.
        execArgv: [],
        // It makes little garbage; by default V8 lets a thread collect tens of megabytes of it.
        resourceLimits: { maxYoungGenerationSizeMb: 4 }
      })
    } catch (error) {
      this.#cause = error
      this.#planRestart()
      return
    }
    this.#worker = worker
    if (this.#refs === 0) worker.unref()
    worker.on('message', (message: FlusherMessage) => this.#receive(message))
    worker.on('error', (error) => {
      if (worker === this.#worker) this.#cause = error
    })
    worker.once('exit', () => this.#threadEnded(worker))
    for (const request of this.#resend()) worker.postMessage(request)
    for (const [number, { tag }] of this.#closes) worker.postMessage({ type: 'close', tag, number })
  }

  #isStartLate(nowMs: number): boolean {
    const { words } = this.memory
    if (nowMs - this.#startedAtMs < START_LIMIT_MS) return false
    // If this succeeds the late thread will find that it is not wanted any more.
    return Atomics.compareExchange(words, control.start, this.#starts, 0) === this.#starts
  }

  /** The thread has ended, as an event says or as the memory does. */
  #threadEnded(worker: Worker): void {
    if (worker !== this.#worker) return
    this.#worker = undefined
    // It may have ended before it claimed the memory.
    Atomics.store(this.memory.words, control.start, 0)
    Atomics.store(this.memory.words, control.thread, threadState.ended)
    if (this.state === runState.closed || Atomics.load(this.memory.words, control.giveUp) !== 0)
      this.#over?.()
    else this.#planRestart()
  }

  #planRestart(): void {
    const { words, statistics } = this.memory
    const { path } = this.handle
    const isPassing = PASSING.has(passingCode(this.#cause))
    if (statistics[statistic.bytesWritten] !== this.#bytesAtStart) this.#deaths = 0
    if (!isPassing) this.#deaths++
    Atomics.store(words, control.activity, activity.pausing)
    // The next thread says that it has recovered when it has.
    for (const state of [runState.opening, runState.open]) {
      Atomics.compareExchange(words, control.state, state, runState.degraded)
    }
    const reason = this.#cause === undefined ? '' : `: ${errorMessage(this.#cause)}`
    const error = new LogboomError('ERR_IO', `the thread that writes ${path} has ended${reason}`, {
      path,
      cause: this.#cause
    })
    if (this.#deaths >= MAX_DEATHS) {
      this.#fail(error)
      return
    }
    const delayMs = Math.min(RESTART_MIN_MS * 2 ** Math.max(0, this.#deaths - 1), RESTART_MAX_MS)
    this.#restartAtMs = monotonicMs() + (isPassing ? RESTART_MAX_MS : delayMs)
    this.#restartTimer = setTimeout(() => this.#start(), this.#restartAtMs - monotonicMs())
    if (this.#refs === 0) this.#restartTimer.unref()
    this.#news.ended(error)
  }

  /** Nothing is accepted any more, and what waits will not be written. */
  #fail(cause: LogboomError): void {
    const { words, statistics, handle } = this.memory
    const { path } = handle
    const message = `the thread that writes ${path} has ended ${this.#deaths} times in a row; nothing more is written`
    this.#failure = new LogboomError('ERR_IO', message, { path, cause })
    Atomics.store(words, control.state, runState.failed)
    for (let shard = 0; shard < 2 * handle.shape.shards; shard++) {
      const index = this.memory.shardWord(0, shard)
      Atomics.or(words, index, SEALED)
      Atomics.store(words, index + 2, 1)
    }
    statistics[statistic.lost] += openRecords(this.memory)
    Atomics.notify(words, control.flushed)
    this.#settleAll()
    this.#news.failed(this.#failure)
    this.#over?.()
  }

  /** Closing has waited long enough. */
  #giveUp(): void {
    const { words } = this.memory
    if (Atomics.load(words, control.giveUp) !== 0) return
    Atomics.store(words, control.giveUp, 1)
    this.memory.wake()
    clearTimeout(this.#restartTimer)
    if (this.#worker === undefined) {
      this.#over?.()
      return
    }
    let terminations = 0
    // Not once: Node 22 and later may not heed it while the thread still loads its modules.
    const timer = setInterval(() => {
      if (this.#worker === undefined || terminations++ === MAX_TERMINATIONS) {
        clearInterval(timer)
        this.#over?.()
      } else void this.#worker.terminate()
    }, LAST_CALL_MS)
  }

  #receive(message: FlusherMessage): void {
    if (message.type === 'flushed') {
      for (const [number, waiter] of this.#flushes) {
        if (!this.#isDone(number)) continue
        this.#flushes.delete(number)
        waiter.resolve()
      }
    } else if (message.type === 'fileClosed') {
      this.#closes.get(message.number)?.resolve()
      this.#closes.delete(message.number)
    } else this.#news.message(message)
  }

  #isDone(number: number): boolean {
    return ((Atomics.load(this.memory.words, control.flushDone) - number) | 0) >= 0
  }

  #await<T extends object>(waiters: Map<number, Waiter & T>, number: number, more: T): Promise<void> {
    this.#hold()
    return new Promise<void>((resolve, reject) => {
      waiters.set(number, { resolve, reject, ...more })
    }).finally(() => this.#letGo())
  }

  /** Nobody will answer any more. */
  #settleAll(): void {
    for (const [number, { resolve, reject }] of this.#flushes) {
      if (this.#isDone(number)) resolve()
      else reject(this.#failure ?? this.#gone())
    }
    for (const { reject } of this.#closes.values()) reject(this.#failure ?? this.#gone())
    this.#flushes.clear()
    this.#closes.clear()
  }

  #gone(): LogboomError {
    const { path } = this.handle
    return new LogboomError('ERR_CLOSED', `the thread that writes ${path} has ended`, { path })
  }

  /** Keeps the process alive while something waits for the flusher; otherwise the exit hook has the last word. */
  #hold(): void {
    if (this.#refs++ > 0) return
    this.#worker?.ref()
    this.#restartTimer?.ref()
  }

  #letGo(): void {
    if (--this.#refs > 0) return
    this.#worker?.unref()
    this.#restartTimer?.unref()
  }
}

/** The code of a system error on the way to a running thread. */
function passingCode(error: unknown): string {
  const code = systemCode(error) ?? ''
  if (code !== 'ERR_WORKER_INIT_FAILED' && code !== '') return code
  return (
    /\b(E[A-Z]+)\b/.exec(error === undefined ? '' : errorMessage(error).replace(/^ERR_\w+/, ''))?.[1] ?? code
  )
}
