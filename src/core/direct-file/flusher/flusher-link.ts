// The opening thread's side of a flusher: asks it to flush and to close files, passes its news on, waits for its end.

import { randomUUID } from 'node:crypto'
import { monotonicMs } from '../../../base/clock.ts'
import { LogboomError } from '../../../base/errors.ts'
import {
  control,
  createMemory,
  type DirectFileHandle,
  runState,
  SharedMemory,
  statistic
} from '../memory/shared-memory.ts'
import { openRecords } from '../statistics.ts'
import { FlusherHost, type FlusherHostOptions, type HostNews, LAST_CALL_MS } from './flusher-host.ts'
import type { FileClosed, FlusherMessage, FlusherRequest } from './flusher-protocol.ts'
import { StallClock } from './stall-clock.ts'

/** How often a thread that waits for the flusher looks whether it still lives and goes on. */
const WAIT_MS = 100
export type LinkNews = Omit<HostNews, 'over'>

/** A flusher that gives the records of a file up says so within this. */
const ANSWER_MS = 2_000

interface Waiter<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

export interface LinkOptions extends FlusherHostOptions {
  /** Whoever waits for the flusher gives up after so long without progress. */
  readonly stallMs: number
}

export class FlusherLink {
  readonly handle: DirectFileHandle
  readonly memory: SharedMemory
  readonly #host: FlusherHost
  readonly #news: LinkNews
  readonly #stallMs: number
  #closing: Promise<void> | undefined
  /** Called when no thread works any more, and none will. */
  #over: (() => void) | undefined
  readonly #flushes = new Map<number, Waiter<void>>()
  readonly #closes = new Map<number, Waiter<FileClosed> & { readonly tag: number }>()
  #closeNumber = 0
  #refs = 0

  constructor(
    handle: Omit<DirectFileHandle, 'buffer' | 'channel'>,
    { stallMs, ...options }: LinkOptions,
    news: LinkNews,
    resend: () => readonly FlusherRequest[] = () => []
  ) {
    this.handle = { ...handle, buffer: createMemory(handle.shape), channel: `logboom-${randomUUID()}` }
    this.memory = new SharedMemory(this.handle)
    this.#news = news
    this.#stallMs = stallMs
    this.#host = new FlusherHost(
      this.memory,
      options,
      {
        message: (message) => this.#receive(message),
        ended: (error) => news.ended(error),
        failed: (error) => {
          this.#settleAll()
          news.failed(error)
        },
        over: () => this.#over?.()
      },
      () => [...resend(), ...this.#openCloses()]
    )
  }

  /** Starts the thread; that it cannot be is told to `news` at once, and tried again. */
  start(): void {
    this.#host.start()
  }

  /** See flush-journal.ts. */
  get journal(): SharedArrayBuffer {
    return this.#host.journal
  }

  /** One of `runState`. */
  get state(): number {
    return Atomics.load(this.memory.words, control.state)
  }

  /** Why the flusher was given up; nothing is accepted any more. */
  get failure(): LogboomError | undefined {
    return this.#host.failure
  }

  /** Carried out before anything that is logged after this call is written. */
  request(request: FlusherRequest): void {
    this.#host.send(request)
  }

  /** Resolves when everything logged before is on disk, or counted as lost. */
  flush(): Promise<void> {
    const { words } = this.memory
    if (this.state >= runState.closed) return Promise.reject(this.#gone())
    const number = (Atomics.add(words, control.flushAsked, 1) + 1) | 0
    this.memory.wake()
    return this.#held(
      new Promise((resolve, reject) => {
        this.#flushes.set(number, { resolve, reject })
      })
    )
  }

