// Starts the writing processes of the campaigns (writer.mjs) and collects what they tell.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { RotatingFileOptions } from '../../src/core/rotating-file/options.ts'
import type { SinkStats } from '../../src/core/sink/contract.ts'
import { native } from '../../src/native/index.ts'
import { atTestEnd } from './at-test-end.ts'

const script = fileURLToPath(new URL('writer.mjs', import.meta.url))

/** For `test.skipIf`: several writers need the addon's locks. */
export const noLocks = !native.canLock

export interface WriterSettings {
  host: 'class' | 'pino' | 'pino-targets' | 'winston'
  writer: string
  options: RotatingFileOptions
  /** Records to log; for ever if left out. */
  count?: number
  /** Shortest and longest record. */
  bytes?: [number, number]
  perTick?: number
  tickMs?: number
  /** Logs everything in one turn of the event loop. */
  oneTick?: boolean
  /** Flushes after each tick and tells which records are flushed. */
  acknowledge?: boolean
  /** Tells how many were logged after each tick. */
  tellSent?: boolean
  /** `told`: begins when it gets its first command. */
  start?: 'told'
  /** What it does after its last record. */
  end?:
    | 'close'
    | 'exit'
    | 'exitDuringRotation'
    | 'throw'
    | 'reject'
    | 'natural'
    | 'sigterm'
    | 'fatalAndKill'
    | 'stay'
  flushOnSignal?: NodeJS.Signals
}

export interface WriterEvent {
  event: 'rotated' | 'warning' | 'degraded' | 'recovered' | 'dropped' | 'repaired' | 'error' | 'thrown'
  at: number
  code?: string
  message?: string
  count?: number
  bytes?: number
}

export interface StartOptions {
  env?: Record<string, string>
  /** What to run Node with, for example `['setpriv', '--reuid=65534']`. */
  wrapper?: string[]
}

export class Writer {
  readonly name: string
  readonly child: ChildProcess
  /** Records it says it logged, and the number of the last one that is acknowledged. */
  sent = 0
  acked = 0
  ready = false
  /** It answered to `ping`: its event loop is not blocked. */
  pong = false
  readonly events: WriterEvent[] = []
  stats: SinkStats | undefined
  stderr = ''
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  #changed: (() => void)[] = []

  constructor(settings: WriterSettings, { env = {}, wrapper = [] }: StartOptions = {}) {
    this.name = settings.writer
    const defaults = { bytes: [40, 200], perTick: 100, tickMs: 0, end: 'close' }
    const json = JSON.stringify({ count: Number.MAX_SAFE_INTEGER, ...defaults, ...settings })
    const [command, ...args] = [...wrapper, process.execPath, script, json]
    this.child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...env }
    })
    this.child.on('error', () => {})
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    createInterface(this.child.stdout!).on('line', (line) => this.#hear(JSON.parse(line)))
    // 'close' comes after everything it wrote has been read.
    this.exited = once(this.child, 'close').then(([code, signal]) => ({ code, signal }))
    this.exited.then(() => this.#wake())
    atTestEnd(async () => {
      this.child.kill('SIGKILL')
      await this.exited
    })
  }

  tell(
    command: 'start' | 'ping' | 'stop' | 'stats' | 'rotate' | 'flush' | 'terminate' | 'exhaust' | 'release'
  ): void {
    this.child.send(command)
  }

  /** Resolves when `condition` holds; throws when the process ends before. */
  async until(condition: () => unknown): Promise<void> {
    while (!condition()) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`writer ${this.name} ended early: ${this.stderr}`)
      }
      await new Promise<void>((resolve) => this.#changed.push(resolve))
    }
  }

  count(event: WriterEvent['event']): number {
    return this.events.filter((one) => one.event === event).length
  }

  #hear(message: {
    ready?: boolean
    pong?: boolean
    sent?: number
    acked?: number
    event?: string
    stats?: SinkStats
  }): void {
    if (message.sent !== undefined) this.sent = message.sent
    if (message.ready === true) this.ready = true
    if (message.pong === true) this.pong = true
    if (message.acked !== undefined) this.acked = message.acked
    if (message.stats !== undefined) this.stats = message.stats
    if (message.event !== undefined) this.events.push(message as WriterEvent)
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}

export function startWriter(settings: WriterSettings, options?: StartOptions): Writer {
  return new Writer(settings, options)
}

/** Runs the writers to their end; throws if one fails. */
export async function runWriters(all: WriterSettings[]): Promise<Writer[]> {
  const writers = all.map((settings) => startWriter(settings))
  for (const writer of writers) {
    const { code, signal } = await writer.exited
    if (code !== 0) throw new Error(`writer ${writer.name} ended with ${code ?? signal}: ${writer.stderr}`)
  }
  return writers
}
