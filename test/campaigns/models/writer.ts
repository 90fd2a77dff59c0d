// One life of a writer as the model sees it: what it has logged, what of that is acknowledged, and the sink on a disk that
// can die in the middle of anything.
import { setTimeout as delay } from 'node:timers/promises'
import { sinks } from '../../../dist/core/registry.js'
import { withInternals } from '../../../dist/core/sink/internals.js'
import { realDisk } from '../../../dist/io/disk.js'
import type { InternalSink } from '../../../src/core/sink/pumped-sink.ts'
import { createDisk, createState, dieAfter, isDead } from '../../helpers/crash-disk.mjs'
import { EVENTS, type StormKind } from '../../helpers/storm.ts'

const url = new URL('../../helpers/crash-disk.mjs', import.meta.url).href
const FLUSH_MS = 20_000
const STALL_MS = 1_000
/** So many records are logged and flushed while it waits for its death; then it dies at once. */
const MOST_LAST_WORDS = 30

export class ModelWriter {
  readonly name: string
  readonly state = createState()
  readonly #kind: StormKind
  readonly #sink: InternalSink
  logged = 0
  acknowledged = 0
  isOver = false

  constructor(kind: StormKind, name: string, options: Record<string, unknown>) {
    this.name = name
    this.#kind = kind
    const { state } = this
    const create = sinks[kind.kind].create as (options: unknown) => unknown
    this.#sink = withInternals(
      {
        disk: createDisk(realDisk, { state }) as never,
        threadDisk: { url, data: { state } },
        // What is dead makes no progress, and nobody waits for its files.
        stallMs: STALL_MS
      },
      () => create(options)
    ) as InternalSink
  }

  write(count: number, bytes: number): void {
    const isEvent = this.#kind.kind === 'event-files'
    for (let i = 0; i < count; i++) {
      const number = this.logged++
      const event = isEvent ? EVENTS[number % EVENTS.length] : undefined
      const pad = 'x'.repeat(1 + ((number * 7919) % bytes))
      const record = { event, writer: this.name, number, bytes: pad.length, pad }
      this.#sink.write(`${JSON.stringify(record)}\n`)
    }
  }

  async flush(): Promise<void> {
    const { logged } = this
    const late = Symbol('late')
    const timer = new AbortController()
    const ended = await Promise.race([
      this.#sink.flush(),
      delay(FLUSH_MS, late, { signal: timer.signal }).catch(() => {})
    ])
    timer.abort()
    if (ended === late) throw new Error(`flush of ${this.name} takes more than ${FLUSH_MS} ms`)
    this.acknowledged = logged
  }

  async close(): Promise<void> {
    this.isOver = true
    await this.#sink.close()
    const { dropped } = this.#sink.stats()
    if (dropped !== 0) throw new Error(`${this.name} has dropped ${dropped} records while nothing failed`)
    this.acknowledged = this.logged
  }

  /** Dies in the `calls`th change of the disk from now on. */
  async die(calls: number, isHalf: boolean): Promise<void> {
    dieAfter(this.state, calls, isHalf)
    for (let words = 0; words < MOST_LAST_WORDS && !isDead(this.state); words++) {
      this.write(1 + (words % 3), 300)
      const { logged } = this
      let isFlushed = false
      const flushed = this.#sink.flush().then(
        () => {
          isFlushed = true
        },
        () => {}
      )
      while (!isFlushed && !isDead(this.state)) await Promise.race([flushed, delay(1)])
      if (isFlushed) this.acknowledged = logged
    }
    await this.end()
  }

  /** The death itself: nothing has any effect any more, and what it holds becomes free. */
  async end(): Promise<void> {
    this.isOver = true
    if (!isDead(this.state)) {
      dieAfter(this.state, 0, false)
      new Int32Array(this.state)[1] = 1
    }
    this.#sink.abandon()
    this.#sink.hurry()
    await this.#sink.close().catch(() => {})
  }
}
