// What is told on stderr of an output's records that were not written: how many, why, and what becomes of them.
import type { Dropped } from '../core/queue/byte-queue.ts'
import { sum } from '../core/sink/intake.ts'
import { Notice } from '../core/sink/notice.ts'
import { nothingDropped } from '../core/sink/target.ts'
import { native } from '../native/index.ts'
import type { CountRecords, OutputRing } from './pool/output-ring.ts'
import type { OutputEnd } from './pool/protocol.ts'

export interface ReportOptions {
  readonly path: string
  readonly fallback: false | 'stderr'
  /** A record is a line, of which there may be several in what was sent at once. */
  readonly isText: boolean
}

export class LinkReport {
  readonly #path: string
  readonly #isText: boolean
  readonly #notice: Notice
  /** What the thread could not write and has counted, and why; not yet told. */
  #lost = nothingDropped
  #reason: string | undefined
  /** What stays in the lane was told. */
  #hasTold = false

  constructor({ path, fallback, isText }: ReportOptions) {
    this.#path = path
    this.#isText = isText
    this.#notice = new Notice(fallback)
  }

  readonly countRecords = (text: string): number => (this.#isText ? text.split('\n').length - 1 : 1)

  readonly #count: CountRecords = (payloads, records) =>
    this.#isText ? native.countLines(payloads, 0, payloads.length) : records

  /** What is in the ring and in no file. */
  unwritten(ring: OutputRing): Dropped {
    return ring.unreleased(this.#count)
  }

  /** What is lost of that when the process ends. */
  mortal(ring: OutputRing): Dropped {
    return ring.survives ? ring.mortal(this.#count) : this.unwritten(ring)
  }

  notice(text: string): void {
    this.#notice.write(text)
  }

  lose(lost: Dropped): void {
    this.#lost = sum(this.#lost, lost)
  }

  /** Why records were not written. */
  because(reason: string): void {
    this.#reason = reason
  }

  /** The thread has closed the sink. */
  ended({ lost, reason }: OutputEnd): void {
    this.lose(lost)
    this.#reason = reason
  }

  /** Tells what is lost since the last time, and what stays in the ring; returns what is lost. */
  tell(ring: OutputRing): Dropped {
    this.#tellKept(ring)
    const lost = this.#lost
    this.#lost = nothingDropped
    if (lost.lines > 0) this.#tellUnwritten(lost)
    return lost
  }

  /** What stays in a ring that outlives the process is not lost. */
  #tellKept(ring: OutputRing): void {
    if (!ring.survives || this.#hasTold) return
    const unwritten = this.unwritten(ring)
    const mortal = this.mortal(ring)
    const lines = unwritten.lines - mortal.lines
    const bytes = unwritten.bytes - mortal.bytes
    if (lines <= 0) return
    this.#hasTold = true
    const rest = '; they stay in its lane, and whoever opens the log next writes them'
    this.#tellUnwritten({ lines, bytes }, rest)
  }

  #tellUnwritten({ lines, bytes }: Dropped, rest = ''): void {
    const reason = this.#reason === undefined ? '' : `: ${this.#reason}`
    const what = `${lines} records (${bytes} bytes) not written to ${this.#path}`
    this.#notice.write(`closed with ${what}${reason}${rest} [ERR_LOST]`, true)
  }
}
