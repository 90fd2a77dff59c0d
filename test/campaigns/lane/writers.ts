// Processes that log through a lane and are killed, and the account of what has to be in the log afterwards.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { sinks } from '../../../src/core/registry.ts'
import type { SinkKind } from '../../../src/core/sink/sink-kind.ts'
import { groupBackups } from '../../../src/formats/backup-name.ts'
import { atTestEnd } from '../../helpers/at-test-end.ts'
import { memoryRoot } from '../../helpers/folder.ts'
import { collect } from '../../helpers/read.ts'

const script = fileURLToPath(new URL('writer.mjs', import.meta.url))

/** Lanes need the addon, and a memory file system to be fast in. */
export const noLanes = !MappedRing.isAvailable || memoryRoot === undefined

export type LaneKind = 'rotating-file' | 'binary-file' | 'direct-file' | 'event-files' | 'wal'

export interface LaneWriterSettings {
  readonly kind: LaneKind
  readonly options: {
    /** Of kinds whose log is a folder that folder. */
    readonly path?: string
    readonly dir?: string
    readonly lane: { dir: string; maxBytes?: number }
    readonly maxBytes?: number
    readonly flushInterval?: number
    readonly durability?: string
    readonly output?: string
    readonly lock?: boolean
    readonly bufferSize?: number
    readonly numShards?: number
  }
  /** Shortest and longest record; long ones are seldom. */
  readonly bytes?: readonly [number, number]
  /** Most records in one turn of the event loop. */
  readonly burst?: number
  /** Most lines that are written at once, to logs of text. */
  readonly lines?: number
  /** Ends after so many, with `death` if that is given. */
  readonly count?: number
  readonly death?: string
  readonly failpoint?: string
  readonly nodeArgs?: readonly string[]
  /** A command that runs what follows it. */
  readonly wrapper?: readonly string[]
}

export class LaneWriter {
  readonly name: string
  readonly child: ChildProcess
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly #oracle: string
  stdout = ''
  stderr = ''

  constructor(name: string, folder: string, settings: LaneWriterSettings) {
    this.name = name
    this.#oracle = join(folder, `oracle-${name}`)
    const { failpoint, nodeArgs = [], wrapper = [], ...rest } = settings
    const argument = JSON.stringify({ bytes: [10, 300], burst: 50, ...rest, name, oracle: this.#oracle })
    const [command, ...args] = [...wrapper, process.execPath, ...nodeArgs, script, argument]
    this.child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LOGBOOM_FAILPOINT: failpoint ?? '' }
    })
    this.child.stdout!.on('data', (data) => {
      this.stdout += data
    })
    this.child.stderr!.on('data', (data) => {
      this.stderr += data
    })
    this.exited = once(this.child, 'close').then(([code, signal]) => ({ code, signal }))
    atTestEnd(async () => {
      this.child.kill('SIGKILL')
      await this.exited
    })
  }

  /** Calls that have returned. */
  get returned(): number {
    if (!existsSync(this.#oracle)) return 0
    const bytes = readFileSync(this.#oracle)
    return bytes.length < 8 ? 0 : Number(bytes.readBigUInt64LE())
  }

  get events(): { event: string; [detail: string]: unknown }[] {
    return this.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  }
}

/** Writes out all that is left in lanes. */
export async function recoverAll({ kind, options }: LaneWriterSettings): Promise<number> {
  const sink = (sinks[kind] as SinkKind).create(options as never)
  await sink.flush()
  const { recovered } = sink.stats()
  await sink.close()
  return recovered
}

/** Every record of the log, in the order of its files. */
export async function readRecords({ kind, options }: LaneWriterSettings): Promise<string[]> {
  const path = options.path ?? options.dir!
  if (kind === 'direct-file' || kind === 'wal' || kind === 'event-files') {
    const { lines, error } = await collect(kind === 'event-files' ? join(path, 'default.log') : path)
    if (error !== undefined) throw error
    return lines
  }
  if (kind === 'binary-file') {
    const file = new BinaryFile({ path, maxBytes: 1 })
    const payloads = [...file.read()].map((payload) => payload.replace(/\n\.$/, ''))
    void file.close()
    return payloads
  }
  const folder = dirname(path)
  const names = groupBackups(basename(path), readdirSync(folder)).map(({ name }) => name)
  const text = [...names, basename(path)].map((name) => readFileSync(join(folder, name), 'utf8')).join('')
  return text.split('\n').slice(0, -1)
}

/** What is wrong with the records of these writers: nothing, if each is there once and in order. */
export function faultsIn(records: readonly string[], writers: readonly LaneWriter[]): string[] {
  const faults: string[] = []
  const next = new Map(writers.map(({ name }) => [name, 0]))
  for (const record of records) {
    const match = /^(\S+) (\d+) x*$/.exec(record)
    const expected = match === null ? undefined : next.get(match[1])
    if (match === null || expected === undefined)
      faults.push(`not ours: ${JSON.stringify(record.slice(0, 80))}`)
    else if (Number(match[2]) !== expected) faults.push(`${match[1]}: ${match[2]} where ${expected} belongs`)
    if (match !== null) next.set(match[1], Number(match[2]) + 1)
  }
  for (const { name, returned } of writers) {
    const found = next.get(name)!
    // The call that was under way may have had its effect.
    if (found < returned || found > returned + 1) faults.push(`${name}: ${found} records, ${returned} calls`)
  }
  return faults.slice(0, 20)
}

/**
 * The same where records may be there twice: each at least once, and those of a writer in order, going back at times.
 * `lines`: most in a call.
 */
export function gapsIn(records: readonly string[], writers: readonly LaneWriter[], lines = 1): string[] {
  const faults: string[] = []
  const seen = new Map(writers.map(({ name }) => [name, 0]))
  for (const record of records) {
    const match = /^(\S+) (\d+) x*$/.exec(record)
    const most = match === null ? undefined : seen.get(match[1])
    if (match === null || most === undefined) faults.push(`not ours: ${JSON.stringify(record.slice(0, 80))}`)
    else if (Number(match[2]) > most) faults.push(`${match[1]}: ${match[2]} where ${most} belongs`)
    else seen.set(match[1], Math.max(most, Number(match[2]) + 1))
  }
  for (const { name, returned } of writers) {
    const found = seen.get(name)!
    if (found < returned || found > returned + lines)
      faults.push(`${name}: ${found} records, ${returned} returned`)
  }
  return faults.slice(0, 20)
}
