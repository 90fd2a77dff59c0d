// The queue of a sink whose records lie in rings: in one of its own, and in those of the dead that it has taken over.
// What is in no ring waits in a queue in memory beside them.

import { recordBytes } from '../../formats/lane.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import type { Dropped, RecordQueue } from '../queue/byte-queue.ts'
import { LineQueue } from '../queue/line-queue.ts'
import type { AppendJournal, AppendPlace, NotedFiles } from './append-journal.ts'
import type { LanePoint } from './lane-batch.ts'
import type { LaneSource } from './lane-source.ts'

const MAX_BYTES_PER_UNIT = 3
/** Of rings that were taken over, and that nobody fills any more. */
const MOST_HELD_BYTES = 1024 * 1024

export interface LaneQueueHost {
  /** Records of a ring that could not be read. */
  lost(dropped: Dropped): void
  /** Nothing more can be read from a ring. What was read is written. */
  damaged(source: LaneSource): void
  /** The first record of a ring that was taken over is about to be written. */
  begins(source: LaneSource): void
  /** Nothing of a ring that was taken over is left to write. */
  emptied(source: LaneSource): void
  /** The process exits. */
  exited(): void
  /** The sink is closed. */
  closed(): void
}

/** What the target of the sink does. */
export interface LaneRules {
  /** It asks for `settle` before it writes. Otherwise what is in doubt is written again. */
  readonly settles: boolean
  /** Records are kept in the ring until a sync. */
  readonly keeps: boolean
  /** It stages: those that are in no ring are its own as soon as it has taken them. */
  readonly isStaging: boolean
}

/** The ring of the sink itself. */
export interface QueueLane {
  readonly source: LaneSource
  /** Whether it is filled through this queue; otherwise another thread does, and `pull` of the pump tells of it. */
  readonly isFilledHere: boolean
  /** Whether it outlives the process, so that what is left in it is not lost. */
  readonly survives: boolean
  /** Of that, what does not, where it is filled here. */
  readonly mortal?: Dropped
}

/** What was consumed and is kept: up to the mark `total`. */
interface Kept {
  readonly total: number
  readonly source: LaneSource | undefined
  readonly point: LanePoint | number
}

export class LaneQueue implements RecordQueue, AppendJournal {
  readonly takesLines: boolean
  readonly #host: LaneQueueHost
  readonly #rules: LaneRules
  readonly #memory: RecordQueue
  readonly #own: QueueLane | undefined
  /** Lines on their way to the ring, until they are whole; undefined where chunks are records or go to `memory`. */
  readonly #lines: LineQueue | undefined
  #adopted: LaneSource[] = []
  /** Rings of which it is not known yet how far they are written. */
  readonly #arriving = new Set<LaneSource>()
  /** Those of them of which something was written. */
  readonly #begun = new Set<LaneSource>()
  /** What the last `head` came from; undefined: from memory. */
  #active: LaneSource | undefined
  #kept: Kept[] = []
  #writtenTotal = 0
  #releasedTotal = 0
  #isOver = false

  constructor(host: LaneQueueHost, rules: LaneRules, memory: RecordQueue, own?: QueueLane) {
    this.#host = host
    this.#rules = rules
    this.#memory = memory
    this.#own = own
    this.takesLines = memory.takesLines
    this.#lines = own?.isFilledHere === true && memory.takesLines ? new LineQueue() : undefined
    if (rules.isStaging) own?.source.stage()
    if (own?.source.isUnsettled === true && !rules.settles) own.source.forgetNote()
    if (own !== undefined) this.#arriving.add(own.source)
    if (own?.source.isUnsettled === false) this.#arrive(own.source)
  }

