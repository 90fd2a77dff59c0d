// The write-ahead log through its public methods and its files.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { encodeSnapshotFile } from '../../../src/formats/snapshot-file.ts'
import { segmentName } from '../../../src/formats/wal.ts'
import { WalEncoder } from '../../../src/formats/wal-encoder.ts'
import { native } from '../../../src/native/index.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { built, startProcess } from '../../helpers/script.ts'
import { readLog } from '../../helpers/wal-log.ts'

const FIRST = segmentName(0n, 0n)

function createOptions(
  overrides: Partial<WriteAheadLogOptions> & { walDir?: string } = {}
): WriteAheadLogOptions & { walDir: string } {
  return { walDir: join(createFolder(), 'wal'), segmentBytes: 65_536, fallback: false, ...overrides }
}

async function openLog(options: WriteAheadLogOptions): Promise<WriteAheadLog> {
  const log = await WriteAheadLog.open(options)
  onTestFinished(() => log.close().catch(() => {}))
  return log
}

async function collect(entries: AsyncIterable<{ index: bigint; data: Buffer }>): Promise<string[]> {
  const found: string[] = []
  for await (const { index, data } of entries) found.push(`${index} ${data}`)
  return found
}

function texts(walDir: string): string[] {
  return readLog(walDir).entries.map(({ index, text }) => `${index} ${text}`)
}

describe('log', () => {
  it('gives every record of every batch an index from 1 without gaps', async () => {
    const options = createOptions()
    const log = await openLog(options)
    expect(await log.log(['a', 'b'])).toEqual({ firstIndex: 1n, lastIndex: 2n })
    expect(log.logSync([Buffer.from('c')])).toEqual({ firstIndex: 3n, lastIndex: 3n })
    const [first, second] = await Promise.all([log.log(['d']), log.log(['', 'f'])])
    expect([first, second]).toEqual([
      { firstIndex: 4n, lastIndex: 4n },
      { firstIndex: 5n, lastIndex: 6n }
    ])
    expect(texts(options.walDir)).toEqual(['1 a', '2 b', '3 c', '4 d', '5 ', '6 f'])
    expect(log.durableIndex).toBe(6n)
  })

  it('shares one sync among callers that arrive together', async () => {
    const log = await openLog(createOptions())
    const { syncs } = log.stats()
    await Promise.all(Array.from({ length: 64 }, (_, i) => log.log([`${i}`])))
    expect(log.stats().syncs - syncs).toBeLessThanOrEqual(2)
  })

  it('does not resolve before the records are on disk', async () => {
    const faulty = createFaultyDisk()
    const order: string[] = []
    const log = await withInternals({ disk: faulty.disk }, () => WriteAheadLog.open(createOptions()))
    faulty.fault = (operation) => {
      if (operation === 'write' || operation === 'fdatasyncAsync') order.push(operation)
      return undefined
    }
    await log.log(['x'])
    order.push('resolved')
    expect(order.slice(-2)).toEqual(['fdatasyncAsync', 'resolved'])
    await log.close()
  })

  it('with syncInterval resolves when the kernel has the records, and syncs within that time', async () => {
    const options = createOptions({ syncInterval: 30 })
    const log = await openLog(options)
    const { syncs } = log.stats()
    await log.log(['x'])
    expect(log.stats().syncs).toBe(syncs)
    expect(texts(options.walDir)).toEqual(['1 x'])
    await expect.poll(() => log.durableIndex).toBe(1n)
    await log.log(['y'])
    await log.flush('disk')
    expect(log.durableIndex).toBe(2n)
  })

  it('takes an empty batch as nothing, and refuses a closed log and an index past 2^64 - 1', async () => {
    const options = createOptions()
    const last = 2n ** 64n - 1n
    mkdirSync(options.walDir)
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(undefined)
    encoder.writeSnapshot({ index: last - 2n, term: 1n })
    writeFileSync(join(options.walDir, segmentName(7n, last - 1n)), encoder.bytes)
    const log = await openLog(options)
    expect(await log.log([])).toEqual({ firstIndex: last - 1n, lastIndex: last - 2n })
    await expect(log.log(['a', 'b', 'c'])).rejects.toThrow(/ERR_INDEX_OVERFLOW/)
    expect(await log.log(['a', 'b'])).toEqual({ firstIndex: last - 1n, lastIndex: last })
    await expect(log.log(['c'])).rejects.toThrow(/ERR_INDEX_OVERFLOW/)
    expect(() => log.logSync(['c'])).toThrow(/ERR_INDEX_OVERFLOW/)
    await log.close()
    await expect(log.log(['c'])).rejects.toThrow(/ERR_CLOSED/)
    expect(() => log.logSync(['c'])).toThrow(/ERR_CLOSED/)
    expect(texts(options.walDir)).toEqual([`${last - 1n} a`, `${last} b`])
  })

  it('keeps its bound: drop-newest rejects with ERR_OVERFLOW and counts', async () => {
    const log = await openLog(createOptions({ maxBufferBytes: 1000, overflow: 'drop-newest' }))
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => log.log(['x'.repeat(100)])))
    const refused = results.filter(({ status }) => status === 'rejected')
    expect(refused.length).toBe(20)
    expect(String((refused[0] as PromiseRejectedResult).reason)).toContain('ERR_OVERFLOW')
    expect(log.stats()).toMatchObject({ dropped: 20, records: 10 })
  })
})

