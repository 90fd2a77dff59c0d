// Records that are removed before they were shipped are never passed over in silence.
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { native } from '../../src/native/index.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { createFolder } from '../helpers/folder.ts'
import { createShipper, createTarget } from '../helpers/ship-target.ts'
import { until } from '../helpers/until.ts'

const fallback = false

function createLog(options: { maxBackups?: number; maxRetainedBytes?: number } = {}) {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  const file = new RotatingFile({ path, maxBytes: 0, fallback, ...options })
  onTestFinished(() => file.close().catch(() => {}))
  const backups = () => readdirSync(folder).filter((name) => name.startsWith('app.log.'))
  let written = 0
  return {
    folder,
    path,
    backups,
    /** So many records, each in a file of its own. */
    async rotate(count: number, bytes = 0) {
      for (let i = 0; i < count; i++) {
        file.writeLine(`record ${written++}${'x'.repeat(bytes)}`)
        await file.flush()
        await file.rotate()
      }
    },
    removeOldest(count: number) {
      for (const name of backups().sort().slice(0, count)) rmSync(join(folder, name))
    }
  }
}

/** A target that takes nothing before it is told to. */
function createGate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, ...createTarget(() => opened, { maxInFlight: 1 }) }
}

describe.skipIf(!native.canLock)('readers', () => {
  test('who goes on behind a cursor is told that files behind it are gone while it reads', async () => {
    const log = createLog()
    await log.rotate(6)
    const first = readRecords(log.path)
    const { value } = await first.next()
    await first.return()
    const reader = readRecords(log.path, { from: value?.cursor })
    expect(String((await reader.next()).value?.data)).toBe('record 1')
    log.removeOldest(4)
    await expect(reader.next()).rejects.toMatchObject({ code: 'ERR_CURSOR_LOST' })
  })

  test('who reads from the start gets a note, or is told if it wants to be', async () => {
    const log = createLog()
    await log.rotate(6)
    const readers = [readRecords(log.path), readRecords(log.path, { onLost: 'throw' })]
    for (const reader of readers) await reader.next()
    log.removeOldest(3)
    const left: string[] = []
    for await (const { data } of readers[0]) left.push(String(data))
    expect(left).toEqual(['record 3', 'record 4', 'record 5'])
    expect(readers[0].stats().notes[0].text).toMatch(/removed before they were read/)
    await expect(readers[1].next()).rejects.toMatchObject({ code: 'ERR_CURSOR_LOST' })
  })

  test('who follows is told that files came and went between two looks', async () => {
    const log = createLog()
    await log.rotate(1)
    const stop = new AbortController()
    const options = { follow: true, signal: stop.signal, onLost: 'throw' } as const
    const reader = readRecords(log.path, options)
    onTestFinished(() => stop.abort())
    expect(String((await reader.next()).value?.data)).toBe('record 0')
    const next = reader.next()
    await log.rotate(1)
    expect(String((await next).value?.data)).toBe('record 1')
    // It does not look before it is asked.
    await log.rotate(6)
    log.removeOldest(6)
    await expect(reader.next()).rejects.toMatchObject({ code: 'ERR_CURSOR_LOST' })
  })
})

describe.skipIf(!native.canLock)('a shipper', () => {
  test('whose log could keep no more ends with how much is gone, and goes on behind it if it is to', async () => {
    const log = createLog({ maxBackups: 1, maxRetainedBytes: 40_000 })
    await log.rotate(1, 10_000)
    const gate = createGate()
    const options = { follow: true, batchRecords: 1, batchAge: 1 }
    const stuck = createShipper(log.path, gate.target, options)
    const running = stuck.run()
    running.catch(() => {})
    await until(() => gate.sent.length === 1)
    await log.rotate(10, 10_000)
    await until(() => log.backups().length <= 4)
    gate.open()
    await expect(running).rejects.toThrow(
      /removed \d+ files \(\d+ bytes\) that were not shipped.*ERR_CURSOR_LOST/
    )
    expect(gate.taken.length).toBeLessThan(6)
    const { target, sent } = createTarget()
    const going = createShipper(log.path, target, { ...options, follow: false, onLost: 'skip' })
    const lost: string[] = []
    going.on('lost', ({ message }) => lost.push(message))
    await going.run()
    expect(lost).toHaveLength(1)
    expect(going.stats().losses).toBe(1)
    const last = sent.flatMap(({ texts }) => texts).at(-1)
    expect(last).toMatch(/^record 10x/)
    // No number is given twice.
    const numbers = [...gate.sent, ...sent].flatMap((each) => each.numbers.map((n, i) => [n, each.texts[i]]))
    const byNumber = new Map<unknown, unknown>()
    for (const [number, text] of numbers) {
      expect(byNumber.get(number) ?? text).toBe(text)
      byNumber.set(number, text)
    }
  })

  test('of a write-ahead log beyond its bounds is told which entries are gone', async () => {
    const walDir = join(createFolder(), 'wal')
    const bounds = { segmentBytes: 4096, maxRetainedBytes: 8192 }
    const log = await WriteAheadLog.open({ walDir, fallback, ...bounds })
    onTestFinished(() => log.close())
    await log.log(['first'])
    const gate = createGate()
    const shipper = createShipper(walDir, gate.target, { follow: true, batchRecords: 1, batchAge: 1 })
    const running = shipper.run()
    running.catch(() => {})
    await until(() => gate.sent.length === 1)
    for (let i = 0; i < 40; i++) await log.log([`entry ${i} ${'x'.repeat(1000)}`])
    const segments = () => readdirSync(walDir).filter((name) => name.endsWith('.wal'))
    await until(
      () => segments().length <= 4 && !segments().some((name) => name.startsWith('0000000000000000-'))
    )
    gate.open()
    await expect(running).rejects.toThrow(/entries \d+ to \d+.*ERR_CURSOR_LOST/)
    const next = createTarget()
    const again = createShipper(walDir, next.target)
    await expect(again.run()).rejects.toThrow(/ERR_CURSOR_LOST/)
    await log.log(['last'])
    const going = createShipper(walDir, next.target, { onLost: 'skip' })
    await going.run()
    expect(next.taken.at(-1)).toBe('last')
    expect(going.stats().losses).toBe(1)
  })
})