  /** Takes over the ring of a dead writer. */
  adopt(source: LaneSource): void {
    if (this.#rules.isStaging) source.stage()
    this.#adopted.push(source)
    this.#arriving.add(source)
    if (!source.isUnsettled) this.#arrive(source)
    else if (!this.#rules.settles) {
      source.forgetNote()
      this.#arrive(source)
    }
  }

  /** Whether it has to be found out what became of a dead writer's append, before anything is written. */
  get isUnsettled(): boolean {
    return this.#arriving.size > 0
  }

  settle(files: NotedFiles): void {
    for (const source of this.#arriving) {
      // Entering the turn may have settled it.
      if (source.isUnsettled) source.compare(files)
      this.#arrive(source)
    }
  }

  /** How far a ring is written is known now. What of it the dead writer has written counts as if it were written here. */
  #arrive(source: LaneSource): void {
    this.#arriving.delete(source)
    if (!this.#rules.keeps) source.release(source.point)
    else if (source.hasKept) {
      this.#writtenTotal++
      this.#kept.push({ total: this.#writtenTotal, source, point: source.point })
    }
    this.#finish(source)
  }

  get survives(): boolean {
    return this.#own?.survives === true
  }

  get mostHeldBytes(): number {
    return this.#own === undefined ? MOST_HELD_BYTES : this.#own.source.ring.capacityBytes / 4
  }

  get bytes(): number {
    return this.#ownBytes() + this.#memory.bytes + (this.#lines?.bytes ?? 0)
  }

  get queuedBytes(): number {
    const waiting = this.#own === undefined || this.#isOver ? 0 : this.#own.source.waitingBytes
    return waiting + this.#memory.queuedBytes + (this.#lines?.bytes ?? 0)
  }

  get hasLines(): boolean {
    if (this.#isOver) return false
    if (this.#memory.hasLines || this.#arriving.size > 0 || this.#own?.source.hasRecords === true) return true
    return this.#adopted.some((source) => source.hasRecords)
  }

  get hasKept(): boolean {
    return this.#kept.length > 0
  }

  get writtenTotal(): number {
    return this.#writtenTotal
  }

  overhead(chunk: string | Uint8Array): number {
    if (this.#own?.isFilledHere !== true) return this.#memory.overhead(chunk)
    // A record lies in one piece, so as much as it takes may be left unused at the end of the ring.
    const most = typeof chunk === 'string' ? chunk.length * MAX_BYTES_PER_UNIT : chunk.length
    return recordBytes(most) * 2 - most
  }

  push(chunk: string | Uint8Array): Dropped | undefined {
    if (this.#own?.isFilledHere !== true) return this.#memory.push(chunk)
    const lines = this.#lines
    if (lines === undefined) {
      this.#append(chunk)
      return undefined
    }
    if (!lines.hasPartial && endsLine(chunk)) {
      this.#append(chunk)
      return undefined
    }
    const discarded = lines.push(chunk)
    this.#takeLines(lines)
    return discarded
  }

  refuse(chunk: string | Uint8Array): Dropped {
    return (this.#lines ?? this.#memory).refuse(chunk)
  }

  head(maxBytes: number): Buffer {
    for (const source of this.#adopted) {
      if (source.hasRecords && !source.isUnsettled) return this.#headOf(source, maxBytes)
    }
    const own = this.#own?.source
    // What was put into memory here came after what is in the ring.
    const isMemoryFirst = this.#own?.isFilledHere !== true && this.#memory.hasLines
    if (own?.hasRecords === true && !isMemoryFirst) return this.#headOf(own, maxBytes)
    this.#active = undefined
    return this.#memory.head(maxBytes)
  }

  consume(bytes: number, keep: boolean): void {
    const source = this.#active
    this.#writtenTotal += bytes
    const isKept = keep && !(source === undefined && this.#rules.isStaging)
    if (source === undefined) this.#memory.consume(bytes, isKept)
    else source.consume(bytes)
    if (isKept) {
      const point = source === undefined ? this.#memory.writtenTotal : source.point
      this.#kept.push({ total: this.#writtenTotal, source, point })
      return
    }
    if (this.#kept.length === 0) this.#releasedTotal = this.#writtenTotal
    if (source === undefined) return
    source.release(source.point)
    this.#finish(source)
  }

  release(total = this.#writtenTotal): void {
    let count = 0
    while (count < this.#kept.length && this.#kept[count].total <= total) count++
    if (count === 0) return
    const released = this.#kept.splice(0, count)
    this.#releasedTotal = released[count - 1].total
    const sources = new Set<LaneSource>()
    for (const { source, point } of released) {
      if (source === undefined) this.#memory.release(point as number)
      else {
        source.release(point as LanePoint)
        sources.add(source)
      }
    }
    for (const source of sources) this.#finish(source)
  }

  rewind(): void {
    for (const source of new Set(this.#kept.map((kept) => kept.source))) source?.rewind()
    if (this.#kept.length > 0) this.#memory.rewind()
    this.#kept = []
    this.#writtenTotal = this.#releasedTotal
  }

  finishLine(): Dropped | undefined {
    const lines = this.#lines
    if (lines === undefined) return this.#memory.finishLine()
    const discarded = lines.finishLine()
    this.#takeLines(lines)
    return discarded
  }

  insertLine(line: Uint8Array): void {
    if (this.#own?.isFilledHere !== true) this.#memory.insertLine(line)
    else this.#append(this.takesLines ? line : line.subarray(0, line.length - 1))
  }

  dropOldest(bytes: number): Dropped {
    const own = this.#own
    if (own === undefined) return this.#memory.dropOldest(bytes)
    // Behind records that are kept nothing becomes free, and what is dropped there would come back with them.
    const dropped = this.#kept.length === 0 ? own.source.drop(bytes) : none
    if (dropped.bytes > 0) own.source.release(own.source.point)
    const left = bytes - dropped.bytes
    return left > 0 ? sum(dropped, this.#memory.dropOldest(left)) : dropped
  }

  /** Of rings that outlive the process: what a staging target has taken is in them until it is released. */
  get heldSafely(): Dropped {
    let safe = none
    if (!this.#rules.isStaging) return safe
    for (const source of new Set(this.#kept.map((kept) => kept.source))) {
      if (source === undefined || (source === this.#own?.source && !this.#own.survives)) continue
      const { records, bytes } = source.countKept()
      safe = sum(safe, { lines: records, bytes })
    }
    return safe
  }

  clear(): Dropped {
    const partial = this.#lines?.clear() ?? none
    let dropped = sum(partial, this.#memory.clear())
    if (this.#own !== undefined && !this.#own.survives && !this.#isOver) {
      dropped = sum(dropped, this.#own.source.drop(Number.POSITIVE_INFINITY))
    } else if (!this.#isOver) dropped = sum(dropped, this.#own?.mortal ?? none)
    // What lies in files is not dropped, but left for whoever comes next.
    this.#isOver = true
    return dropped
  }

  exit(): void {
    this.#host.exited()
  }

  close(): void {
    this.#host.closed()
  }

  get isNoting(): boolean {
    return this.#active !== undefined
  }

  get lane(): LaneId | undefined {
    return this.#active?.id
  }

  appending(place: AppendPlace): void {
    this.#active?.appending(place)
  }

  appended(keptBytes: number): void {
    this.#active?.appended(keptBytes)
  }

  #ownBytes(): number {
    return this.#own === undefined || this.#isOver ? 0 : this.#own.source.heldBytes
  }

  #headOf(source: LaneSource, maxBytes: number): Buffer {
    this.#active = source
    if (source !== this.#own?.source && !this.#begun.has(source)) {
      this.#begun.add(source)
      this.#host.begins(source)
    }
    const bytes = source.head(maxBytes)
    const lost = source.takeLost()
    if (lost > 0) this.#host.lost({ lines: lost, bytes: 0 })
    if (bytes.length === 0) this.#finish(source)
    return bytes
  }

  #finish(source: LaneSource): void {
    if (source === this.#own?.source) {
      if (source.isDamaged) this.#host.damaged(source)
      return
    }
    if (source.hasRecords || source.hasKept) return
    this.#adopted = this.#adopted.filter((each) => each !== source)
    this.#begun.delete(source)
    if (source.isDamaged) this.#host.damaged(source)
    else this.#host.emptied(source)
  }

  #takeLines(lines: LineQueue): void {
    if (!lines.hasLines) return
    const bytes = lines.head(Number.POSITIVE_INFINITY)
    this.#append(bytes)
    lines.consume(bytes.length, false)
  }

  /** What has no room in the ring, which the bound should prevent, waits in memory; then all that follows does, too. */
  #append(record: string | Uint8Array): void {
    const { source } = this.#own!
    if (!this.#memory.hasLines && !source.isDamaged && source.append(record)) return
    this.#memory.push(record)
  }
}

const none: Dropped = { lines: 0, bytes: 0 }

function sum(a: Dropped, b: Dropped): Dropped {
  return { lines: a.lines + b.lines, bytes: a.bytes + b.bytes }
}

function endsLine(chunk: string | Uint8Array): boolean {
  const { length } = chunk
  if (length === 0) return false
  return typeof chunk === 'string' ? chunk.charCodeAt(length - 1) === 10 : chunk[length - 1] === 10
}
