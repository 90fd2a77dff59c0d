// A sink that keeps its own records in a lane: `lane: true` of the classes.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { EventFiles } from '../../../src/core/event-files/event-files.ts'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { waitingLanes } from '../../../src/core/lane/waiting.ts'
import { type Kind, sinks } from '../../../src/core/registry.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { SinkKind } from '../../../src/core/sink/sink-kind.ts'
import { Spool } from '../../../src/core/spool/spool.ts'
import { groupBackups } from '../../../src/formats/backup-name.ts'
import { native } from '../../../src/native/index.ts'
import { createFaultyDisk, failNth } from '../../helpers/faulty-disk.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { runScript } from '../../helpers/run-script.ts'
import { until } from '../../helpers/until.ts'

const lock = native.canLock
let logs: string
let path: string
let dir: string
beforeEach(() => {
  logs = createFolder()
  path = join(logs, 'a.log')
  dir = join(createFolder(memoryRoot), 'lane')
})

function readLog(): string {
  const backups = groupBackups('a.log', readdirSync(logs)).map(({ name }) => name)
  return [...backups, 'a.log'].map((name) => readFileSync(join(logs, name), 'utf8')).join('')
}

test.each([
  ['a text', 'yes'],
  ['an unknown member', { folder: '/x' }],
  ['a size that is none', { maxBytes: 'much' }],
  ['a size that is too small', { maxBytes: '4k' }],
  ['a size that is too large', { maxBytes: '2g' }],
  ['an empty folder', { dir: '' }],
  ['null', null],
  ['an empty object', {}],
  ['an array', []],
  ['a date', new Date()]
])('%s is refused with one clear error', (_what, value) => {
  const options = { path, lock, lane: value as never }
  expect(() => new RotatingFile(options)).toThrow(/^rotating-file: option 'lane' must/)
  expect(existsSync(path)).toBe(false)
})

