// What the tests with real servers do to a shipper: kill it again and again while its log rotates, kill the server, or let two
// run at once.
import { once } from 'node:events'
import { appendFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import type { ShipperOptions } from '../../src/ship/options.ts'
import { Shipper } from '../../src/ship/shipper.ts'
import type { ShipTarget } from '../../src/ship/target.ts'
import { atTestEnd } from './at-test-end.ts'
import { createFolder } from './folder.ts'
import { fill } from './mount.ts'
import { random } from './random.ts'
import { built, startProcess } from './script.ts'
import { until } from './until.ts'

/** How often something is written until one of two shippers notices the other. */
const MAX_ROUNDS = 300
const ROUND_MS = 200
/** Between five lines and the next: the log rotates some times a second, and can be counted after a hundred kills. */
const WRITE_MS = 20

export const line = (n: number): string =>
  JSON.stringify({ level: 30, time: 1_700_000_000_000 + n, n, msg: `record ${n}` })

export const linesUpTo = (count: number): string[] => Array.from({ length: count }, (_, n) => line(n))

/** A log with `count` lines. */
export function createLog(count: number): string {
  const path = join(createFolder(), 'app')
  writeFileSync(
    path,
    linesUpTo(count)
      .map((each) => `${each}\n`)
      .join('')
  )
  return path
}

export interface WrittenLog {
  readonly path: string
  /** Ends the writing; resolves with the number of lines. */
  stop(): Promise<number>
}

/** A log that is written all the time and rotates some times a second. */
export function startWriting(): WrittenLog {
  const path = join(createFolder(), 'app')
  const log = new RotatingFile({ path, maxBytes: 6000, compress: 'gzip', fallback: false })
  atTestEnd(() => log.close().catch(() => {}))
  let written = 0
  let isWriting = true
  const writing = (async () => {
    for (; isWriting; await delay(WRITE_MS)) for (let i = 0; i < 5; i++) log.writeLine(line(written++))
  })()
  return {
    path,
    async stop() {
      isWriting = false
      await writing
      await log.close()
      return written
    }
  }
}

/** Code of a process that ships until it is killed; `target` is an expression over what the package exports. */
export function shipperCode(source: string, target: string, options: object = {}): string {
  const all = JSON.stringify({ batchRecords: 20, batchAge: 20, ...options, source })
  return `import * as logboom from ${built('index.js')}
    const target = await (${target})
    const shipper = new logboom.Shipper({ ...${all}, target })
    console.log('ready')
    await shipper.run().catch((error) => {
      console.log(error.code)
      process.exit(7)
    })`
}

/**
 * One process after the other, each killed after a while: in its first moments, or, every second one, shortly after it has
 * shipped something.
 */
export async function killAgainAndAgain(code: string, kills: number, checkpoint: string): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    const before = shippedIn(checkpoint)
    const child = await startProcess(code)
    if (kill % 2 === 1) await until(() => shippedIn(checkpoint) > before, { timeoutMs: 60_000 })
    await delay(random() * (kill % 2 === 1 ? 50 : 300))
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}

function shippedIn(checkpoint: string): number {
  try {
    return readCheckpoint(checkpoint).records
  } catch {
    return 0
  }
}

/** Where a shipper of `log` to `target` has its checkpoint. */
export function checkpointOf(log: string, target: string): string {
  return join(dirname(log), `.${basename(log)}.ship-${target}`)
}

/** Ships all that is there in this process. */
export async function shipAll(
  source: string,
  target: ShipTarget,
  options: Partial<ShipperOptions> = {}
): Promise<Shipper> {
  const shipper = new Shipper({ batchRecords: 50, ...options, source, target, follow: false })
  atTestEnd(() => shipper.stop())
  await shipper.run()
  return shipper
}

/** The server is killed and started again while lines come; resolves with their number when all are acknowledged. */
export async function shipWhileServerDies(
  target: ShipTarget,
  engine: { kill(): Promise<void>; start(): Promise<void> },
  kills: number
): Promise<{ written: number; seen: string[] }> {
  const path = createLog(0)
  const shipper = new Shipper({ source: path, target, batchRecords: 10, batchAge: 10 })
  atTestEnd(() => shipper.stop())
  const seen: string[] = []
  shipper.on('degraded', () => seen.push('degraded')).on('recovered', () => seen.push('recovered'))
  const refused: unknown[] = []
  shipper.on('rejected', (refusals) => refused.push(...refusals.map(({ reason }) => reason)))
  const running = shipper.run()
  let written = 0
  const write = () => {
    for (let i = 0; i < 50; i++) appendFileSync(path, `${line(written++)}\n`)
  }
  for (let kill = 0; kill < kills; kill++) {
    write()
    await delay(random() * 20)
    await engine.kill()
    write()
    await until(() => seen.length % 2 === 1, { timeoutMs: 60_000, what: 'degraded' })
    await engine.start()
    await until(() => shipper.stats().records === written, { timeoutMs: 120_000, what: 'all shipped' })
  }
  await shipper.stop()
  await running
  expect(refused).toEqual([])
  return { written, seen }
}

/**
 * The server's file system, `folder`, is full for a while and lines come; then there is room again. Resolves with the number of
 * lines when all are acknowledged.
 */
export async function shipWhileDiskIsFull(target: ShipTarget, folder: string): Promise<number> {
  const path = createLog(0)
  const shipper = new Shipper({ source: path, target, batchRecords: 10, batchAge: 10 })
  atTestEnd(() => shipper.stop())
  const seen: string[] = []
  shipper.on('degraded', () => seen.push('degraded')).on('recovered', () => seen.push('recovered'))
  shipper.on('rejected', (refusals) => seen.push(...refusals.map(({ reason }) => reason)))
  const running = shipper.run()
  let written = 0
  const write = () => {
    for (let i = 0; i < 50; i++) appendFileSync(path, `${line(written++)}\n`)
  }
  const isShipped = () => shipper.stats().records === written
  write()
  await until(isShipped, { timeoutMs: 60_000, what: 'all shipped' })
  const empty = fill(folder)
  // Some go into what the server has in memory, or has reserved.
  for (let i = 0; i < MAX_ROUNDS && seen.length === 0; i++) {
    write()
    await delay(ROUND_MS)
  }
  expect(seen).toEqual(['degraded'])
  write()
  await delay(2000)
  expect(isShipped()).toBe(false)
  empty()
  await until(isShipped, { timeoutMs: 120_000, what: 'all shipped' })
  write()
  await until(isShipped, { timeoutMs: 60_000, what: 'all shipped' })
  await shipper.stop()
  await running
  expect(seen[0]).toBe('degraded')
  expect(seen.at(-1)).toBe('recovered')
  expect(new Set(seen).size).toBe(2)
  return written
}

/** Two processes at once; resolves with the codes of the errors that ended them, or undefined for one that goes on. */
export async function shipTwiceAtOnce(
  codes: readonly [string, string],
  write: () => void
): Promise<(string | undefined)[]> {
  const ended: (string | undefined)[] = [undefined, undefined]
  const children = await Promise.all(codes.map((code) => startProcess(code)))
  for (const [at, child] of children.entries())
    child.stdout?.on('data', (data) => {
      ended[at] = String(data).trim()
    })
  for (let i = 0; i < MAX_ROUNDS && ended.every((each) => each === undefined); i++) {
    write()
    await delay(ROUND_MS)
  }
  for (const child of children) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  return ended
}
