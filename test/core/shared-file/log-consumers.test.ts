// What consumers of a log have not got is kept within bounds, by each kind of file that has backups.
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { DirectFile } from '../../../src/core/direct-file/direct-file.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import type { WarningEvent } from '../../../src/core/sink/contract.ts'
import { consumerFileBytes, consumerFileName } from '../../../src/formats/log-consumer.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { PositionFile } from '../../../src/ship/position-file.ts'
import { createFolder } from '../../helpers/folder.ts'
import { canMount, fill, mountTmpfs } from '../../helpers/mount.ts'
import { until } from '../../helpers/until.ts'

interface Bounds {
  maxBackups?: number
  maxRetainedBytes?: number
  maxRetainedAge?: number
}

interface Log {
  readonly path: string
  readonly warnings: WarningEvent[]
  /** Writes a record of `bytes` to a file of its own. */
  rotate(bytes?: number): Promise<void>
  backups(): string[]
}

const kinds = {
  'rotating-file': (path: string, bounds: Bounds) => {
    const file = new RotatingFile({ path, maxBytes: 0, fallback: false, ...bounds })
    return { file, write: (data: Buffer) => file.writeLine(data.toString()) }
  },
  'binary-file': (path: string, bounds: Bounds) => {
    const file = new BinaryFile({ path, maxBytes: '10m', fallback: false, ...bounds })
    return { file, write: (data: Buffer) => file.write(data) }
  },
  'direct-file': (path: string, bounds: Bounds) => {
    const file = new DirectFile({ path, bufferSize: '64k', numShards: 1, fallback: false, ...bounds })
    return { file, write: (data: Buffer) => file.logBytes(data) }
  }
}

function createLog(kind: keyof typeof kinds, bounds: Bounds, folder = createFolder()): Log {
  const path = join(folder, 'app.log')
  const { file, write } = kinds[kind](path, { maxBackups: 1, ...bounds })
  onTestFinished(() => file.close().catch(() => {}))
  const warnings: WarningEvent[] = []
  file.on('warning', (event: WarningEvent) => warnings.push(event))
  return {
    path,
    warnings,
    async rotate(bytes = 100) {
      write(Buffer.alloc(bytes, 'x'))
      await file.flush()
      await file.rotate()
    },
    backups: () =>
      readdirSync(folder)
        .filter((name) => name.startsWith('app.') && name !== 'app.log')
        .sort()
  }
}

function openConsumer(path: string, name = 'ship-test'): PositionFile {
  const position = PositionFile.open(realDisk, path, name)
  onTestFinished(() => position.close())
  return position
}

function at(file: string, updatedAtMs = Date.now()) {
  const zeros = { records: 0, bytes: 0, rejected: 0, retries: 0, lagRecords: 0, lagBytes: 0, lagMs: 0 }
  const who = { pid: process.pid, startedAtMs: 0, target: 'test', state: 'open' as const, lastError: '' }
  return { ...who, ...zeros, file, updatedAtMs }
}