it('a log that was never started can be closed', async () => {
  const options = createOptions()
  await new WriteAheadLog(options).close()
  expect(existsSync(options.walDir)).toBe(false)
})

describe('files', () => {
  it('begins with exactly the bytes of etcd, in a folder and files of its permissions', async () => {
    const options = createOptions({ metadata: 'somedata', segmentBytes: undefined })
    const log = await openLog(options)
    expect(statSync(options.walDir).mode & 0o777).toBe(0o700)
    expect(statSync(join(options.walDir, FIRST)).mode & 0o777).toBe(0o600)
    if (native.backend === 'addon') expect(statSync(join(options.walDir, FIRST)).size).toBe(64_000_000)
    await log.close()
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(Buffer.from('somedata'))
    encoder.writeSnapshot({ index: 0n, term: 0n })
    expect(readFileSync(join(options.walDir, FIRST))).toEqual(Buffer.from(encoder.bytes))
    expect(existsSync(`${options.walDir}.tmp`)).toBe(false)
  })

  it('cuts a segment after the write that reaches segmentBytes, to its exact length', async () => {
    const options = createOptions({ segmentBytes: 8192 })
    const log = await openLog(options)
    const rotated: string[] = []
    log.on('rotated', ({ to }) => rotated.push(to))
    for (let i = 1; i <= 40; i++) await log.log([`${i} ${'x'.repeat(600)}`])
    await log.close()
    const names = readdirSync(options.walDir).filter((name) => name.endsWith('.wal'))
    expect(names.length).toBeGreaterThan(3)
    expect(names.length).toBe(rotated.length + 1)
    for (const name of names.slice(0, -1)) {
      const { size } = statSync(join(options.walDir, name))
      expect(size).toBeGreaterThanOrEqual(8192)
      expect(size).toBeLessThan(8192 + 700)
    }
    expect(readLog(options.walDir).entries.length).toBe(40)
    expect(readdirSync(options.walDir).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('goes on where it ended, with the metadata it has; other metadata is refused', async () => {
    const options = createOptions({ metadata: 'mine' })
    await (await openLog(options)).close()
    const log = await openLog({ ...options, metadata: undefined })
    await log.log(['a'])
    await log.close()
    const again = await openLog(options)
    expect(await again.log(['b'])).toEqual({ firstIndex: 2n, lastIndex: 2n })
    await again.close()
    await expect(WriteAheadLog.open({ ...options, metadata: 'other' })).rejects.toThrow(/ERR_OPTION/)
    expect(Buffer.from(readLog(options.walDir).replay.metadata!).toString()).toBe('mine')
  })

  it('per process: a sub-folder of its own', async () => {
    const options = createOptions({ instance: 'per-process' })
    const log = await openLog(options)
    await log.log(['x'])
    const own = `${hostname()}-${process.pid}`
    expect(readdirSync(options.walDir).filter((name) => !name.startsWith('.'))).toEqual([own])
    expect(texts(join(options.walDir, own))).toEqual(['1 x'])
  })

  it('takes lines as a stream: one record per line, without its end', async () => {
    const options = createOptions()
    const log = await openLog(options)
    log.write('one\ntw')
    log.write('o\n')
    await log.flush()
    expect(log.commit('three\n')).toBe(true)
    expect(log.durableIndex).toBe(3n)
    expect(texts(options.walDir)).toEqual(['1 one', '2 two', '3 three'])
  })
})

describe('recovery', () => {
  it('cuts off a torn last batch as a whole and keeps the damaged file', async () => {
    const options = createOptions()
    const log = await openLog(options)
    await log.log(['a', 'b'])
    const path = join(options.walDir, FIRST)
    await log.log(['c', 'd'.repeat(2000), 'e'])
    await log.close()
    const whole = readFileSync(path)
    truncateSync(path, whole.length - 100)
    const again = new WriteAheadLog(options)
    const repaired: unknown[] = []
    again.on('repaired', (event) => repaired.push(event))
    await again.start()
    expect(again.lastIndex).toBe(2n)
    expect(await again.log(['new'])).toEqual({ firstIndex: 3n, lastIndex: 3n })
    await again.close()
    expect(repaired).toEqual([{ path, bytes: expect.any(Number) }])
    expect(again.stats().repairs).toBe(1)
    expect(readFileSync(`${path}.broken`)).toEqual(whole.subarray(0, whole.length - 100))
    expect(texts(options.walDir)).toEqual(['1 a', '2 b', '3 new'])
  })

  it('discards complete entries of a batch whose commit mark is missing', async () => {
    const options = createOptions()
    const log = await openLog(options)
    await log.log(['a'])
    await log.log(['b', 'c'])
    await log.close()
    const path = join(options.walDir, FIRST)
    truncateSync(path, statSync(path).size - 24)
    const again = await openLog(options)
    expect(again.lastIndex).toBe(1n)
    await again.log(['d'])
    expect(texts(options.walDir)).toEqual(['1 a', '2 d'])
  })

  it('reports corruption before the end with file and offset, and changes nothing', async () => {
    const options = createOptions({ segmentBytes: 4096 })
    const log = await openLog(options)
    for (let i = 0; i < 20; i++) await log.log([`${i}`.repeat(300)])
    await log.close()
    const names = readdirSync(options.walDir).filter((name) => name.endsWith('.wal'))
    const path = join(options.walDir, names[1])
    const bytes = readFileSync(path)
    bytes[1000] ^= 1
    writeFileSync(path, bytes)
    await expect(WriteAheadLog.open(options)).rejects.toThrow(/ERR_CORRUPT/)
    const damaged = new WriteAheadLog(options)
    await expect(damaged.start()).rejects.toThrow(path)
    expect(readFileSync(path)).toEqual(bytes)
    const report = await damaged.verify()
    expect(report).toMatchObject({ ok: false, damage: [{ kind: 'corrupt', file: names[1] }] })
    expect(report.damage[0].offset).toBeLessThan(1000)

    const repaired = await damaged.repair()
    expect(repaired.map((segment) => segment.path)).toEqual(
      names.slice(1).map((name) => join(options.walDir, name))
    )
    expect(readFileSync(`${path}.broken`)).toEqual(bytes)
    await damaged.start()
    expect(damaged.lastIndex).toBeGreaterThan(0n)
    await damaged.log(['after'])
    expect(await damaged.verify()).toMatchObject({ ok: true })
    await damaged.close()
  })

  it.each(['shortened', 'removed'])('a %s middle segment is an error, never silence', async (kind) => {
    const options = createOptions({ segmentBytes: 4096 })
    const log = await openLog(options)
    for (let i = 0; i < 20; i++) await log.log([`${i}`.repeat(300)])
    await log.close()
    const names = readdirSync(options.walDir).filter((name) => name.endsWith('.wal'))
    const path = join(options.walDir, names[1])
    if (kind === 'removed') unlinkSync(path)
    else truncateSync(path, statSync(path).size - 700)
    await expect(WriteAheadLog.open(options)).rejects.toThrow(/ERR_CORRUPT/)
    expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: false })
  })

  it('does not append to a log that another program wrote', async () => {
    const options = createOptions()
    mkdirSync(options.walDir)
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(undefined)
    encoder.writeSnapshot({ index: 0n, term: 0n })
    for (const index of [1n, 2n]) encoder.writeEntry(index, 3n, 'raft')
    const path = join(options.walDir, FIRST)
    writeFileSync(path, encoder.bytes)
    await expect(WriteAheadLog.open(options)).rejects.toThrow(/ERR_FORMAT/)
    expect(readFileSync(path)).toEqual(Buffer.from(encoder.bytes))
  })
})

describe('snapshots', () => {
  it('hand out entries until they are released, and free the segments before', async () => {
    const options = createOptions({ segmentBytes: 4096 })
    const log = await openLog(options)
    expect(await log.createSnapshot()).toBeUndefined()
    for (let i = 1; i <= 20; i++) await log.log([`${i} ${'x'.repeat(400)}`])
    const first = (await log.createSnapshot())!
    expect(first).toMatchObject({ prevIndex: 0n, currentIndex: 20n })
    expect((await collect(first.entries)).length).toBe(20)
    await first.release(false)
    const second = (await log.createSnapshot())!
    expect(second).toMatchObject({ prevIndex: 0n, currentIndex: 20n })
    expect(await collect(second.entries)).toEqual(await collect(first.entries))
    const before = readdirSync(options.walDir).length
    await second.release()
    await second.release()
    expect(readdirSync(options.walDir).length).toBeLessThan(before)
    expect(await log.createSnapshot()).toBeUndefined()
    const snapshot = join(options.walDir, '../snap/0000000000000001-0000000000000014.snap')
    expect(readFileSync(snapshot)).toEqual(Buffer.from(encodeSnapshotFile({ index: 20n, term: 1n })))
    await log.log(['21'])
    expect(await collect((await log.createSnapshot())!.entries)).toEqual(['21 21'])
    await expect(collect(log.read(1n))).rejects.toThrow(/ERR_NOT_FOUND/)
  })

  it('are remembered across restarts, and only if the log says so, too', async () => {
    const options = createOptions()
    const log = await openLog(options)
    await log.log(['a', 'b'])
    await (await log.createSnapshot())!.release()
    await log.log(['c'])
    await log.close()
    // As a crash between the file and the record leaves it.
    writeFileSync(
      join(options.walDir, '../snap/0000000000000001-0000000000000003.snap'),
      encodeSnapshotFile({ index: 3n, term: 1n })
    )
    const again = await openLog(options)
    expect(again.snapshotIndex).toBe(2n)
    const snapshot = (await again.createSnapshot())!
    expect(await collect(snapshot.entries)).toEqual(['3 c'])
    await snapshot.release()
    expect(again.snapshotIndex).toBe(3n)
  })

  it('are taken one at a time: a second call waits for the release of the first', async () => {
    const log = await openLog(createOptions())
    await log.log(['a'])
    const first = (await log.createSnapshot())!
    let second: unknown = 'waiting'
    const waiting = log.createSnapshot().then((snapshot) => {
      second = snapshot
    })
    await log.log(['b'])
    expect(second).toBe('waiting')
    await first.release()
    await waiting
    expect(second).toMatchObject({ prevIndex: 1n, currentIndex: 2n })
  })

  it('that are out or waited for when the log is closed reject with ERR_CLOSED, and nothing is released', async () => {
    const options = createOptions()
    const log = await openLog(options)
    await log.log(['a'])
    const snapshot = (await log.createSnapshot())!
    const waiting = log.createSnapshot()
    await Promise.all([log.close(), expect(waiting).rejects.toThrow(/ERR_CLOSED/)])
    await expect(snapshot.release()).rejects.toThrow(/ERR_CLOSED/)
    const again = await openLog(options)
    expect(again.snapshotIndex).toBe(0n)
  })

  it('keep segments that a reader is in, and keepSegments more', async () => {
    const options = createOptions({ segmentBytes: 4096, keepSegments: 2 })
    const log = await openLog(options)
    for (let i = 1; i <= 40; i++) await log.log([`${i} ${'x'.repeat(400)}`])
    const reader = log.read()
    expect((await reader.next()).value).toMatchObject({ index: 1n })
    const names = () => readdirSync(options.walDir).filter((name) => name.endsWith('.wal'))
    const all = names()
    await (await log.createSnapshot())!.release()
    expect(names()).toEqual(all)
    expect((await collect(reader)).length).toBe(39)
    await log.log(['41'])
    await (await log.createSnapshot())!.release()
    expect(names().length).toBe(3)
  })
})

describe('locking', () => {
  it('a second log on the folder gets ERR_LOCKED with the owner’s process id; a dead owner blocks nobody', async () => {
    const options = createOptions()
    const code = `import { WriteAheadLog } from ${built('core/wal/write-ahead-log.js')}
      const log = await WriteAheadLog.open(${JSON.stringify(options)})
      await log.log(['from the child'])
      console.log('ready')
      setInterval(() => {}, 1000)`
    const child = await startProcess(code)
    await expect(WriteAheadLog.open(options)).rejects.toThrow(new RegExp(`process ${child.pid} .*ERR_LOCKED`))
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('exit', resolve))
    const log = await openLog(options)
    expect(log.lastIndex).toBe(1n)
    await expect(WriteAheadLog.open(options)).rejects.toThrow(
      new RegExp(`process ${process.pid} .*ERR_LOCKED`)
    )
    await log.close()
    await (await openLog(options)).close()
  })
})

