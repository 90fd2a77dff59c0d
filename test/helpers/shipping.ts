// What the tests with real servers do to a shipper: kill it again and again while its log rotates, kill the server, or let two
// run at once.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import type { ShipperOptions } from '../../src/ship/options.ts'
import { Shipper } from '../../src/ship/shipper.ts'
import type { ShipTarget } from '../../src/ship/target.ts'
import { atTestEnd } from './at-test-end.ts'
import { tally } from './counts.ts'
import type { Engine } from './engines.ts'
import { createFolder } from './folder.ts'
import { fill } from './mount.ts'
import type { Proxy as NetworkProxy, ProxyMode } from './proxy.ts'
import { random } from './random.ts'
import { built, startProcess } from './script.ts'
import { until } from './until.ts'

/** How often something is written until one of two shippers notices the other. */
const MAX_ROUNDS = 300
const ROUND_MS = 200
/** With which a process ends that another shipper keeps out. */
const LOCKED = 7
/** Of a connection that is cut: within what its client and server say first, or within a batch. */
const MAX_CUT_BYTES = 4_000
/** Until a client gives up what nobody answers, with all that it tries by itself. */
const HURT_MS = 240_000
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
      console.error(error.message)
      process.exit(error.code === 'ERR_LOCKED' ? ${LOCKED} : 1)
    })`
}

/**
 * One process after the other, each killed after a while: in its first moments, or, every second one, shortly after it has
 * shipped something.
 */
export async function killAgainAndAgain(code: string, kills: number, checkpoint: string): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    if (kill % 2 === 1) await killOnceShipped(code, checkpoint)
    else await killAfter(await startProcess(code), 300)
  }
  tally('kills', kills)
}

/** One process, killed shortly after it has shipped something. */
export async function killOnceShipped(code: string, checkpoint: string): Promise<void> {
  const before = shippedIn(checkpoint)
  const child = await startProcess(code)
  await until(() => shippedIn(checkpoint) > before, { timeoutMs: 60_000 })
  await killAfter(child, 50)
}

async function killAfter(child: ChildProcess, maxMs: number): Promise<void> {
  await delay(random() * maxMs)
  // By nothing else.
  expect(child.exitCode).toBe(null)
  await end(child)
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
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

/** Numbers of records that a target has acknowledged. */
function watchAcknowledged(target: ShipTarget): number[] {
  const acknowledged: number[] = []
  const send = target.send.bind(target)
  target.send = async (batch, signal) => {
    const refusals = await send(batch, signal)
    acknowledged.push(...batch.records.map(({ number }) => number))
    return refusals
  }
  return acknowledged
}

/**
 * The server is killed and started again while lines come; resolves with their number when all are acknowledged. One that
 * acknowledges what it has only in memory has `untilKept`: what it acknowledges between that and its death may be lost.
 */
export async function shipWhileServerDies(
  target: ShipTarget,
  engine: { kill(): Promise<void>; start(): Promise<void> },
  kills: number,
  untilKept?: () => Promise<void>
): Promise<{ written: number; seen: string[]; mayBeLost: Set<number> }> {
  const acknowledged = watchAcknowledged(target)
  const mayBeLost = new Set<number>()
  const { shipper, write, untilShipped, end } = startShipping(target, 10, 120_000)
  const seen: string[] = []
  shipper.on('degraded', () => seen.push('degraded')).on('recovered', () => seen.push('recovered'))
  for (let kill = 0; kill < kills; kill++) {
    if (untilKept !== undefined) {
      write()
      await untilShipped()
      await untilKept()
    }
    acknowledged.length = 0
    write()
    await delay(random() * 20)
    await engine.kill()
    write()
    await until(() => seen.length % 2 === 1, { timeoutMs: 60_000, what: 'degraded' })
    if (untilKept !== undefined) for (const number of acknowledged) mayBeLost.add(number)
    await engine.start()
    await untilShipped()
  }
  const written = await end()
  tally('kills', kills)
  return { written, seen, mayBeLost }
}

/**
 * Lines come while the network in between does what `modes` say, one after the other and all of that `turns` times; resolves
 * with their number when all are acknowledged.
 */
export async function shipThrough(
  proxy: NetworkProxy,
  target: ShipTarget,
  modes: readonly ProxyMode[],
  turns: number
): Promise<number> {
  const { shipper, write, untilShipped, end } = startShipping(target, 200, 300_000)
  for (const mode of Array.from({ length: turns }, () => modes).flat()) {
    write()
    await untilShipped()
    const { retries } = shipper.stats()
    const { cuts } = proxy
    const before = proxy.seen.get(mode) ?? 0
    proxy.cutBytes = 1 + Math.floor(random() * MAX_CUT_BYTES)
    proxy.mode = mode
    write()
    await delay(random() * 20)
    proxy.end()
    // A connection that was kept and is cut is no failure of the store: the request is made again at once.
    const isHurt = () =>
      (proxy.seen.get(mode) ?? 0) > before &&
      (mode === 'slow' || proxy.cuts > cuts || shipper.stats().retries > retries)
    const what = `${mode} is noticed`
    for (const start = performance.now(); !isHurt() && performance.now() - start < HURT_MS; ) {
      write()
      await delay(ROUND_MS)
    }
    await until(isHurt, { timeoutMs: 1, what })
    if (mode === 'slow') await untilShipped()
    write()
    proxy.mode = 'pass'
    proxy.end()
    tally('faults')
  }
  await untilShipped()
  return await end()
}

/** Ships a log to which lines come by `write`. `end` resolves with their number, and expects that none was refused. */
function startShipping(target: ShipTarget, batchRecords: number, timeoutMs: number) {
  const path = createLog(0)
  const shipper = new Shipper({ source: path, target, batchRecords, batchAge: 10 })
  atTestEnd(() => shipper.stop())
  const refused: unknown[] = []
  shipper.on('rejected', (refusals) => refused.push(...refusals.map(({ reason }) => reason)))
  const running = shipper.run()
  let written = 0
  return {
    shipper,
    write() {
      for (let i = 0; i < 50; i++) appendFileSync(path, `${line(written++)}\n`)
    },
    untilShipped: () => until(() => shipper.stats().records === written, { timeoutMs, what: 'all shipped' }),
    async end(): Promise<number> {
      await shipper.stop()
      await running
      expect(refused).toEqual([])
      tally('records', written)
      return written
    }
  }
}

/**
 * The server's file system, `folder`, is full for a while and lines come; then there is room again, and `ending`, a server that
 * ends for want of it, is started again. Resolves with the number of lines when all are acknowledged.
 */
export async function shipWhileDiskIsFull(
  target: ShipTarget,
  folder: string,
  ending?: Pick<Engine, 'isRunning' | 'start'>
): Promise<number> {
  const path = createLog(0)
  const shipper = new Shipper({ source: path, target, batchRecords: 200, batchAge: 10 })
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
  const isHurt = () => seen.at(-1) === 'degraded' && ending?.isRunning() !== true
  for (let i = 0; i < MAX_ROUNDS && !isHurt(); i++) {
    write()
    await delay(ROUND_MS)
  }
  await until(isHurt, { timeoutMs: 60_000, what: 'the full disk is noticed' })
  write()
  await delay(2000)
  expect(isShipped()).toBe(false)
  empty()
  await ending?.start()
  await until(isShipped, { timeoutMs: 120_000, what: 'all shipped' })
  write()
  await until(isShipped, { timeoutMs: 60_000, what: 'all shipped' })
  await shipper.stop()
  await running
  expect(seen[0]).toBe('degraded')
  expect(seen.at(-1)).toBe('recovered')
  expect(new Set(seen).size).toBe(2)
  tally('full disks')
  tally('records', written)
  return written
}

/** Two processes at once; resolves with the codes of the errors that ended them, or undefined for one that goes on. */
export async function shipTwiceAtOnce(
  codes: readonly [string, string],
  write: () => void
): Promise<(string | undefined)[]> {
  const children = await Promise.all(codes.map((code) => startProcess(code)))
  for (let i = 0; i < MAX_ROUNDS && children.every(({ exitCode }) => exitCode === null); i++) {
    write()
    await delay(ROUND_MS)
  }
  const ended = children.map(({ exitCode }) => {
    if (exitCode === null) return undefined
    return exitCode === LOCKED ? 'ERR_LOCKED' : `exit code ${exitCode}`
  })
  for (const child of children) await end(child)
  return ended
}

/** Two processes of one checkpoint at once, one of which is told; resolves with the number of lines, which are not all shipped. */
export async function shipByTwo(path: string, code: string): Promise<number> {
  let written = readFileSync(path, 'utf8').split('\n').length - 1
  const ended = await shipTwiceAtOnce([code, code], () => {
    for (let i = 0; i < 20; i++) appendFileSync(path, `${line(written++)}\n`)
  })
  expect(ended).toContain('ERR_LOCKED')
  expect(ended).toContain(undefined)
  return written
}
