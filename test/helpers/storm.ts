// Processes that log through a sink of any kind while something happens to them, and the account of what has to be in
// the files afterwards: every acknowledged record once, of each writer and event the first ones, in their order.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Kind, sinks } from '../../src/core/registry.ts'
import type { SinkKind } from '../../src/core/sink/sink-kind.ts'
import { native } from '../../src/native/index.ts'
import type { ReadOptions } from '../../src/readers/read-options.ts'
import { atTestEnd } from './at-test-end.ts'
import { collect } from './read.ts'
import { hiddenNames, publishedText } from './spool.ts'
import { until } from './until.ts'

const script = fileURLToPath(new URL('storm-writer.mjs', import.meta.url))
const READY_MS = 60_000

/** The names of events that the records of a storm have in turn, where there are any. */
export const EVENTS = ['orders', 'logins', 'default']

export interface StormKind {
  readonly name: string
  readonly kind: Kind
  /** Options that place the sink in a folder. */
  options(folder: string): Record<string, unknown>
  /** The logs in the folder; of event files that of each event. */
  logs(folder: string): { path: string; event?: string }[]
  readonly format: ReadOptions['format']
  /** How many processes write at once. */
  readonly writers: number
}

const common = { fallback: false, flushInterval: 5 }
const shared = native.canLock ? 3 : 1

function file(kind: Kind, writers: number, more: Record<string, unknown>): StormKind {
  return {
    name: kind,
    kind,
    options: (folder) => ({ ...common, path: join(folder, 'app.log'), ...more }),
    logs: (folder) => [{ path: join(folder, 'app.log') }],
    format: kind === 'rotating-file' ? 'text' : kind,
    writers
  }
}

function eventFiles(output: string, writers: number, more: Record<string, unknown>): StormKind {
  const place = (event: string): string => (output === 'wal' ? join(event, 'wal') : `${event}.log`)
  return {
    name: `event-files over ${output}`,
    kind: 'event-files',
    options: (folder) => ({ ...common, dir: join(folder, 'events'), output, ...more }),
    logs: (folder) => EVENTS.map((event) => ({ path: join(folder, 'events', place(event)), event })),
    format: output === 'rotating-file' ? 'text' : output,
    writers
  }
}

const small = { maxBytes: 100_000 }
const direct = { maxBytes: 512 * 1024, bufferSize: 512 * 1024, numShards: 2 }

export const stormKinds: readonly StormKind[] = [
  file('rotating-file', shared, small),
  file('binary-file', shared, small),
  file('direct-file', 1, direct),
  {
    ...file('wal', 1, {}),
    options: (folder) => ({
      fallback: false,
      walDir: join(folder, 'wal'),
      segmentBytes: 200_000,
      durability: 'os'
    }),
    logs: (folder) => [{ path: join(folder, 'wal') }]
  },
  {
    ...file('spool', shared, {}),
    options: (folder) => ({ ...common, path: join(folder, 'spool'), size: 50_000 }),
    logs: (folder) => [{ path: join(folder, 'spool') }]
  },
  eventFiles('rotating-file', shared, small),
  eventFiles('binary-file', shared, small),
  eventFiles('direct-file', 1, direct),
  eventFiles('wal', 1, { segmentBytes: 200_000, durability: 'os' })
]

export interface Noted {
  readonly acknowledged?: number
  readonly event?: string
  readonly code?: string
  readonly message?: string
  readonly count?: number
  readonly fault?: string
  readonly closed?: { dropped: number; state: string; queuedBytes: number }
}

export interface StormOptions {
  readonly durability?: 'os' | 'disk'
  /** Ends after so many records, with `close`. */
  readonly count?: number
  /** Longest filling of a record. */
  readonly largest?: number
  /** Longest pause after a flush. */
  readonly paceMs?: number
  /** Memory taken with each flush, and kept. */
  readonly hogBytes?: number
  readonly env?: Record<string, string>
  /** What to run Node with, such as `['setpriv', '--reuid=65534']`. */
  readonly wrapper?: readonly string[]
  readonly more?: Record<string, unknown>
}

export class StormWriter {
  readonly name: string
  readonly child: ChildProcess
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly #notes: string
  stderr = ''

