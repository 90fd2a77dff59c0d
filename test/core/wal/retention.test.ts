// Logs that nobody consumes stay within their bound: the oldest segments go, never the active one, and never what a
// snapshot has handed out.
import { statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { collect } from '../../helpers/read.ts'
import { segmentsOf } from '../../helpers/wal-damage.ts'

const segmentBytes = 4096
const maxRetainedBytes = 5 * segmentBytes

async function openLog(options: Partial<WriteAheadLogOptions> = {}, now = () => Date.now()) {
  const walDir = options.walDir ?? join(createFolder(), 'wal')
  const log = await withInternals({ now }, () =>
    WriteAheadLog.open({ walDir, segmentBytes, fallback: false, ...options } as WriteAheadLogOptions)
  )
  onTestFinished(() => log.close().catch(() => {}))
  const warnings: string[] = []
  log.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`))
  return { log, walDir: String(walDir), warnings }
}

async function fill(log: WriteAheadLog, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await log.log([`${log.lastIndex + 1n} ${'x'.repeat(400)}`])
}

function bytesOf(walDir: string): number {
  return segmentsOf(walDir).reduce((sum, path) => sum + statSync(path).size, 0)
}

it('by default everything is kept', async () => {
  const { log, walDir } = await openLog()
  await fill(log, 100)
  expect((await collect(walDir)).lines.length).toBe(100)
})

it('maxRetainedBytes bounds the segments, and the log opens again with what is left', async () => {
  const { log, walDir, warnings } = await openLog({ maxRetainedBytes })
  await fill(log, 200)
  await expect.poll(() => bytesOf(walDir)).toBeLessThanOrEqual(maxRetainedBytes)
  expect(warnings.length).toBeGreaterThan(0)
  expect(warnings.every((warning) => warning.startsWith('ERR_RETENTION entries '))).toBe(true)
  const first = log.snapshotIndex + 1n
  expect(first).toBeGreaterThan(100n)
  const { records, error } = await collect(walDir)
  expect(error).toBeUndefined()
  expect(records.map(({ index }) => index)).toEqual(
    Array.from({ length: Number(200n - first) + 1 }, (_, i) => first + BigInt(i))
  )
  await expect(log.read(1n).next()).rejects.toThrow(/ERR_NOT_FOUND/)
  await log.close()
  const options = { walDir, segmentBytes, fallback: false as const }
  expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: true })
  const again = await openLog({ walDir })
  expect([again.log.lastIndex, again.log.snapshotIndex]).toEqual([200n, first - 1n])
})

it('logSync keeps the bound, too, although the event loop never turns', async () => {
  const { log, walDir } = await openLog({ maxRetainedBytes })
  for (let i = 0; i < 200; i++) {
    log.logSync(['x'.repeat(400)])
    expect(bytesOf(walDir)).toBeLessThanOrEqual(maxRetainedBytes + 2 * segmentBytes)
  }
  expect(segmentsOf(walDir).length).toBeLessThan(8)
})

it('a log that has grown without a bound is cut down when it is opened with one', async () => {
  const { log, walDir } = await openLog()
  await fill(log, 200)
  await log.close()
  const again = await openLog({ walDir, maxRetainedBytes })
  expect(bytesOf(walDir)).toBeLessThanOrEqual(maxRetainedBytes)
  expect(again.log.lastIndex).toBe(200n)
})

it('maxRetainedAge removes segments that were last written to so long ago, and not the active one', async () => {
  let nowMs = Date.now()
  const { log, walDir } = await openLog({ maxRetainedAge: '1h' }, () => nowMs)
  await fill(log, 40)
  const before = segmentsOf(walDir)
  expect(before.length).toBeGreaterThan(4)
  for (const path of before.slice(0, 3)) utimesSync(path, nowMs / 1000 - 7200, nowMs / 1000 - 7200)
  await fill(log, 12)
  await expect.poll(() => segmentsOf(walDir).includes(before[2])).toBe(false)
  expect(segmentsOf(walDir)).toContain(before[3])
  nowMs += 7_200_000
  await fill(log, 12)
  await expect.poll(() => segmentsOf(walDir).length).toBe(1)
  expect(await log.log(['still there'])).toMatchObject({ firstIndex: 65n })
})

it('maxRetainedAge removes what is behind a segment that a clock which was ahead wrote last, and that one', async () => {
  let nowMs = Date.now()
  const { log, walDir } = await openLog({ maxRetainedAge: '1h' }, () => nowMs)
  await fill(log, 40)
  const [first] = segmentsOf(walDir)
  utimesSync(first, nowMs / 1000 + 365 * 86_400, nowMs / 1000 + 365 * 86_400)
  nowMs += 7_200_000
  await fill(log, 12)
  await expect.poll(() => segmentsOf(walDir).length).toBe(1)
})

it('what goes for the bound is told of, also while a segment cannot be removed', async () => {
  const faulty = createFaultyDisk()
  const { log, walDir, warnings } = await withInternals({ disk: faulty.disk }, () =>
    openLog({ maxRetainedBytes })
  )
  faulty.fault = (operation, _, [path]) =>
    operation === 'unlink' && String(path).endsWith('.wal') ? 'EACCES' : undefined
  await fill(log, 80)
  faulty.fault = () => undefined
  await fill(log, 40)
  await expect.poll(() => bytesOf(walDir)).toBeLessThanOrEqual(maxRetainedBytes)
  const told = warnings.flatMap((warning) => {
    const [, first, last] = /^ERR_RETENTION entries (\d+) to (\d+) /.exec(warning) ?? []
    return first === undefined ? [] : [[BigInt(first), BigInt(last)]]
  })
  expect(told[0][0]).toBe(1n)
  expect(told.at(-1)![1]).toBe(log.snapshotIndex)
  for (let i = 1; i < told.length; i++) expect(told[i][0]).toBe(told[i - 1][1] + 1n)
})

describe('with a consumer', () => {
  it('what a snapshot has handed out stays until it comes back, and that is said', async () => {
    const { log, walDir, warnings } = await openLog({ maxRetainedBytes })
    await fill(log, 20)
    const snapshot = (await log.createSnapshot())!
    await fill(log, 100)
    expect(bytesOf(walDir)).toBeGreaterThan(maxRetainedBytes)
    await expect.poll(() => warnings.join()).toMatch(/larger than its bound/)
    let count = 0
    for await (const { index } of snapshot.entries) expect(index).toBe(BigInt(++count))
    expect(count).toBe(20)
    await snapshot.release(false)
    await fill(log, 10)
    await expect.poll(() => bytesOf(walDir)).toBeLessThanOrEqual(maxRetainedBytes)
    // Not silently: these entries were never released.
    await expect.poll(() => warnings.join()).toMatch(/entries 1 to \d+ .* were removed/)
    const next = (await log.createSnapshot())!
    expect(next.prevIndex).toBeGreaterThan(0n)
    const found: bigint[] = []
    for await (const { index } of next.entries) found.push(index)
    expect(found[0]).toBe(next.prevIndex + 1n)
    expect(found.at(-1)).toBe(130n)
  })

  it('nothing is said of entries that were released before', async () => {
    const { log, walDir, warnings } = await openLog({ maxRetainedBytes, keepSegments: 100 })
    for (let round = 0; round < 20; round++) {
      await fill(log, 10)
      await (await log.createSnapshot())!.release()
    }
    await expect.poll(() => bytesOf(walDir)).toBeLessThanOrEqual(maxRetainedBytes)
    expect(warnings).toEqual([])
  })
})

it('a bound below two segments is refused', () => {
  const options = { walDir: '/tmp/wal', segmentBytes, maxRetainedBytes: segmentBytes }
  expect(() => new WriteAheadLog(options)).toThrow(/maxRetainedBytes.*ERR_OPTION/)
})