describe('failure', () => {
  it('of a sync: the segment is sealed, the records go to a new one, and promises resolve', async () => {
    const faulty = createFaultyDisk()
    const options = createOptions()
    const log = await withInternals({ disk: faulty.disk }, () => WriteAheadLog.open(options))
    await log.log(['a'])
    let failed = false
    faulty.fault = (operation) => {
      if (operation !== 'fdatasyncAsync' || failed) return undefined
      failed = true
      return 'EIO'
    }
    const ranges = await Promise.all([log.log(['b', 'c']), log.log(['d'])])
    expect(ranges).toEqual([
      { firstIndex: 2n, lastIndex: 3n },
      { firstIndex: 4n, lastIndex: 4n }
    ])
    expect(log.stats()).toMatchObject({ rotations: 1, errors: 1, state: 'open' })
    await log.close()
    expect(texts(options.walDir)).toEqual(['1 a', '2 b', '3 c', '4 d'])
    expect(readdirSync(options.walDir).filter((name) => name.endsWith('.wal'))).toEqual([
      FIRST,
      segmentName(1n, 2n)
    ])
  })

  it('of every attempt: promises reject with ERR_WAL_FAILED, and the dump holds what was not acknowledged', async () => {
    const faulty = createFaultyDisk()
    const folder = createFolder()
    const dumpOnFailure = join(folder, 'dump/rest.wal')
    const options = createOptions({ dumpOnFailure, walDir: join(folder, 'wal'), metadata: 'm' })
    const patience = { passingMs: 100, failingMs: 100 }
    const log = await withInternals({ disk: faulty.disk, patience }, () => WriteAheadLog.open(options))
    await log.log(['a'])
    let dumping = false
    faulty.fault = (operation, _call, args) => {
      if (operation === 'open' && String(args[0]).includes('rest.wal')) dumping = true
      return /sync/i.test(operation) && !dumping ? 'EIO' : undefined
    }
    const results = await Promise.allSettled([log.log(['b', 'c']), log.log(['d'])])
    for (const result of results) {
      expect(result.status).toBe('rejected')
      expect(String((result as PromiseRejectedResult).reason)).toContain('ERR_WAL_FAILED')
    }
    expect(log.stats().state).toBe('failed')
    await expect(log.log(['e'])).rejects.toThrow(/ERR_WAL_FAILED/)
    expect(() => log.logSync(['e'])).toThrow(/ERR_WAL_FAILED/)
    log.write('line\n')
    await expect(log.flush()).rejects.toThrow(/ERR_WAL_FAILED/)
    await expect(log.close()).rejects.toThrow(/ERR_WAL_FAILED|ERR_LOST/)
    expect(texts(options.walDir)).toEqual(['1 a'])
    const dumped = join(folder, 'dumped')
    mkdirSync(dumped)
    writeFileSync(join(dumped, segmentName(0n, 2n)), readFileSync(dumpOnFailure))
    expect(texts(dumped)).toEqual(['2 b', '3 c', '4 d'])
    const again = await openLog(options)
    expect(await again.log(['b'])).toEqual({ firstIndex: 2n, lastIndex: 2n })
  })

  it('that passes: promises wait, the log is degraded once and recovered once', async () => {
    const faulty = createFaultyDisk()
    const options = createOptions()
    const log = await withInternals({ disk: faulty.disk }, () => WriteAheadLog.open(options))
    const events: string[] = []
    for (const name of ['degraded', 'recovered'] as const) log.on(name, () => events.push(name))
    faulty.fault = (operation) => (operation.startsWith('write') ? 'ENOSPC' : undefined)
    const waiting = log.log(['a'])
    await expect.poll(() => log.stats().state).toBe('degraded')
    faulty.fault = () => undefined
    const start = Date.now()
    expect(await waiting).toEqual({ firstIndex: 1n, lastIndex: 1n })
    expect(Date.now() - start).toBeLessThan(1_000)
    await log.close()
    await expect.poll(() => events).toEqual(['degraded', 'recovered'])
    expect(texts(options.walDir)).toEqual(['1 a'])
  })

  it('of logSync takes its records back: what it could not write is not in the log', async () => {
    const faulty = createFaultyDisk()
    const options = createOptions()
    const log = await withInternals({ disk: faulty.disk }, () => WriteAheadLog.open(options))
    log.logSync(['a'])
    const syncs = ['writeSynced', 'fdatasync', 'fsync']
    faulty.fault = (operation) => (syncs.includes(operation) ? 'ENOSPC' : undefined)
    expect(() => log.logSync(['b'])).toThrow(/ERR_IO/)
    faulty.fault = () => undefined
    expect(log.logSync(['c'])).toEqual({ firstIndex: 2n, lastIndex: 2n })
    await log.close()
    expect(texts(options.walDir)).toEqual(['1 a', '2 c'])
  })
})
