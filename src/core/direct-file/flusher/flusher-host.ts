// The life of a flusher's thread, on the side of the thread that opened the file: started, started again on the same
// memory where it ended, given up where that leads nowhere.
import { Worker } from 'node:worker_threads'
import { monotonicMs } from '../../../base/clock.ts'
import { errorMessage, LogboomError, systemCode } from '../../../base/errors.ts'
import { builtFile } from '../../../base/package-root.ts'
import type { DiskModule } from '../../sink/internals.ts'
import { createJournal } from '../files/flush-journal.ts'
import { LargeKeeper } from '../memory/large-records.ts'
import {
  activity,
  control,
  runState,
  SEALED,
  type SharedMemory,
  statistic,
  threadState
} from '../memory/shared-memory.ts'
import { mayLive } from '../memory/thread-life.ts'
import { openRecords } from '../statistics.ts'
import type { FlusherMessage, FlusherOptions, FlusherRequest } from './flusher-protocol.ts'
import type { FlusherThreadData } from './flusher-thread.ts'

/** A flusher that was given up may finish the call it is in, and is terminated then. */
export const LAST_CALL_MS = 500
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

export interface FlusherHostOptions extends Omit<FlusherOptions, 'journal' | 'isRestart' | 'kept'> {
  readonly diskModule?: DiskModule | undefined
}

export interface HostNews {
  message(message: FlusherMessage): void
  /** The thread ended and is started again. */
  ended(error: LogboomError): void
  /** It ended too often, or cannot do its work here; what was in memory is counted as lost. */
  failed(error: LogboomError): void
  /** No thread works any more, and none will. */
  over(): void
}

/** `running`: there is a thread, or one that starts. `pausing`: one will be started. `over`: none will. */
type HostState = 'running' | 'pausing' | 'over'

const next: Record<HostState, readonly HostState[]> = {
  running: ['pausing', 'over'],
  pausing: ['running', 'pausing', 'over'],
  over: []
}

export class FlusherHost {
  /** See flush-journal.ts. */
  readonly journal: SharedArrayBuffer
  readonly #file: URL
  readonly #memory: SharedMemory
  readonly #keeper: LargeKeeper
  readonly #options: FlusherHostOptions
  readonly #news: HostNews
  /** What a new thread has to be told before anything else. */
  readonly #resend: () => readonly FlusherRequest[]
  #state: HostState = 'pausing'
  #worker: Worker | undefined
  #starts = 0
  #startedAtMs = 0
  #restartAtMs = 0
  #restartTimer: NodeJS.Timeout | undefined
  #cause: unknown
  #deaths = 0
  #bytesAtStart = -1
  #failure: LogboomError | undefined
  #isHeld = false

  /** Throws `ERR_UNSUPPORTED` in a bundle without the file of the thread. */
  constructor(
    memory: SharedMemory,
    options: FlusherHostOptions,
    news: HostNews,
    resend: () => readonly FlusherRequest[]
  ) {
    this.#file = builtFile('core/direct-file/flusher/flusher-thread.js')
    this.#memory = memory
    this.#keeper = new LargeKeeper(memory)
    this.#options = options
    this.journal = createJournal(options.group?.maxFiles ?? 1)
    this.#news = news
    this.#resend = resend
  }

  /** Why no thread is started any more. */
  get failure(): LogboomError | undefined {
    return this.#failure
  }

  get isOver(): boolean {
    return this.#state === 'over'
  }

  send(request: FlusherRequest): void {
    this.#worker?.postMessage(request)
  }

