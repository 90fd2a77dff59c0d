// When the command of `onFinished` runs for files that no upkeep of backups looks after: those of a spool, and the segments
// and snapshots of a write-ahead log. One command after the other, off the write path; what was not done when a process ended
// is done by the next one.
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import { monotonicMs } from '../../base/clock.ts'
import type { FinishedFile, Finisher } from './finisher.ts'

/** Somebody else runs commands at the moment. */
const BUSY_RETRY_MS = 200
/** How often it is looked for files that others have left, and after a failure. */
const LIST_INTERVAL_MS = 10_000
/** How long closing waits for a command; it goes on by itself afterwards, and is run again. */
const STOP_TIMEOUT_MS = 3_000

export interface CommandRoundsHost {
  readonly finisher: Finisher
  /** All files that are finished, the oldest first. Rejects if they cannot be listed. */
  list(): Promise<readonly FinishedFile[]>
  /** Keeps others from running commands; undefined if somebody else has it. Left out where there are no others. */
  readonly lock: (() => { release(): void } | undefined) | undefined
  failed(error: unknown): void
  /** The command has ended well for some of them, or they have waited long enough for it. */
  roundEnded(): void
}

export class CommandRounds {
  readonly #host: CommandRoundsHost
  readonly #abort = new AbortController()
  /** Finished since the last list was made. */
  #fresh: FinishedFile[] = []
  #isListDue = true
  #listedAtMs = 0
  #again = false
  /** After a failure that is everybody's: it would be told with each file that is finished. */
  #notBeforeMs = 0
  #isStopping = false
  #running: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(host: CommandRoundsHost) {
    this.#host = host
  }

  /** Does what an earlier process left undone. */
  start(): void {
    this.#notBeforeMs = 0
    this.#isListDue = true
    this.#request()
  }

  /** One more file is finished. */
  finished(name: string): void {
    // What is in the list need not be remembered.
    if (!this.#isListDue) this.#fresh.push({ name, compression: '' })
    this.#request()
  }

  /** Lets a round under way finish, within a limit. Does not reject. */
  async stop(limitMs = STOP_TIMEOUT_MS): Promise<void> {
    clearTimeout(this.#timer)
    this.#isStopping = true
    const timer = setTimeout(() => this.#abort.abort(), limitMs)
    await this.#running
    clearTimeout(timer)
    this.#abort.abort()
  }

  #request(): void {
    if (this.#abort.signal.aborted || monotonicMs() < this.#notBeforeMs) return
    this.#again = true
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  async #run(): Promise<void> {
    const { lock, failed } = this.#host
    const { signal } = this.#abort
    clearTimeout(this.#timer)
    let pauseMs: number | undefined
    while (this.#again && !signal.aborted) {
      let held: { release(): void } | undefined
      try {
        held = lock?.()
        if (lock !== undefined && held === undefined) {
          if (this.#isStopping) return
          await setTimeoutAsync(BUSY_RETRY_MS, undefined, { ref: false })
          continue
        }
        this.#again = false
        pauseMs = await this.#round(signal)
      } catch (error) {
        if (signal.aborted) return
        failed(error)
        // What was taken out of the list of fresh files is found in that of all.
        this.#isListDue = true
        this.#again = false
        this.#notBeforeMs = monotonicMs() + LIST_INTERVAL_MS
        pauseMs = LIST_INTERVAL_MS
      } finally {
        held?.release()
      }
    }
    this.#plan(pauseMs)
  }

  /** Resolves with the pause before the next one; undefined if none is needed for what is known. */
  async #round(signal: AbortSignal): Promise<number | undefined> {
    const { finisher, list, lock, roundEnded } = this.#host
    finisher.begin()
    const nowMs = monotonicMs()
    const areAll = this.#isListDue || (lock !== undefined && nowMs - this.#listedAtMs >= LIST_INTERVAL_MS)
    if (areAll) this.#listedAtMs = nowMs
    this.#isListDue = false
    const fresh = this.#fresh.splice(0)
    // What is finished from here on is put into the list of fresh files, and perhaps found twice.
    const files = areAll ? await list() : fresh
    const pauseMs = await finisher.run(files, signal, areAll)
    roundEnded()
    if (pauseMs === undefined) return undefined
    // Those that are left over are not fresh any more.
    this.#isListDue = true
    if (pauseMs === 0) this.#again = true
    return pauseMs
  }

  #plan(pauseMs: number | undefined): void {
    if (this.#isStopping || this.#abort.signal.aborted) return
    const othersMs = this.#host.lock === undefined ? Number.POSITIVE_INFINITY : LIST_INTERVAL_MS
    const waitMs = Math.min(pauseMs ?? Number.POSITIVE_INFINITY, othersMs)
    if (Number.isFinite(waitMs)) this.#timer = setTimeout(() => this.start(), waitMs).unref()
  }
}
