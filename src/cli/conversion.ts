// The records of a log on their way into a new one of another kind: what it can hold goes over, and all of it is read back.
import { basename, extname } from 'node:path'
import type { Kind } from '../core/registry.ts'
import { createContext } from '../readers/engine/context.ts'
import { readBatches } from '../readers/engine/read-batches.ts'
import { batchLength, type RecordBatch, recordAt } from '../readers/reader.ts'
import { type Limits, limitsOf, RecordTarget } from './record-target.ts'
import { Tally } from './tally.ts'

const NEWLINE = 10
/** The format that the files of a kind are read as. */
const formats: Partial<Record<Kind, string>> = { 'rotating-file': 'text' }

/** What becomes of a record with a newline in it, where records are lines. */
export const newlineRules = ['error', 'escape', 'split'] as const
export type NewlineRule = (typeof newlineRules)[number]

export interface ConversionReport {
  readonly read: Tally
  readonly written: Tally
  /** What the new log holds. */
  readonly found: Tally
  readonly withNewlines: number
  readonly empty: number
  /** By the sink, as its options say. */
  readonly dropped: number
}

export class Conversion {
  readonly #source: string
  readonly #path: string
  readonly #kind: Kind
  readonly #newlines: NewlineRule
  readonly #limits: Limits
  readonly #target: RecordTarget
  readonly read = new Tally()
  readonly written = new Tally()
  /** Records with a newline in them that a line cannot hold, and empty ones where there are none. */
  withNewlines = 0
  empty = 0

  /** Checks the options of the sink and opens it at `path`; throws what its constructor throws. */
  constructor(
    source: string,
    path: string,
    kind: Kind,
    newlines: NewlineRule,
    options: Record<string, unknown>
  ) {
    this.#source = source
    this.#path = path
    this.#kind = kind
    this.#newlines = newlines
    this.#limits = limitsOf(kind, options.output)
    this.#target = new RecordTarget(
      kind,
      { ...defaultsOf(kind), ...options, ...placeAt(kind, path) },
      this.#limits
    )
  }

  /** Takes the records of a batch. */
  async take(batch: RecordBatch): Promise<void> {
    const { lines } = batch
    const event = batch.event ?? eventOf(this.#source)
    if (lines !== undefined) {
      const done = this.#target.putLines(lines)
      if (done !== false) {
        this.read.addBatch(batch)
        this.written.addBatch(batch)
        await done
        return
      }
    }
    const length = batchLength(batch)
    for (let at = 0; at < length; at++) {
      const { data } = recordAt(batch, at)
      this.read.add(data)
      for (const each of this.#fitting(data)) {
        this.written.add(each)
        const done = this.#target.put(each, event)
        if (done !== undefined) await done
      }
    }
  }

  /** The record as the target can hold it: itself, none, or several. */
  #fitting(data: Buffer): readonly Buffer[] {
    if (this.#limits.isLines && data.includes(NEWLINE)) {
      this.withNewlines++
      if (this.#newlines === 'error') return []
      if (this.#newlines === 'escape') return [escaped(data)]
      return linesOf(data).filter((line) => this.#holds(line))
    }
    return this.#holds(data) ? [data] : []
  }

  #holds(data: Buffer): boolean {
    if (data.length > 0 || !this.#limits.refusesEmpty) return true
    this.empty++
    return false
  }

  /** Writes everything out and reads it back. Rejects if not everything could be written, or nothing be read. */
  async finish(): Promise<ConversionReport> {
    await this.#target.close()
    const found = new Tally()
    if (this.written.records > 0) {
      const format = this.#kind === 'event-files' ? 'auto' : (formats[this.#kind] ?? this.#kind)
      const context = createContext({ includeUnterminated: true, reuseBuffers: true })
      for await (const batch of readBatches(this.#path, format, context)) found.addBatch(batch)
    }
    const { read, written, withNewlines, empty } = this
    return { read, written, found, withNewlines, empty, dropped: this.#target.dropped }
  }
}

/** Where the option of the kind differs from what a conversion needs: one worker keeps the order. */
function defaultsOf(kind: Kind): Record<string, unknown> {
  if (kind === 'spool') return { workers: 1, maxBytes: '16m' }
  return kind === 'binary-file' ? { maxBytes: '64m' } : {}
}

function placeAt(kind: Kind, path: string): Record<string, string> {
  return kind === 'rotating-file' || kind === 'binary-file' || kind === 'direct-file'
    ? { path }
    : { dir: path }
}

/** The event of the records of a single log. */
function eventOf(source: string): string {
  return source === '-' ? 'default' : basename(source, extname(source))
}

function escaped(data: Buffer): Buffer {
  const parts: Buffer[] = []
  for (const [at, line] of linesOf(data).entries())
    parts.push(...(at === 0 ? [] : [Buffer.from('\\n')]), line)
  return Buffer.concat(parts)
}

function linesOf(data: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let start = 0
  for (let end = data.indexOf(NEWLINE); end !== -1; end = data.indexOf(NEWLINE, start)) {
    lines.push(data.subarray(start, end))
    start = end + 1
  }
  lines.push(data.subarray(start))
  return lines
}
