// What the opening thread asks a group of files: files that are new, opened, closed, and what was dropped for them.
import { monotonicMs } from '../../../base/clock.ts'
import type { GroupFile } from '../files/group-file.ts'
import { control } from '../memory/shared-memory.ts'
import type { FlusherPort } from './flusher-protocol.ts'

/** Somewhat more than the longest pause between two attempts; more between two looks was spent working. */
const MOST_PER_LOOK_MS = 600

/** A file that is to be closed, and for how long nothing was done for it. */
interface Closing {
  /** Of the requests. */
  readonly numbers: number[]
  settled: number
  progress: number
  stalledMs: number
}

export class GroupRequests {
  readonly #group: GroupFile
  readonly #port: FlusherPort
  readonly #words: Int32Array
  readonly #stallMs: number
  readonly #closing = new Map<number, Closing>()
  #lookedAtMs = monotonicMs()

  constructor(group: GroupFile, port: FlusherPort, words: Int32Array, stallMs: number) {
    this.#group = group
    this.#port = port
    this.#words = words
    this.#stallMs = stallMs
  }

  /** Whether files are to be closed. */
  get isWaiting(): boolean {
    return this.#closing.size > 0
  }

  /** Requests were posted before the records they belong to were logged. */
  receive(): void {
    const group = this.#group
    for (let request = this.#port.receive(); request !== undefined; request = this.#port.receive()) {
      const { type, tag } = request
      if (type === 'add') group.add(tag, request.path)
      else if (type === 'dropped') group.countDroppedOf(tag, request.count)
      else if (type === 'open') group.openOf(tag)
      else {
        // What was logged before is written first.
        const closing = this.#closing.get(tag)
        if (closing !== undefined) closing.numbers.push(request.number)
        else this.#closing.set(tag, { numbers: [request.number], ...this.#stateOf(tag), stalledMs: 0 })
      }
    }
  }

  /** Requests that came after the flush of this round wait for the next, as does what is held for their file. */
  closeAsked(): void {
    for (const [tag, closing] of this.#closing) {
      if (!this.#group.holdsOf(tag)) this.#close(tag, closing, 0, false)
    }
  }

  /** To be called in each round, whatever can be written: closes those files that nothing could be done for. */
  closeStalled(): void {
    const nowMs = monotonicMs()
    const passedMs = Math.min(nowMs - this.#lookedAtMs, MOST_PER_LOOK_MS)
    this.#lookedAtMs = nowMs
    for (const [tag, closing] of this.#closing) {
      const { settled, progress } = this.#stateOf(tag)
      const waits = this.#group.waitingOf(tag) > 0
      // Records that are still in the shared memory wait for those of others.
      const isStalled = settled === closing.settled && (waits || progress === closing.progress)
      closing.settled = settled
      closing.progress = progress
      closing.stalledMs = isStalled ? closing.stalledMs + passedMs : 0
      if (closing.stalledMs >= this.#stallMs) this.#close(tag, closing, this.#group.giveUpOf(tag), true)
    }
  }

  #close(tag: number, { numbers }: Closing, lost: number, isWaiting: boolean): void {
    this.#group.closeOf(tag)
    this.#closing.delete(tag)
    for (const number of numbers) this.#port.send({ type: 'fileClosed', number, lost, isWaiting })
  }

  #stateOf(tag: number): { settled: number; progress: number } {
    return {
      settled: this.#group.settledOf(tag),
      progress: Atomics.load(this.#words, control.progress)
    }
  }
}
