// Damaged logs: nothing intact is destroyed without a copy and a word, verify says no whenever open does, and repair makes
// a log of it that opens.
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { createContext } from '../../../src/readers/engine/context.ts'
import { walReader } from '../../../src/readers/formats/wal.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { collect } from '../../helpers/read.ts'
import {
  batchEnds,
  copiesOf,
  copyFiles,
  framesOf,
  insert,
  overwrite,
  segmentsOf,
  writeLog
} from '../../helpers/wal-damage.ts'

const texts = Array.from({ length: 50 }, (_, i) => `record ${i + 1}`)

async function createLog(options: { segmentBytes?: number; records?: readonly string[] } = {}) {
  const walDir = join(createMemoryFolder(), 'wal')
  const given = {
    walDir,
    fallback: false as const,
    segmentBytes: options.segmentBytes ?? 65_536
  }
  await writeLog(given, options.records ?? texts)
  return { walDir, options: given }
}

/** Opens a log; what it says, or its error. */
async function tryOpen(options: { walDir: string; fallback: false; segmentBytes?: number }) {
  const log = new WriteAheadLog(options)
  const events: { name: string; code: string | undefined }[] = []
  for (const name of ['repaired', 'warning'] as const) {
    log.on(name, (event: { code?: string }) => events.push({ name, code: event.code }))
  }
  const error = await log.start().then(
    () => undefined,
    (reason) => reason
  )
  const { lastIndex } = log
  await log.close().catch(() => {})
  // Events come after the call that makes them.
  await nextTurn()
  return { events, code: error?.code as string | undefined, error, lastIndex }
}

async function cliDamage(walDir: string): Promise<number> {
  let count = 0
  for await (const { damage } of walReader.verify(walDir, createContext())) count += damage.length
  return count
}

describe('zeros at the border of two batches', () => {
  it.each([
    ['eight zeros over the next frame', (path: string, at: number) => overwrite(path, at, Buffer.alloc(8))],
    ['eight zeros inserted', (path: string, at: number) => insert(path, at, Buffer.alloc(8))],
    ['sixteen zeros inserted', (path: string, at: number) => insert(path, at, Buffer.alloc(16))],
    ['three zeros inserted', (path: string, at: number) => insert(path, at, Buffer.alloc(3))],
    ['a whole sector of zeros inserted', (path: string, at: number) => insert(path, at, Buffer.alloc(512))]
  ])('%s: verify says so, and opening refuses or keeps everything and says so', async (_, damage) => {
    for (const batch of [1, 20, 48]) {
      const { walDir, options } = await createLog()
      const [path] = segmentsOf(walDir)
      damage(path, batchEnds(path)[batch - 1])
      const damaged = readFileSync(path)
      expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: false })
      expect(await cliDamage(walDir)).toBeGreaterThan(0)
      const read = await collect(walDir)
      expect(read.lines).toEqual(texts.slice(0, batch))
      const { code, events } = await tryOpen(options)
      if (code === 'ERR_CORRUPT') {
        expect(readFileSync(path).equals(damaged)).toBe(true)
        expect(read.error).toMatchObject({ code: 'ERR_CORRUPT' })
        continue
      }
      expect(code).toBeUndefined()
      const [copy] = copiesOf(walDir)
      expect(readFileSync(copy).equals(damaged)).toBe(true)
      expect(events.some(({ name }) => name === 'repaired')).toBe(true)
    }
  })

  it('before the rest of a preallocated segment are its end', async () => {
    const { walDir, options } = await createLog()
    const [path] = segmentsOf(walDir)
    truncateSync(path, statSync(path).size + 1_000_000)
    expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: true, lastIndex: 50n })
    expect(await tryOpen(options)).toMatchObject({ code: undefined, events: [], lastIndex: 50n })
    expect(copiesOf(walDir)).toEqual([])
  })
})