test('where there can be no lane that is said once, and records wait in memory', async () => {
  writeFileSync(dir, 'a file')
  const file = new RotatingFile({ path, lock, lane: { dir }, fallback: false })
  const warnings: string[] = []
  file.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`))
  for (let i = 0; i < 100; i++) file.write(`${i}\n`)
  expect(file.stats().lane).toBe('none')
  await file.close()
  expect(readLog().split('\n')).toHaveLength(101)
  await until(() => warnings.length > 0)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain('has no lane')
})

test('of the class of the spool it is refused, as its records are in files at once', () => {
  expect(() => new Spool({ path: logs, lane: true })).toThrow(/^spool: option 'lane' is for transports/)
})

describe.skipIf(!MappedRing.isAvailable)('a lane of its own (needs the addon)', () => {
  const rings = (): string[] => readdirSync(dir).filter((name) => name.endsWith('.ring'))

  test('holds records at once, which are written after the flush interval, and is gone when the sink is closed', async () => {
    const file = new RotatingFile({ path, lane: { dir, maxBytes: '64k' }, flushInterval: '20ms' })
    file.write('one\n')
    expect(file.stats()).toMatchObject({ lane: 'mapped', records: 0 })
    expect(rings()).toHaveLength(1)
    expect(readFileSync(join(dir, rings()[0])).includes('one\n')).toBe(true)
    await until(() => readLog() === 'one\n')
    await file.close()
    expect(readdirSync(dir)).toEqual([])
    expect(file.stats().lane).toBe('none')
  })

  test('takes lines in pieces and several at once, and payloads of any bytes', async () => {
    const file = new RotatingFile({ path, lane: { dir } })
    for (const piece of ['a', 'b\nc', '\n', Buffer.from('dé\ne\n'), 'rest']) file.write(piece)
    file.writeLine('whole')
    file.flushSync()
    await file.close()
    expect(readLog()).toBe('ab\nc\ndé\ne\nwhole\nrest\n')

    const binary = new BinaryFile({ path: join(logs, 'b.bin'), maxBytes: '1m', lane: { dir } })
    for (const payload of ['', 'x\n', Buffer.from([0xff, 10, 0]), 'é']) binary.write(payload)
    binary.flushSync()
    expect([...binary.readBytes()]).toEqual(
      ['', 'x\n', Buffer.from([0xff, 10, 0]), 'é'].map((each) => Buffer.from(each as string))
    )
    await binary.close()
  })

  test('is filled faster than it is written, and takes records larger than itself', async () => {
    const file = new RotatingFile({
      path,
      maxBytes: 200_000,
      lane: { dir, maxBytes: '64k' },
      flushInterval: '1h'
    })
    const sizes = [10, 300, 40_000, 70_000, 300_000]
    let expected = ''
    for (let i = 0; i < 1_000; i++) {
      const line = `${i} ${'x'.repeat(sizes[Math.floor(random() ** 8 * sizes.length)])}\n`
      file.write(line)
      expected += line
    }
    await file.close()
    expect(readLog() === expected).toBe(true)
    expect(file.stats()).toMatchObject({ records: 1_000, dropped: 0 })
    expect(readdirSync(dir)).toEqual([])
  })

  test.each(['drop-newest', 'drop-oldest'] as const)(
    'at its bound %s decides, with exact numbers, and the order stays',
    async (overflow) => {
      const faulty = createFaultyDisk()
      const options = {
        path,
        lock: false,
        overflow,
        lane: { dir, maxBytes: '64k' },
        fallback: false
      } as const
      const file = withInternals({ disk: faulty.disk }, () => new RotatingFile(options))
      failNth(faulty, 'write', 1, 'ENOSPC', true)
      for (let i = 0; i < 2_000; i++) file.write(`${i} ${'x'.repeat(100)}\n`)
      faulty.fault = () => undefined
      await file.flush()
      await file.close()
      const lines = readLog().split('\n').slice(0, -1)
      const numbers = lines.filter((line) => !line.startsWith('{')).map((line) => Number.parseInt(line, 10))
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
      expect(numbers).toContain(overflow === 'drop-newest' ? 0 : 1_999)
      expect(numbers).not.toContain(overflow === 'drop-newest' ? 1_999 : 0)
      expect(numbers.length + file.stats().dropped).toBe(2_000)
      expect(numbers.length).toBeGreaterThan(300)
      const told = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).dropped)
      expect(told.reduce((a, b) => a + b, 0)).toBe(file.stats().dropped)
    }
  )

  test('at its bound, while syncs fail, records are dropped with exact numbers, and what was dropped does not come back', async () => {
    const faulty = createFaultyDisk()
    const options = {
      path,
      lock: false,
      overflow: 'drop-oldest',
      durability: 'disk',
      maxBytes: 0,
      fallback: false
    } as const
    const file = withInternals(
      { disk: faulty.disk },
      () => new RotatingFile({ ...options, lane: { dir, maxBytes: '64k' } })
    )
    faulty.fault = (operation) => (operation.startsWith('fdatasync') ? 'EIO' : undefined)
    for (let i = 0; i < 1_000; i++) {
      file.write(`${i} ${'x'.repeat(100)}\n`)
      if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    faulty.fault = () => undefined
    await file.flush()
    await file.close()
    const { dropped } = file.stats()
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    const numbers = lines.filter((line) => !line.startsWith('{')).map((line) => Number.parseInt(line, 10))
    expect(dropped).toBeGreaterThan(0)
    // Files whose sync failed are left; what is in the last one are all records that were not dropped.
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(numbers.length + dropped).toBe(1_000)
  })

  test.each([
    ['', false, 10],
    [', large records with it', true, 100_000]
  ])(
    'what cannot be written when the sink is closed waits in the lane for whoever opens the log next%s',
    async (_what, isLarge, bytes) => {
      const faulty = createFaultyDisk()
      const options = { path, lock: false, lane: { dir, maxBytes: '64k' }, fallback: false } as const
      const other = new RotatingFile({ path: join(logs, 'other.log'), lane: { dir } })
      const file = withInternals({ disk: faulty.disk }, () => new RotatingFile(options))
      file.write('zero\n')
      file.flushSync()
      failNth(faulty, 'write', 1, 'ENOSPC', true)
      const one = `one ${'x'.repeat(bytes)}`
      file.write(`${one}\n`)
      file.hurry()
      await file.close()
      expect(file.stats()).toMatchObject({ dropped: 0, queuedBytes: 0 })
      expect(waitingLanes(path, dir)).toMatchObject([
        isLarge ? { isHeld: true } : { isHeld: false, records: 1 }
      ])
      const next = new RotatingFile(options)
      next.write('three\n')
      await next.close()
      expect(readLog().split('\n').slice(0, -1).toSorted()).toEqual([one, 'three', 'zero'])
      expect(next.stats().recovered).toBe(1)
      await other.close()
      expect(readdirSync(dir)).toEqual([])
    }
  )

  test('with durability disk it is kept until records are on disk, and they are written again after a failed sync', async () => {
    const faulty = createFaultyDisk()
    const file = withInternals({ disk: faulty.disk }, () => {
      return new RotatingFile({
        path,
        lock: false,
        durability: 'disk',
        lane: { dir, maxBytes: '64k' },
        fallback: false
      })
    })
    file.write('one\n')
    await file.flush()
    failNth(faulty, 'fdatasyncAsync', 1, 'EIO')
    for (let i = 0; i < 100; i++) file.write(`${i}\n`)
    await file.flush()
    await file.close()
    expect(readFileSync(path, 'utf8')).toBe(Array.from({ length: 100 }, (_, i) => `${i}\n`).join(''))
    expect(readdirSync(dir)).toEqual([])
  })

  test.each<[Kind, Record<string, unknown>]>([
    ['event-files', { output: 'rotating-file' }],
    ['event-files', { output: 'direct-file', flushInterval: '1h' }],
    ['direct-file', { flushInterval: '1h' }],
    ['spool', {}],
    ['wal', { durability: 'os' }]
  ])(
    '%s %j: a thread that logs without end gets room as records are written, and none is lost',
    async (kind, more) => {
      const place = kind === 'direct-file' ? { path } : { dir: logs }
      const sink = (sinks[kind] as SinkKind).create({
        ...place,
        ...more,
        lane: { dir, maxBytes: '64k' }
      } as never)
      // Many times the ring, in one turn of the event loop, for more events than are flushed in a moment.
      for (let i = 0; i < 4_000; i++) {
        sink.write(`${JSON.stringify({ event: `e${i % 12}`, i, text: 'x'.repeat(200) })}\n`)
      }
      await sink.flush()
      expect(sink.stats()).toMatchObject({ records: 4_000, dropped: 0, lane: 'mapped' })
      await sink.close()
      expect(readdirSync(dir)).toEqual([])
    }
  )

  test('of a sink that is refused is not left behind', () => {
    const folder = join(logs, 'folder')
    mkdirSync(folder)
    expect(() => new RotatingFile({ path: folder, lane: { dir } })).toThrow('ERR_NOT_FILE')
    expect(readdirSync(dir)).toEqual([])
    expect(
      () => new EventFiles({ dir: folder, output: 'rotating-file', maxBytes: -1, lane: { dir } })
    ).toThrow('ERR_OPTION')
    expect(existsSync(dir) && readdirSync(dir)).toEqual([])
  })

  test('of a sink that is just closing when the process exits is not left behind, as nothing is in it', async () => {
    const script = `
      import { RotatingFile } from 'logboom'
      const file = new RotatingFile(${JSON.stringify({ path, lane: { dir }, lock })})
      file.write('one\\n')
      await file.flush()
      void file.close()
      process.exit()`
    expect(await runScript(script)).toMatchObject({ code: 0, stderr: '' })
    expect(readLog()).toBe('one\n')
    expect(readdirSync(dir)).toEqual([])
  })

  test('at the exit of the process it is told once how much is left in it, late records with it, and none of it is lost', async () => {
    const options = { path, lock: false, lane: { dir } }
    const script = `
      import { RotatingFile } from 'logboom'
      import { withInternals } from './dist/core/sink/internals.js'
      import { realDisk } from './dist/io/disk.js'
      const write = () => { throw Object.assign(new Error('no room'), { code: 'ENOSPC' }) }
      const disk = { ...realDisk, write, writev: write }
      const file = withInternals({ disk }, () => new RotatingFile(${JSON.stringify(options)}))
      for (let i = 0; i < 100; i++) file.write(i + '\\n')
      process.on('exit', () => file.write('late\\n'))`
    const { code, stderr } = await runScript(script)
    expect(code).toBe(0)
    const told = stderr.split('\n').filter((line) => line.includes('in its lane'))
    expect(told).toHaveLength(1)
    expect(told[0]).toMatch(/was left at the exit of the process with 100 records \(290 bytes\) in its lane/)
    expect(stderr).not.toContain('ERR_LOST')
    const next = new RotatingFile(options)
    await next.close()
    expect(readLog().split('\n').slice(0, -1)).toEqual([
      ...Array.from({ length: 100 }, (_, i) => String(i)),
      'late'
    ])
    expect(readdirSync(dir)).toEqual([])
  })

  test('many sinks of a thread have lanes in one folder, each its own', async () => {
    const files = Array.from(
      { length: 20 },
      (_, i) => new RotatingFile({ path: join(logs, `${i}.log`), lane: { dir, maxBytes: '64k' } })
    )
    for (let i = 0; i < 200; i++) files[i % 20].write(`${i}\n`)
    expect(rings()).toHaveLength(20)
    expect(readdirSync(dir)).toHaveLength(21)
    await Promise.all(files.map((file) => file.close()))
    for (const [i, file] of files.entries()) {
      expect(file.stats()).toMatchObject({ records: 10, dropped: 0 })
      expect(readFileSync(join(logs, `${i}.log`), 'utf8').split('\n')[0]).toBe(String(i))
    }
    expect(readdirSync(dir)).toEqual([])
  })

  test('a folder of its own beside the log is made, private', async () => {
    const beside = join(logs, '.lanes')
    const file = new RotatingFile({ path, lane: { dir: beside } })
    file.write('one\n')
    expect(
      readdirSync(beside)
        .map((name) => basename(name).split('.').at(-1))
        .toSorted()
    ).toEqual(['owner', 'ring'])
    await file.close()
    expect(readdirSync(beside)).toEqual([])
  })
})
