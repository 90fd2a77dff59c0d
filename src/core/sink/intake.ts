// What comes into the queue of a pump, within its bound: the overflow policy, and the account of what it lets go.
import { sleep } from '../../base/sleep.ts'
import type { Dropped, RecordQueue } from '../queue/byte-queue.ts'
import { linePieces } from '../queue/line-queue.ts'
import type { Account } from './account.ts'
import type { Overflow } from './contract.ts'
import type { SinkLife } from './sink-state.ts'

/** Near the bound of the queue, chunks are weighed in pieces of about this. */
const PIECE_LENGTH = 64 * 1024
/** How long one attempt to make room blocks a caller who has to be blocked anyway. */
const BLOCKED_WAIT_MS = 50

export interface IntakeOptions {
  readonly maxBufferBytes: number
  readonly overflow: Overflow
}

export class Intake {
  readonly #account: Account
  readonly #queue: RecordQueue
  readonly #maxBytes: number
  readonly #overflow: Overflow
  readonly #life: SinkLife
  readonly #tryToMakeRoom: (isBlocking: boolean) => boolean
  #givenUp: Dropped = { lines: 0, bytes: 0 }

  /**
   * `tryToMakeRoom` tries to write what waits, so that it takes no room; blocks for `isBlocking` up to 50 ms. False if it
   * could not.
   */
  constructor(
    account: Account,
    queue: RecordQueue,
    life: SinkLife,
    { maxBufferBytes, overflow }: IntakeOptions,
    tryToMakeRoom: (isBlocking: boolean) => boolean
  ) {
    this.#account = account
    this.#queue = queue
    this.#life = life
    this.#maxBytes = maxBufferBytes
    this.#overflow = overflow
    this.#tryToMakeRoom = tryToMakeRoom
  }

  /** What came, or was taken back, after the target had failed for good. */
  get givenUp(): Dropped {
    return this.#givenUp
  }

  /** Any piece of the stream of records. */
  accept(chunk: string | Uint8Array): void {
    if (chunk.length === 0 && this.#queue.takesLines) return
    if (this.#life.isOver) {
      this.giveUp(this.#queue.refuse(chunk))
      return
    }
    const mostBytes =
      (typeof chunk === 'string' ? chunk.length * 3 : chunk.length) + this.#queue.overhead(chunk)
    if (this.#queue.bytes + mostBytes <= this.#maxBytes) this.#push(chunk)
    else if (this.#queue.takesLines) {
      // Near the bound lines are weighed one by one or a few together, not with the whole chunk they came in.
      for (const piece of linePieces(chunk, Math.min(PIECE_LENGTH, this.#maxBytes / 16))) this.#weigh(piece)
    } else this.#weigh(chunk)
  }

  /** One whole line with its end, ahead of an unfinished one. */
  insert(line: Uint8Array): void {
    const fits = this.#queue.bytes + line.length + this.#queue.overhead(line) <= this.#maxBytes
    if (this.#life.isOver) this.giveUp({ lines: 1, bytes: line.length })
    else if (fits || this.#makeRoom(line)) this.#queue.insertLine(line)
    else this.#account.drop({ lines: 1, bytes: line.length })
  }

  finishLine(): void {
    const discarded = this.#queue.finishLine()
    if (discarded !== undefined) this.#account.drop(discarded)
  }

  giveUp(dropped: Dropped): void {
    this.#account.drop(dropped)
    this.#givenUp = sum(this.#givenUp, dropped)
  }

  #weigh(piece: string | Uint8Array): void {
    if (this.#makeRoom(piece)) this.#push(piece)
    else this.#account.drop(this.#queue.refuse(piece))
  }

  #push(chunk: string | Uint8Array): void {
    const discarded = this.#queue.push(chunk)
    if (discarded !== undefined) this.#account.drop(discarded)
  }

  /** False if the piece must be refused. One larger than the bound is taken when nothing else waits. */
  #makeRoom(chunk: string | Uint8Array): boolean {
    const queue = this.#queue
    const length = typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length
    const bytes = length + queue.overhead(chunk)
    const fits = () => queue.bytes + bytes <= this.#maxBytes || !(queue.hasLines || queue.hasKept)
    if (fits() || (this.#tryToMakeRoom(false) && fits())) return true
    if (this.#overflow === 'drop-newest') return false
    if (this.#overflow === 'drop-oldest') {
      this.#account.drop(queue.dropOldest(queue.bytes + bytes - this.#maxBytes))
      return true
    }
    // The caller went on although `write` returned false. Blocking its thread is all that is left that neither
    // loses records nor grows without bound. It ends with a target that has failed for good.
    while (!fits() && !this.#life.isOver) {
      if (!this.#tryToMakeRoom(true)) sleep(BLOCKED_WAIT_MS)
    }
    return !this.#life.isOver
  }
}

export function sum(a: Dropped, b: Dropped): Dropped {
  return { lines: a.lines + b.lines, bytes: a.bytes + b.bytes }
}