  /** `notes` is a folder on a disk that nothing happens to. */
  constructor(kind: StormKind, folder: string, notes: string, name: string, options: StormOptions = {}) {
    this.name = name
    this.#notes = join(notes, `notes-${name}`)
    const { durability, env, wrapper = [], more, count, largest, paceMs, hogBytes } = options
    const settings = {
      kind: kind.kind,
      options: { ...kind.options(folder), ...(durability && { durability }), ...more },
      writer: name,
      notes: this.#notes,
      count,
      largest,
      paceMs,
      hogBytes,
      ...(kind.kind === 'event-files' && { events: EVENTS })
    }
    const [command, ...args] = [...wrapper, process.execPath, script, JSON.stringify(settings)]
    this.child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env }
    })
    this.child.stderr!.on('data', (data) => {
      this.stderr += data
    })
    this.exited = once(this.child, 'close').then(([code, signal]) => ({ code, signal }))
    atTestEnd(async () => {
      this.child.kill('SIGCONT')
      this.child.kill('SIGKILL')
      await this.exited
    })
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** What it has told so far; a line that is being written is left out. */
  get notes(): Noted[] {
    if (!existsSync(this.#notes)) return []
    const text = readFileSync(this.#notes, 'utf8')
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  }

  /** So many records are acknowledged. */
  get acknowledged(): number {
    return this.notes.findLast(({ acknowledged }) => acknowledged !== undefined)?.acknowledged ?? 0
  }

  count(event: string): number {
    return this.notes.filter((note) => note.event === event).length
  }

  /** Resolves when that many records are acknowledged. */
  async until(acknowledged: number): Promise<void> {
    await until(() => !this.isRunning || this.acknowledged >= acknowledged, {
      timeoutMs: READY_MS,
      what: `${this.name} has ${acknowledged} records acknowledged`
    })
    if (this.acknowledged < acknowledged) throw new Error(`${this.name} ended early: ${this.stderr}`)
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }
}

/** Opens and closes the log as the next process does that uses it. */
export async function reopen(kind: StormKind, folder: string): Promise<void> {
  const opened = openOnce(kind, folder)
  const late = Symbol('late')
  const end = new AbortController()
  const timer = delay(READY_MS, late, { signal: end.signal }).catch(() => {})
  const first = await Promise.race([opened, timer])
  end.abort()
  if (first === late) throw new Error(`the log of ${kind.name} is not open and flushed after ${READY_MS} ms`)
}

async function openOnce(kind: StormKind, folder: string): Promise<void> {
  const sink = (sinks[kind.kind] as SinkKind).create(kind.options(folder) as never)
  if (kind.kind === 'spool') {
    const left = (): string[] => hiddenNames(join(folder, 'spool')).filter((name) => name.endsWith('.tmp'))
    await until(() => left().length === 0, { what: 'what the dead have left is published' })
    await sink.close()
    return
  }
  if (kind.kind === 'event-files')
    for (const event of EVENTS) sink.write(`{"event":"${event}","reopened":true}\n`)
  else sink.write('{"reopened":true}\n')
  await sink.flush()
  await sink.close()
}

export interface Found {
  /** writer and event → numbers, in the order of the files. */
  readonly numbers: Map<string, number[]>
  /** Lines and payloads that are no record of ours, shortened. */
  readonly foreign: string[]
  readonly records: number
}

/**
 * All records in the files. With `isLenient` damage ends a file, and is not an error; so it is of direct files, where a
 * flush that a death has cut stays, and is said to be one.
 */
export async function readStorm(kind: StormKind, folder: string, isLenient = false): Promise<Found> {
  const found: Found & { records: number } = { numbers: new Map(), foreign: [], records: 0 }
  for (const { path, event } of kind.logs(folder)) {
    if (!existsSync(path)) continue
    for (const line of await linesOf(kind, path, isLenient)) {
      const record = parse(line)
      if (record === undefined || record.event !== event || record.bytes !== record.pad.length) {
        if (!line.includes('"reopened":true')) found.foreign.push(line.slice(0, 100))
        continue
      }
      found.records++
      const key = `${record.writer} ${event ?? ''}`
      const numbers = found.numbers.get(key)
      if (numbers === undefined) found.numbers.set(key, [record.number])
      else numbers.push(record.number)
    }
  }
  return found
}

async function linesOf(kind: StormKind, path: string, isLenient: boolean): Promise<string[]> {
  if (kind.kind === 'spool') return publishedText(path).split('\n').filter(Boolean)
  const isCut = isLenient || kind.format === 'direct-file'
  const { lines, error } = await collect(path, {
    format: kind.format,
    onCorrupt: isCut ? 'skip-file' : 'throw'
  })
  if (error !== undefined) throw error
  return lines.map((line) => line.replace(/\n$/, ''))
}

interface StormRecord {
  readonly event?: string
  readonly writer: string
  readonly number: number
  readonly bytes: number
  readonly pad: string
}

function parse(line: string): StormRecord | undefined {
  try {
    const record = JSON.parse(line)
    return typeof record?.pad === 'string' ? record : undefined
  } catch {
    return undefined
  }
}

/**
 * What is wrong; nothing, if of each writer and event the first records are there, in order and once, at least those that
 * are acknowledged. With `mayRepeat` some may be there twice. With `mayHaveGaps` those behind the acknowledged ones may be
 * there in part: a file system may keep what was written to the new file, and not what was written to the one before.
 */
export function faultsIn(
  kind: StormKind,
  found: Found,
  acknowledged: ReadonlyMap<string, number>,
  { mayRepeat = false, mayHaveGaps = false }: { mayRepeat?: boolean; mayHaveGaps?: boolean } = {}
): string[] {
  const faults: string[] = []
  const events = kind.kind === 'event-files' ? EVENTS : [undefined]
  for (const [writer, count] of acknowledged) {
    for (const [index, event] of events.entries()) {
      const key = `${writer} ${event ?? ''}`
      const numbers = found.numbers.get(key) ?? []
      const unique = new Set(numbers)
      if (unique.size < numbers.length && !mayRepeat)
        faults.push(`${key}: ${numbers.length - unique.size} records twice`)
      let expected = index
      for (; expected < count; expected += events.length) {
        if (!unique.has(expected)) {
          faults.push(`${key}: ${expected} of ${count} acknowledged is missing`)
          break
        }
      }
      // Files of a spool are published in any order.
      if (kind.kind === 'spool' || mayRepeat) continue
      const wrong = numbers.findIndex((number, at) => {
        if (mayHaveGaps && number >= count) return at > 0 && number <= numbers[at - 1]
        return number !== index + at * events.length
      })
      if (wrong !== -1)
        faults.push(`${key}: ${numbers[wrong]} where ${index + wrong * events.length} belongs`)
    }
  }
  return faults.slice(0, 20)
}