describe('damage in the middle of the last segment, with whole batches behind', () => {
  it.each([
    ['a flipped bit of a length', (path: string, at: number) => overwrite(path, at + 3, Buffer.from([0x40]))],
    ['a flipped bit of data', (path: string, at: number) => overwrite(path, at + 24, Buffer.from([0xff]))],
    ['eight bytes missing', removeBytes(8)],
    ['three bytes missing', removeBytes(3)]
  ])('%s is an error, and the file stays as it is', async (_, damage) => {
    const { walDir, options } = await createLog()
    const [path] = segmentsOf(walDir)
    // The rest of a preallocated segment makes a wrong length look possible.
    truncateSync(path, statSync(path).size + 2 ** 19)
    damage(path, batchEnds(path)[19])
    const damaged = readFileSync(path)
    const { code } = await tryOpen(options)
    expect(code).toBe('ERR_CORRUPT')
    expect(readFileSync(path).equals(damaged)).toBe(true)
    expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: false })
    const log = new WriteAheadLog(options)
    await log.repair()
    expect(await tryOpen(options)).toMatchObject({ code: undefined, lastIndex: 20n })
    expect(readFileSync(copiesOf(walDir)[0]).equals(damaged)).toBe(true)
  })

  it('a sector that was never written is what a power loss leaves: it opens, with a copy and a loud report', async () => {
    const { walDir, options } = await createLog({ records: texts.map((text) => text.padEnd(300, '.')) })
    const [path] = segmentsOf(walDir)
    overwrite(path, 5 * 512, Buffer.alloc(512))
    const damaged = readFileSync(path)
    expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: false })
    const { code, events } = await tryOpen(options)
    expect(code).toBeUndefined()
    expect(events.map(({ name }) => name).toSorted()).toEqual(['repaired', 'warning'])
    expect(events.find(({ name }) => name === 'warning')).toMatchObject({ code: 'ERR_CORRUPT' })
    expect(readFileSync(copiesOf(walDir)[0]).equals(damaged)).toBe(true)
  })
})

it('an append that is torn at any byte, with zeros to the end of the file, is a torn tail', async () => {
  const { walDir, options } = await createLog({ records: texts.slice(0, 10) })
  const [path] = segmentsOf(walDir)
  const content = readFileSync(path)
  const from = batchEnds(path)[8]
  const copies = createMemoryFolder()
  for (let cut = from; cut < content.length; cut++) {
    const folder = join(copies, `${cut}`, 'wal')
    copyFiles(walDir, folder)
    const torn = Buffer.from(content)
    torn.fill(0, cut)
    const preallocated = Buffer.concat([torn, Buffer.alloc(4096)])
    writeFileSync(join(folder, path.slice(walDir.length)), preallocated)
    const { code, lastIndex } = await tryOpen({ ...options, walDir: folder })
    expect({ cut, code }).toEqual({ cut, code: undefined })
    const isWhole = torn.equals(content)
    expect({ cut, lastIndex }).toEqual({ cut, lastIndex: isWhole ? 10n : 9n })
  }
})