  /** Whether the thread, or the timer that starts it again, keeps the process alive. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld
    for (const handle of [this.#worker, this.#restartTimer]) {
      if (isHeld) handle?.ref()
      else handle?.unref()
    }
  }

  /** For a thread that blocks and gets no events: starts the flusher's thread again if it has ended. */
  look(): void {
    const { words } = this.#memory
    const nowMs = monotonicMs()
    this.#keeper.receive()
    if (this.#worker !== undefined) {
      const isOver =
        Atomics.load(words, control.thread) === threadState.ended ||
        !mayLive(Atomics.load(words, control.systemThread))
      if (isOver) this.#threadEnded(this.#worker)
      else if (this.#isStartLate(nowMs)) this.#threadEnded(this.#worker)
    }
    if (this.#worker === undefined && this.#restartTimer !== undefined && nowMs >= this.#restartAtMs) {
      this.start()
    }
  }

  start(): void {
    const { words, statistics } = this.#memory
    clearTimeout(this.#restartTimer)
    this.#restartTimer = undefined
    const start = ++this.#starts
    this.#startedAtMs = monotonicMs()
    this.#cause = undefined
    this.#bytesAtStart = statistics[statistic.bytesWritten]
    Atomics.store(words, control.thread, threadState.starting)
    Atomics.store(words, control.activity, activity.working)
    Atomics.store(words, control.systemThread, 0)
    Atomics.store(words, control.start, start)
    const { diskModule, ...options } = this.#options
    const workerData: FlusherThreadData = {
      handle: this.#memory.handle,
      options: { ...options, journal: this.journal, isRestart: start > 1, kept: this.#keeper.records() },
      start,
      diskModule
    }
    let worker: Worker
    try {
      worker = new Worker(this.#file, {
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
    this.#enter('running')
    worker.on('message', (message: FlusherMessage) => this.#news.message(message))
    // After it: a listener of messages holds the process, too.
    if (!this.#isHeld) worker.unref()
    worker.on('error', (error) => {
      if (worker === this.#worker) this.#cause = error
    })
    worker.once('exit', () => this.#threadEnded(worker))
    for (const request of this.#resend()) worker.postMessage(request)
  }

  #isStartLate(nowMs: number): boolean {
    const { words } = this.#memory
    if (nowMs - this.#startedAtMs < START_LIMIT_MS) return false
    // If this succeeds the late thread will find that it is not wanted any more.
    return Atomics.compareExchange(words, control.start, this.#starts, 0) === this.#starts
  }

  /** The thread has ended, as an event says or as the memory does. */
  #threadEnded(worker: Worker): void {
    if (worker !== this.#worker) return
    this.#worker = undefined
    // It may have ended before it claimed the memory.
    Atomics.store(this.#memory.words, control.start, 0)
    Atomics.store(this.#memory.words, control.thread, threadState.ended)
    if (
      Atomics.load(this.#memory.words, control.state) === runState.closed ||
      Atomics.load(this.#memory.words, control.giveUp) !== 0
    )
      this.#end()
    else if (Atomics.load(this.#memory.words, control.unsyncable) !== 0) this.#fail(this.#notSyncable())
    else this.#planRestart()
  }

  #notSyncable(): LogboomError {
    const { path } = this.#memory.handle
    const message = `${path} is on a file system that cannot sync it, so nothing can be durable there`
    return new LogboomError('ERR_UNSUPPORTED', message, { path })
  }

  #planRestart(): void {
    const { words, statistics } = this.#memory
    const { path } = this.#memory.handle
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
    this.#enter('pausing')
    if (this.#deaths >= MAX_DEATHS) {
      const message = `the thread that writes ${path} has ended ${this.#deaths} times in a row; nothing more is written`
      this.#fail(new LogboomError('ERR_IO', message, { path, cause: error }))
      return
    }
    const delayMs = Math.min(RESTART_MIN_MS * 2 ** Math.max(0, this.#deaths - 1), RESTART_MAX_MS)
    this.#restartAtMs = monotonicMs() + (isPassing ? RESTART_MAX_MS : delayMs)
    this.#restartTimer = setTimeout(() => this.start(), this.#restartAtMs - monotonicMs())
    if (!this.#isHeld) this.#restartTimer.unref()
    this.#news.ended(error)
  }

  /** Nothing is accepted any more, and what waits will not be written. */
  #fail(failure: LogboomError): void {
    const { words, statistics, handle } = this.#memory
    this.#failure = failure
    Atomics.store(words, control.state, runState.failed)
    for (let shard = 0; shard < 2 * handle.shape.shards; shard++) {
      const index = this.#memory.shardWord(0, shard)
      Atomics.or(words, index, SEALED)
      Atomics.store(words, index + 2, 1)
    }
    statistics[statistic.lost] += openRecords(this.#memory)
    Atomics.notify(words, control.flushed)
    this.#news.failed(failure)
    this.#end()
  }

  /** Closing has waited long enough. */
  giveUp(): void {
    const { words } = this.#memory
    if (Atomics.load(words, control.giveUp) !== 0) return
    Atomics.store(words, control.giveUp, 1)
    this.#memory.wake()
    clearTimeout(this.#restartTimer)
    if (this.#worker === undefined) {
      this.#end()
      return
    }
    let terminations = 0
    // Not once: Node 22 and later may not heed it while the thread still loads its modules.
    const timer = setInterval(() => {
      if (this.#worker === undefined || terminations++ === MAX_TERMINATIONS) {
        clearInterval(timer)
        this.#end()
      } else void this.#worker.terminate()
    }, LAST_CALL_MS)
  }

  #enter(state: HostState): void {
    if (!next[this.#state].includes(state))
      throw new Error(`a flusher's host that is ${this.#state} cannot be ${state}`)
    this.#state = state
  }

  #end(): void {
    if (this.#state === 'over') return
    clearTimeout(this.#restartTimer)
    this.#restartTimer = undefined
    this.#enter('over')
    this.#keeper.close()
    this.#news.over()
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
