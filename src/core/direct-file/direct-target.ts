// The target of the pump of a direct file: moves lines to the shared memory, from where a thread of its own writes them.
import { monotonicMs } from '../../base/clock.ts'
import { decodeLength, LENGTH_BYTES } from '../../formats/binary-file.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { Account } from '../sink/account.ts'
import type { SyncLevel, Target } from '../sink/target.ts'
import type { Staging } from './staging.ts'

/** A pump that allows a batch more time than this has a caller who is to be blocked. */
const SHORT_WAIT_MS = 10

export class DirectTarget implements Target {
  /** Waiting is back-pressure. */
  readonly lockTimeoutMs = Number.POSITIVE_INFINITY
  readonly isStaging = true
  readonly #staging: Staging
  readonly #account: Account
  /** Drops of the account that the writer was told of, for the next seal. */
  #passed = 0
  /** Drops of the account that came from the flusher. */
  readonly #isFramed: boolean
  #fromFlusher = 0

  /** `isFramed`: what is written are records with their lengths before them, else lines. */
  constructor(staging: Staging, account: Account, isFramed: boolean) {
    this.#isFramed = isFramed
    this.#staging = staging
    this.#account = account
  }

  /** Records dropped by writers and the flusher that the account does not know of. */
  get untoldDropped(): number {
    return this.#staging.untoldDropped(this.#passed)
  }

  /** Takes over what the flusher has given up. */
  lost(dropped: Dropped): void {
    this.#fromFlusher += dropped.lines
    this.#account.drop(dropped)
  }

  write(lines: Buffer, waitMs: number): number {
    const { failure, writer, link } = this.#staging
    if (failure !== undefined) throw failure
    this.passDrops()
    const untilMs = monotonicMs() + waitMs
    for (;;) {
      const bytes = this.#isFramed ? this.#tryFrames(lines) : writer.tryLogLines(lines, 0, lines.length)
      if (bytes > 0) return bytes
      link.look()
      // A caller who must not be blocked comes again; one who has to be, at the end of the process above all, gets room
      // as soon as there is some.
      const leftMs = untilMs - monotonicMs()
      if (waitMs < SHORT_WAIT_MS || leftMs <= 0) return 0
      writer.waitForFlush(leftMs)
    }
  }

  #tryFrames(frames: Buffer): number {
    const { writer } = this.#staging
    let at = 0
    while (at < frames.length) {
      const start = at + LENGTH_BYTES
      const end = start + decodeLength(frames, at)
      if (!writer.tryLogRecord(frames, start, end)) break
      at = end
    }
    return at
  }

  async sync(_to: SyncLevel): Promise<void> {
    this.passDrops()
    await this.#staging.flush()
  }

  syncNow(_to: SyncLevel, waitMs: number): void {
    this.passDrops()
    this.#staging.flushNow(waitMs)
  }

  pending(): { bytes: number; progress: number } {
    return this.#staging.pending()
  }

  abandon(): Dropped {
    const lost = this.#staging.abandon()
    this.#fromFlusher += lost.lines
    return lost
  }

  close(): Promise<Dropped> {
    this.passDrops()
    return this.#staging.close()
  }

  /** Seals tell of all drops, those of the pump's queue, too. */
  passDrops(): void {
    const dropped = this.#account.counters.dropped - this.#fromFlusher - this.#passed
    if (dropped <= 0) return
    this.#staging.writer.countDropped(dropped)
    this.#passed += dropped
  }
}