  /** Resolves when what was logged for file `tag` before is on disk, or counted as lost, and the file is closed. */
  closeFile(tag: number): Promise<FileClosed> {
    if (this.state >= runState.closed) return Promise.reject(this.#gone())
    const number = ++this.#closeNumber
    const closed = new Promise<FileClosed>((resolve, reject) => {
      this.#closes.set(number, { tag, resolve, reject })
    })
    this.request({ type: 'close', tag, number })
    this.memory.wake()
    // The flusher may be in a call that never returns.
    const clock = new StallClock(this.memory, this.#stallMs + ANSWER_MS)
    const timer = setInterval(() => {
      if (clock.isStalled()) this.#closedFile(number, { lost: 0, isWaiting: true })
    }, WAIT_MS)
    return this.#held(closed.finally(() => clearInterval(timer)))
  }

  /**
   * `flush`, blocking this thread. Throws `ERR_IO` after `timeoutMs`, or, without it, when nothing has got on for `mostStallMs` or
   * `stallMs`; `ERR_CLOSED` if the flusher has ended.
   */
  flushNow(timeoutMs?: number, mostStallMs = this.#stallMs): void {
    const { words } = this.memory
    const number = (Atomics.add(words, control.flushAsked, 1) + 1) | 0
    this.memory.wake()
    this.#waitNow(control.flushDone, timeoutMs, () => this.#isDone(number), mostStallMs)
  }

  /** Waits, blocking this thread, for a `close` under way. Throws `ERR_IO` when nothing has got on for `stallMs`. */
  closeNow(): void {
    this.#waitNow(control.flushed, undefined, () => this.state >= runState.closed)
  }

  /**
   * For a process that exits: ends the thread, waiting a moment for the call it is in, and counts what is not on disk as
   * lost. What another thread accepts afterwards is nobody's any more.
   */
  endNow(): void {
    const { memory } = this
    this.#host.giveUp()
    try {
      this.#waitNow(control.flushed, LAST_CALL_MS, () => this.state >= runState.closed)
    } catch {
      // It ended in another way, or never comes back from its call.
    }
    memory.statistics[statistic.lost] += openRecords(memory)
  }

  /** For a thread that blocks and gets no events: starts the flusher's thread again if it has ended. */
  look(): void {
    this.#host.look()
  }

  /**
   * Writes what is left and ends the thread; with `isVain` somebody has waited for that long enough. Records that could not
   * be written are counted as lost.
   */
  close(isVain = false): Promise<void> {
    this.#closing ??= this.#close(isVain)
    return this.#closing
  }

  async #close(isVain: boolean): Promise<void> {
    const { words, statistics } = this.memory
    for (const state of [runState.opening, runState.open, runState.degraded]) {
      if (Atomics.compareExchange(words, control.state, state, runState.closing) === state) break
    }
    this.memory.wake()
    // The flusher may have closed the file by now; its thread has news for us nevertheless, and has not ended.
    if (!this.#host.isOver) {
      this.#hold()
      const clock = new StallClock(this.memory, this.#stallMs)
      // Not unref'ed: what was accepted keeps the process alive until it is written.
      const timer = setInterval(() => {
        if (clock.isStalled()) this.#host.giveUp()
      }, WAIT_MS)
      await new Promise<void>((resolve) => {
        this.#over = resolve
        if (isVain) this.#host.giveUp()
      })
      clearInterval(timer)
      this.#letGo()
    }
    Atomics.store(words, control.state, runState.closed)
    Atomics.notify(words, control.flushed)
    this.#settleAll()
    statistics[statistic.lost] += openRecords(this.memory)
  }

  #waitNow(
    word: number,
    timeoutMs: number | undefined,
    isDone: () => boolean,
    mostStallMs = this.#stallMs
  ): void {
    const { words } = this.memory
    const stallMs = Math.min(mostStallMs, this.#stallMs)
    const deadlineMs = monotonicMs() + (timeoutMs ?? Number.POSITIVE_INFINITY)
    const clock = new StallClock(this.memory, stallMs)
    while (!isDone()) {
      const seen = Atomics.load(words, word)
      this.look()
      if (this.failure !== undefined) throw this.failure
      if (this.state === runState.closed) throw this.#gone()
      const restMs = deadlineMs - monotonicMs()
      if (restMs <= 0 || (timeoutMs === undefined && clock.isStalled())) {
        const { path } = this.handle
        const limit =
          timeoutMs === undefined ? `nothing was written for ${stallMs} ms` : `not within ${timeoutMs} ms`
        throw new LogboomError('ERR_IO', `${path} could not be written: ${limit}`, { path })
      }
      if (!isDone()) Atomics.wait(words, word, seen, Math.min(restMs, WAIT_MS))
    }
  }

  #receive(message: FlusherMessage): void {
    if (message.type === 'flushed') {
      for (const [number, waiter] of this.#flushes) {
        if (!this.#isDone(number)) continue
        this.#flushes.delete(number)
        waiter.resolve()
      }
    } else if (message.type === 'fileClosed') this.#closedFile(message.number, message)
    else this.#news.message(message)
  }

  #isDone(number: number): boolean {
    return ((Atomics.load(this.memory.words, control.flushDone) - number) | 0) >= 0
  }

  #closedFile(number: number, { lost, isWaiting }: FileClosed): void {
    this.#closes.get(number)?.resolve({ lost, isWaiting })
    this.#closes.delete(number)
  }

  /** The process lives until `waiting` is settled. */
  #held<T>(waiting: Promise<T>): Promise<T> {
    this.#hold()
    return waiting.finally(() => this.#letGo())
  }

  /** Nobody will answer any more. */
  #settleAll(): void {
    for (const [number, { resolve, reject }] of this.#flushes) {
      if (this.#isDone(number)) resolve()
      else reject(this.failure ?? this.#gone())
    }
    for (const { reject } of this.#closes.values()) reject(this.failure ?? this.#gone())
    this.#flushes.clear()
    this.#closes.clear()
  }

  #gone(): LogboomError {
    const { path } = this.handle
    return new LogboomError('ERR_CLOSED', `the thread that writes ${path} has ended`, { path })
  }

  #openCloses(): FlusherRequest[] {
    return [...this.#closes].map(([number, { tag }]) => ({ type: 'close', tag, number }))
  }

  /** Keeps the process alive while something waits for the flusher; otherwise the exit hook has the last word. */
  #hold(): void {
    if (this.#refs++ === 0) this.#host.hold(true)
  }

  #letGo(): void {
    if (--this.#refs === 0) this.#host.hold(false)
  }
}
