// A server that is started as a page says, asked many times and stopped; and what is in its log then.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { until } from '../helpers/until.ts'
import type { Application } from './application.ts'

const START_MS = 60_000
const STOP_MS = 20_000
const REQUEST_MS = 5_000
const CONCURRENT = 8
/** Between two requests without an end: what restarts the server needs the processor, too. */
const PAUSE_MS = 10

export interface Server {
  readonly port: number
  readonly process: ChildProcess
  /** What it printed. */
  output(): string
  /** Sends the signal, to the process or to its whole group, and waits until it is gone. */
  stop(signal: NodeJS.Signals, whom?: 'process' | 'group'): Promise<void>
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}

/** Starts a command in a group of its own, and waits until it answers. What is left of it is ended after the test. */
export async function started(
  { folder, env: own }: Application,
  command: string,
  { port, env = {} }: { port: number; env?: Record<string, string> }
): Promise<Server> {
  let said = ''
  const child = spawn('/bin/sh', ['-c', `exec ${command}`], {
    cwd: folder,
    env: { ...own, ...env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  })
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const kill = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal)
    } catch {
      // Gone already.
    }
  }
  onTestFinished(() => kill('SIGKILL'))
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null
  await until(
    async () => {
      if (isOver()) throw new Error(`${command} ended with ${child.exitCode ?? child.signalCode}:\n${said}`)
      return (await ask(port, '/users/0')) === 200
    },
    { timeoutMs: START_MS, what: `${command} answers` }
  )
  return {
    port,
    process: child,
    output: () => said,
    async stop(signal, whom = 'process') {
      if (whom === 'group') kill(signal)
      else child.kill(signal)
      await until(isOver, { timeoutMs: STOP_MS, what: `${command} ends at ${signal}:\n${said}` })
    }
  }
}

/** The status of one request; 0 if there was no answer. */
export function ask(port: number, path: string, agent?: Agent): Promise<number> {
  return new Promise((resolve) => {
    const request = get({ host: 'localhost', port, path, agent, timeout: REQUEST_MS }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0)).on('error', () => resolve(0))
    })
    request.on('timeout', () => request.destroy()).on('error', () => resolve(0))
  })
}

/** Asks for users `from` up to `from + count - 1`, and gives those for whom it was answered. */
export async function load(port: number, from: number, count: number): Promise<string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENT })
  const answered: string[] = []
  let next = from
  const one = async (): Promise<void> => {
    while (next < from + count) {
      const user = next++
      if ((await ask(port, `/users/${user}`, agent)) === 200) answered.push(String(user))
    }
  }
  await Promise.all(Array.from({ length: CONCURRENT }, one))
  agent.destroy()
  return answered
}

/** Asks for one user after the other, from `first` on, until told to stop; gives those for whom it was answered. */
export function loadUntilStopped(port: number, first = 1): { stop(atLeast: number): Promise<string[]> } {
  const answered: string[] = []
  let next = first
  let least = Number.POSITIVE_INFINITY
  const one = async (): Promise<void> => {
    while (answered.length < least) {
      const user = next++
      // A connection each, so that all processes are asked.
      if ((await ask(port, `/users/${user}`)) === 200) answered.push(String(user))
      await delay(PAUSE_MS)
    }
  }
  const all = Promise.all(Array.from({ length: CONCURRENT }, one))
  return {
    async stop(atLeast) {
      least = atLeast
      await all
      return answered
    }
  }
}

export interface Log {
  files: number
  largest: number
  records: Record<string, unknown>[]
}

/** All records of a log in the application's folder, backups included. */
export function readLog({ folder }: Application, path: string): Log {
  const at = join(folder, dirname(path))
  const names = readdirSync(at).filter((name) => name.startsWith(basename(path)))
  const texts = names.map((name) => readFileSync(join(at, name), 'utf8'))
  return {
    files: names.length,
    largest: Math.max(...texts.map((text) => Buffer.byteLength(text))),
    records: texts.flatMap((text) => text.split('\n').slice(0, -1)).map((line) => JSON.parse(line))
  }
}

/** That everybody who was answered is in the log, nobody twice, that it was rotated, and that the limit held. */
export function expectOnce(log: Log, answered: readonly string[], maxBytes: number): void {
  const users = log.records.flatMap(({ user }) => (user === undefined ? [] : [String(user)]))
  const times = new Map<string, number>()
  for (const user of users) times.set(user, (times.get(user) ?? 0) + 1)
  expect(answered.filter((user) => !times.has(user))).toEqual([])
  // Of user 0 it is asked whether the server is there.
  expect([...times].filter(([user, count]) => user !== '0' && count > 1)).toEqual([])
  expect(log.files).toBeGreaterThan(2)
  expect(log.largest).toBeLessThanOrEqual(maxBytes)
}
