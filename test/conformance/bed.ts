// What each test of the conformance suite works with: a folder, a disk that can fail, and sinks of its subject made
// through the registry, as the transports make them.
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Durability, Overflow, SinkEvents } from '../../src/core/sink/contract.ts'
import type { InternalSink } from '../../src/core/sink/pumped-sink.ts'
import { SinkStream } from '../../src/transports/sink-stream.ts'
import { atTestEnd } from '../helpers/at-test-end.ts'
import {
  callsOf,
  clearRules,
  createState,
  type Fault,
  type Operation,
  operations,
  setRule
} from '../helpers/shared-faulty-disk.mjs'
import { createSink } from './create-sink.ts'
import { isRecord, type Subject } from './subject.ts'

export interface CommonOptions {
  durability?: Durability
  overflow?: Overflow
  maxBufferBytes?: number
  flushInterval?: number
  mkdir?: boolean
  maxBackups?: number
}

/** Every operation that puts data into files. */
export const writes: readonly Operation[] = [
  'write',
  'writeSynced',
  'writev',
  'writevHashed',
  'writeAsync',
  'fallocate',
  'publishFile'
]
/** Every operation that makes a file's data durable. */
export const dataSyncs: readonly Operation[] = ['fdatasync', 'fdatasyncAsync', 'writeSynced']

/** Every operation by which the subject makes anything durable. */
export function syncsOf(subject: Subject): Operation[] {
  return [...dataSyncs, 'fsync', 'fsyncAsync', ...(subject.syncs ?? [])]
}

const FOREVER = 2 ** 31 - 1

/** Those of the tests that run: nobody knows whose a rejection is that nobody handles. */
const beds = new Set<Bed>()

function onRejection(reason: unknown): void {
  for (const bed of beds) bed.rejections.push(reason)
}

export class Bed {
  readonly folder = mkdtempSync(join(tmpdir(), 'logboom-test-'))
  readonly subject: Subject
  /** The events of the sinks made here, in order. */
  readonly events: { name: keyof SinkEvents; args: unknown[] }[] = []
  readonly rejections: unknown[] = []
  readonly #state = createState()
  readonly #sinks: InternalSink[] = []

  /** `isAlone`: nothing ends it with the test; `end` has to be called. */
  constructor(subject: Subject, { isAlone = false } = {}) {
    this.subject = subject
    if (beds.size === 0) process.on('unhandledRejection', onRejection)
    beds.add(this)
    if (!isAlone) atTestEnd(() => this.end())
  }

  /** Closes every sink and removes the folder. */
  async end(): Promise<void> {
    this.heal()
    await Promise.allSettled(this.#sinks.map((sink) => sink.close()))
    await delay(0)
    beds.delete(this)
    if (beds.size === 0) process.off('unhandledRejection', onRejection)
    rmSync(this.folder, { recursive: true, force: true })
    expect(this.rejections, 'promises that nobody else holds must not reject').toEqual([])
  }

  /** A sink, closed when the test ends. `stallMs`: how long closing waits while nothing gets done. */
  create(options: CommonOptions = {}, stallMs?: number): InternalSink {
    const given = { fallback: false, flushInterval: 1, ...this.subject.options(this.folder), ...options }
    const sink = createSink(this.subject.kind, given, this.#state, stallMs)
    for (const name of [
      'rotated',
      'warning',
      'degraded',
      'recovered',
      'dropped',
      'repaired',
      'drain'
    ] as const) {
      sink.on(name, (...args: unknown[]) => void this.events.push({ name, args }))
    }
    this.#sinks.push(sink)
    return sink
  }

  /** The records in the files. */
  read(): string[] {
    return this.subject.read(this.folder).filter(isRecord)
  }

  /** How many drops the notices in the files tell of. */
  readDrops(): number {
    const notices = this.subject.read(this.folder).filter((text) => !isRecord(text))
    return notices.reduce((sum, text) => sum + JSON.parse(text).dropped, 0)
  }

  line(index: number): string {
    return this.subject.line(index)
  }

  /** The records from number 0 on, or from `from` on. */
  lines(count: number, from = 0): string[] {
    return Array.from({ length: count }, (_, index) => this.subject.line(from + index))
  }

  /** Writes records one by one. */
  log(sink: InternalSink, count: number, from = 0): void {
    for (const line of this.lines(count, from)) sink.write(`${line}\n`)
  }

  /** Lets the calls of `operation` from the `from`th from now on fail, `count` of them. */
  fail(operation: Operation, fault: Fault, { from = 1, count = FOREVER } = {}): void {
    setRule(this.#state, operation, fault, from, Math.min(FOREVER, from + count))
  }

  /** Lets all of the operations fail until `heal`. */
  failAll(which: readonly Operation[], fault: Fault): void {
    for (const operation of which) this.fail(operation, fault)
  }

  heal(): void {
    clearRules(this.#state)
  }

  /** How often an operation was called, since it was told to fail if it was. */
  calls(operation: Operation): number {
    return callsOf(this.#state, operation)
  }

  /** The operations called so far, with their numbers. */
  allCalls(): Map<Operation, number> {
    return new Map(
      operations.map((name) => [name, this.calls(name)] as const).filter(([, calls]) => calls > 0)
    )
  }

  count(name: keyof SinkEvents): number {
    return this.events.filter((event) => event.name === name).length
  }

  /** Descriptors of this process that are open on files in the folder. */
  openFiles(): string[] {
    return readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        const path = readlinkSync(join('/proc/self/fd', fd))
        return path.startsWith(this.folder) ? [path] : []
      } catch {
        // The descriptor that lists the folder is gone.
        return []
      }
    })
  }
}

/** Whether descriptors can be counted here. */
export const canCountFiles = existsSync('/proc/self/fd')

/**
 * Writes as a transport does that takes the answer for the acknowledgement: resolves when the sink says that `text`
 * has reached its durability.
 */
export class Acknowledged {
  readonly #stream: SinkStream
  #drained: Promise<void> | undefined

  constructor(sink: InternalSink) {
    this.#stream = new SinkStream(sink, true)
  }

  /** True if it was acknowledged at once. */
  write(text: string): boolean {
    if (this.#stream.write(text)) return true
    this.#drained = new Promise((resolve) => this.#stream.once('drain', resolve))
    return false
  }

  /** Resolves with the acknowledgement of the last write that was not acknowledged at once. */
  async drained(): Promise<void> {
    await this.#drained
  }
}

/** The numbers of records, which say more in a failed assertion than their texts. */
export function numbersOf(texts: readonly string[]): number[] {
  return texts.map((text) => Number(/(?:record |"id":)(\d+)/.exec(text)?.[1]))
}