describe('open, verify and repair agree', () => {
  const damages: Record<string, (segments: string[]) => void> = {
    'the last segment emptied': (segments) => truncateSync(segments.at(-1)!, 0),
    'the last segment all zeros': (segments) => fill(segments.at(-1)!, 0, Number.POSITIVE_INFINITY),
    'the first 512 bytes of the last segment zeroed': (segments) => fill(segments.at(-1)!, 0, 512),
    'ten bytes left of the last segment': (segments) => truncateSync(segments.at(-1)!, 10),
    'the head of the last segment cut in two': (segments) => truncateSync(segments.at(-1)!, 20),
    'the first segment missing': (segments) => rmSync(segments[0]),
    'the first two segments missing': (segments) => segments.slice(0, 2).forEach((path) => void rmSync(path)),
    'a middle segment missing': (segments) => rmSync(segments[1]),
    'a middle segment emptied': (segments) => truncateSync(segments[1], 0),
    'a middle segment shortened': (segments) => truncateSync(segments[1], statSync(segments[1]).size - 100),
    'zeros in a middle segment': (segments) =>
      overwrite(segments[1], batchEnds(segments[1])[1], Buffer.alloc(8)),
    'a flipped bit in the first segment': (segments) => overwrite(segments[0], 300, Buffer.from([0xaa])),
    'a flipped bit in the last batch': (segments) => {
      const { offset } = framesOf(segments.at(-1)!)
        .filter(({ type }) => type === 2)
        .at(-1)!
      overwrite(segments.at(-1)!, offset + 30, Buffer.from([0xaa]))
    },
    'every segment emptied': (segments) => segments.forEach((path) => void truncateSync(path, 0)),
    'every segment missing': (segments) => segments.forEach((path) => void rmSync(path)),
    'two segments with one sequence': (segments) => {
      writeFileSync(
        segments[1].replace(/-[0-9a-f]+\.wal$/, '-00000000000000ff.wal'),
        readFileSync(segments[1])
      )
    }
  }

  it.each(Object.entries(damages))('%s', async (_, damage) => {
    for (const isReleased of [false, true]) {
      const { walDir, options } = await createLog({
        segmentBytes: 4096,
        records: texts.map((text) => text.padEnd(400, '.'))
      })
      if (isReleased) {
        const log = await WriteAheadLog.open({ ...options, keepSegments: 100 })
        await (await log.createSnapshot())!.release()
        await log.log(['after the release'])
        await log.close()
      }
      damage(segmentsOf(walDir))
      const before = new Map(segmentsOf(walDir).map((path) => [path, readFileSync(path)]))
      const report = await new WriteAheadLog(options).verify()
      const command = await cliDamage(walDir).catch(() => 1)
      const { code } = await tryOpen(options)
      if (code !== undefined) {
        expect(code).toBe('ERR_CORRUPT')
        expect(report.ok).toBe(false)
        expect(command).toBeGreaterThan(0)
        // Opening has changed nothing.
        for (const [path, content] of before) expect(readFileSync(path).equals(content)).toBe(true)
      }
      // What was released may be damaged without keeping the log from being opened.
      if (!report.ok) await new WriteAheadLog(options).repair()
      const opened = await tryOpen(options)
      expect(opened.error).toBeUndefined()
      if (isReleased) expect(opened.lastIndex).toBeGreaterThanOrEqual(50n)
      expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: true })
      // Everything is still there, in the log or in a copy.
      const kept = [...segmentsOf(walDir), ...copiesOf(walDir)].map((path) => readFileSync(path))
      for (const content of before.values()) {
        if (content.length === 0) continue
        expect(kept.some((copy) => copy.subarray(0, content.length).equals(content))).toBe(true)
      }
    }
  })

  it('on every truncation of a log of several segments', { timeout: 120_000 }, async () => {
    const { walDir, options } = await createLog({
      segmentBytes: 4096,
      records: texts.slice(0, 24).map((text) => text.padEnd(400, '.'))
    })
    const copies = createMemoryFolder()
    const lengths = segmentsOf(walDir).flatMap((path) => {
      const { size } = statSync(path)
      return Array.from({ length: Math.ceil(size / 131) }, (_, i) => ({ path, length: i * 131 }))
    })
    for (const [i, { path, length }] of lengths.entries()) {
      const folder = join(copies, `${i}`, 'wal')
      copyFiles(walDir, folder)
      truncateSync(join(folder, path.slice(walDir.length)), length)
      const given = { ...options, walDir: folder }
      const { ok } = await new WriteAheadLog(given).verify()
      const { code } = await tryOpen(given)
      expect({ path, length, isRefused: code !== undefined, ok: ok && code !== undefined }).toMatchObject({
        ok: false
      })
      if (code === undefined) continue
      await new WriteAheadLog(given).repair()
      expect({ path, length, code: (await tryOpen(given)).code }).toMatchObject({ code: undefined })
      rmSync(join(copies, `${i}`), { recursive: true })
    }
  })
})

it('copies of earlier damage are never overwritten', async () => {
  const { walDir, options } = await createLog()
  const [path] = segmentsOf(walDir)
  const found: Buffer[] = []
  for (let crash = 0; crash < 3; crash++) {
    truncateSync(path, statSync(path).size - 5)
    found.push(readFileSync(path))
    expect(await tryOpen(options)).toMatchObject({ code: undefined })
  }
  const copies = copiesOf(walDir).map((copy) => readFileSync(copy))
  expect(copies.length).toBe(3)
  for (const content of found) expect(copies.some((copy) => copy.equals(content))).toBe(true)
})

it('a program that crashes again and again does not fill the disk with copies', async () => {
  const { walDir, options } = await createLog()
  const [path] = segmentsOf(walDir)
  for (let crash = 0; crash < 12; crash++) {
    truncateSync(path, statSync(path).size - 5)
    expect((await tryOpen(options)).events.map(({ name }) => name)).toEqual(['repaired'])
  }
  expect(copiesOf(walDir).length).toBe(8)
})

it('a torn tail that another process reports is the same to readers, verify and the log', async () => {
  const { walDir, options } = await createLog()
  const [path] = segmentsOf(walDir)
  truncateSync(path, statSync(path).size - 5)
  onTestFinished(() => rmSync(walDir, { recursive: true, force: true }))
  const { damage } = await new WriteAheadLog(options).verify()
  expect(damage).toMatchObject([{ kind: 'torn' }])
  expect((await collect(walDir)).lines).toEqual(texts.slice(0, -1))
  expect((await tryOpen(options)).lastIndex).toBe(49n)
  expect(readdirSync(walDir).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

function removeBytes(count: number): (path: string, at: number) => void {
  return (path, at) => {
    const content = readFileSync(path)
    const from = at + 20
    writeFileSync(path, Buffer.concat([content.subarray(0, from), content.subarray(from + count)]))
  }
}

function fill(path: string, from: number, to: number): void {
  const content = readFileSync(path)
  content.fill(0, from, Math.min(to, content.length))
  writeFileSync(path, content)
}