describe.skipIf(!native.canLock).each(Object.keys(kinds) as (keyof typeof kinds)[])('%s', (kind) => {
  test('what a consumer has not got is kept beyond the limits, and goes when it has got it', async () => {
    const log = createLog(kind, {})
    const consumer = openConsumer(log.path)
    consumer.write(at(''))
    for (let i = 0; i < 4; i++) await log.rotate()
    expect(log.backups()).toHaveLength(4)
    // Upkeep has run when the next rotation is dealt with, so nothing is on its way to be removed.
    consumer.write(at(`=${log.backups()[2]}`))
    await log.rotate()
    await until(() => log.backups().length === 3)
    const [, , newest] = log.backups()
    consumer.write(at(`>${newest}`))
    await log.rotate()
    await until(() => log.backups().length === 1)
    expect(log.warnings).toEqual([])
    expect(consumer.lost()).toEqual({ backups: 0, bytes: 0, last: '' })
  })

  test('of several consumers the slowest counts; the backup that one stands behind may be gone', async () => {
    const log = createLog(kind, {})
    const [fast, slow] = [openConsumer(log.path, 'fast'), openConsumer(log.path, 'slow')]
    fast.write(at(''))
    slow.write(at(''))
    for (let i = 0; i < 3; i++) await log.rotate()
    const [first, second, third] = log.backups()
    fast.write(at(`=${third}`))
    slow.write(at(`>${first}`))
    await log.rotate()
    await until(() => !log.backups().includes(first))
    await log.rotate()
    expect(log.backups()[0]).toBe(second)
    slow.write(at(`=${third}`))
    await log.rotate()
    await until(() => log.backups()[0] === third)
  })

  test('beyond maxRetainedBytes the oldest go, which the log tells and the consumer finds noted', async () => {
    const log = createLog(kind, { maxRetainedBytes: 25_000 })
    const consumer = openConsumer(log.path)
    consumer.write(at(''))
    for (let i = 0; i < 5; i++) await log.rotate(10_000)
    await until(() => consumer.lost().backups === 3)
    expect(log.backups()).toHaveLength(2)
    const { bytes, last } = consumer.lost()
    expect(bytes).toBeGreaterThanOrEqual(30_000)
    expect(last < log.backups()[0]).toBe(true)
    await until(() => log.warnings.length > 0)
    expect(log.warnings[0]).toMatchObject({ code: 'ERR_RETENTION' })
    expect(log.warnings[0].message).toMatch(
      /^.*app.log: \d backups \(\d+ bytes\) were removed before ship-test had got/
    )
  })

  test('a consumer that has not been running for longer than maxRetainedAge holds nothing', async () => {
    const log = createLog(kind, { maxRetainedAge: 3_600_000 })
    const dead = PositionFile.open(realDisk, log.path, 'dead')
    dead.write(at('', Date.now() - 1_800_000))
    dead.close()
    for (let i = 0; i < 3; i++) await log.rotate()
    expect(log.backups()).toHaveLength(3)
    const again = PositionFile.open(realDisk, log.path, 'dead')
    // A clock that was wrong says nothing against one that is running.
    again.write(at('', 0))
    await log.rotate()
    expect(log.backups()).toHaveLength(4)
    again.close()
    await log.rotate()
    await until(() => log.backups().length === 1)
    expect(log.warnings).toEqual([])
  })

  test('what lies at the names of consumers and is none holds nothing and is in nobody`s way', async () => {
    const log = createLog(kind, {})
    const place = (name: string) => join(dirname(log.path), consumerFileName(basename(log.path), name))
    writeFileSync(place('text'), 'no consumer')
    writeFileSync(place('long'), Buffer.alloc(100_000))
    writeFileSync(place('zeros'), Buffer.alloc(8192))
    mkdirSync(place('folder'))
    symlinkSync('/etc/passwd', place('link'))
    symlinkSync('/nowhere', place('nothing'))
    for (let i = 0; i < 3; i++) await log.rotate()
    await until(() => log.backups().length === 1)
    expect(log.warnings.filter(({ code }) => code !== 'ERR_IO')).toEqual([])
    expect(statSync(place('text')).size).toBe(11)
  })

  test.skipIf(!canMount)(
    'on a full disk what only consumers keep makes room for what is logged',
    async () => {
      const folder = mountTmpfs('4m')
      const log = createLog(kind, {}, folder)
      const consumer = openConsumer(log.path)
      consumer.write(at(''))
      for (let i = 0; i < 4; i++) await log.rotate(500_000)
      expect(log.backups()).toHaveLength(4)
      fill(folder)
      const rotating = log.rotate(200_000)
      await until(() => log.backups().length < 4, { timeoutMs: 20_000 })
      await rotating
      expect(consumer.lost().backups).toBeGreaterThan(0)
      // It can note where it is, too.
      consumer.write(at('>'))
    }
  )
})

describe.skipIf(!native.canLock)('the file of a consumer', () => {
  const foreign = 'somebody else needs this. '.repeat(10)

  test.each<[string, (file: string, victim: string) => void]>([
    ['a file of somebody else', (file, victim) => renameSync(victim, file)],
    ['another name of one', (file, victim) => linkSync(victim, file)],
    ['one of just its length', (file) => writeFileSync(file, foreign.padEnd(consumerFileBytes, '.'))]
  ])('that is %s is left alone', (_, plant) => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const victim = join(folder, 'victim')
    const file = join(folder, consumerFileName('app.log', 'x'))
    writeFileSync(victim, foreign)
    plant(file, victim)
    const before = readFileSync(file)
    expect(() => PositionFile.open(realDisk, path, 'x')).toThrow('ERR_NOT_FILE')
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  test.each([0, 5, 3000, consumerFileBytes])(
    'that was not finished (%i bytes of nothing) is made',
    (size) => {
      const path = join(createFolder(), 'app.log')
      writeFileSync(join(dirname(path), consumerFileName('app.log', 'x')), Buffer.alloc(size))
      const consumer = openConsumer(path, 'x')
      consumer.write(at(''))
      consumer.close()
      expect(statSync(join(dirname(path), consumerFileName('app.log', 'x'))).size).toBe(consumerFileBytes)
    }
  )
})
