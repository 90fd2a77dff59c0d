// Named consumers: each takes every entry in order from where it has acknowledged, in this process and in others, and the
// log keeps what the slowest of them needs.
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { WalConsumer } from '../../../src/core/wal/wal-consumer.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { native } from '../../../src/native/index.ts'
import { runCli } from '../../helpers/cli.ts'
import { createFolder } from '../../helpers/folder.ts'
import { canMount, mountTmpfs } from '../../helpers/mount.ts'
import { startProcess } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'
import { segmentsOf } from '../../helpers/wal-damage.ts'

const segmentBytes = 4096

async function openLog(options: Partial<WriteAheadLogOptions> = {}) {
  const walDir = String(options.walDir ?? join(createFolder(), 'wal'))
  const log = await WriteAheadLog.open({
    segmentBytes,
    fallback: false,
    ...options,
    walDir
  } as WriteAheadLogOptions)
  onTestFinished(() => log.close().catch(() => {}))
  const warnings: string[] = []
  log.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`))
  return { log, walDir, warnings }
}

async function fill(log: WriteAheadLog, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await log.log([`${log.lastIndex + 1n} ${'x'.repeat(300)}`])
}

async function elsewhere(walDir: string, name: string, options = {}): Promise<WalConsumer> {
  const consumer = await WalConsumer.open(walDir, name, options)
  onTestFinished(() => consumer.close())
  return consumer
}

/** Index of the first entry of the oldest segment. */
const oldestOf = (walDir: string) => Number.parseInt(segmentsOf(walDir)[0].slice(-20, -4), 16)
const indexes = (entries: readonly { index: bigint }[]) => entries.map(({ index }) => Number(index))
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

async function takeAll(consumer: WalConsumer): Promise<number[]> {
  const found: number[] = []
  for (let entries = await consumer.take(); entries.length > 0; entries = await consumer.take())
    found.push(...indexes(entries))
  return found
}

/** In this process, and as any other process opens it. */
const ways: Record<string, (log: WriteAheadLog, walDir: string, name: string) => Promise<WalConsumer>> = {
  'in the process of the log': (log, _, name) => log.consumer(name),
  ...(native.canLock && { 'in another process': (_, walDir, name) => elsewhere(walDir, name) })
}

describe.each(Object.keys(ways))('%s', (way) => {
  const open = ways[way]

  test('a consumer takes bounded pieces in order, and begins behind what it acknowledged', async () => {
    const { log, walDir } = await openLog()
    await fill(log, 50)
    const first = await open(log, walDir, 'a')
    expect(indexes(await first.take({ maxEntries: 7 }))).toEqual(upTo(1, 7))
    const entries = await first.take({ maxBytes: 1000 })
    expect(indexes(entries)).toEqual([8, 9, 10])
    expect(String(entries[0].data)).toBe(`8 ${'x'.repeat(300)}`)
    expect(indexes(await first.take({ maxBytes: 1 }))).toEqual([11])
    await first.ack(5n)
    expect([first.ackedIndex, first.takenIndex]).toEqual([5n, 11n])
    await first.rewind()
    expect(indexes(await first.take({ maxEntries: 3 }))).toEqual([6, 7, 8])
    await first.close()
    const second = await open(log, walDir, 'a')
    expect(await takeAll(second)).toEqual(upTo(6, 50))
    await second.ack(50n)
    expect(await second.take()).toEqual([])
    await fill(log, 2)
    expect(await takeAll(second)).toEqual([51, 52])
    await second.close()
    const third = await open(log, walDir, 'a')
    expect(await takeAll(third)).toEqual([51, 52])
  })

  test('what was logged before take is called is taken, every time', async () => {
    const { log, walDir } = await openLog()
    await fill(log, 1)
    const consumer = await open(log, walDir, 'a')
    for (let i = 1; i <= 15; i++) {
      expect(indexes(await consumer.take())).toEqual([i])
      await fill(log, 1)
    }
  })

  test('follow waits for entries, through new segments, until its signal or close ends it', async () => {
    const { log, walDir } = await openLog()
    await fill(log, 3)
    const consumer = await open(log, walDir, 'a')
    const stop = new AbortController()
    const found: number[] = []
    const following = (async () => {
      for await (const entries of consumer.follow({ signal: stop.signal, maxEntries: 10 })) {
        found.push(...indexes(entries))
        await consumer.ack(entries[entries.length - 1].index)
      }
    })()
    await until(() => found.length === 3)
    await fill(log, 60)
    await until(() => found.length === 63)
    stop.abort()
    await following
    expect(found).toEqual(upTo(1, 63))
    const again = (async () => {
      for await (const entries of consumer.follow()) found.push(...indexes(entries))
    })()
    await fill(log, 1)
    await until(() => found.length === 64)
    await consumer.close()
    await again
    await expect(consumer.take()).rejects.toThrow(/ERR_CLOSED/)
  })

  test('one of a name lives at a time; bad names and indices are refused', async () => {
    const { log, walDir } = await openLog()
    await fill(log, 2)
    const consumer = await open(log, walDir, 'a')
    for (const other of Object.values(ways))
      await expect(other(log, walDir, 'a')).rejects.toThrow(/ERR_LOCKED/)
    for (const name of ['', '.a', 'a/b', '../a', 'a\0', 'x'.repeat(65), 'a.tmp'])
      await expect(open(log, walDir, name)).rejects.toThrow(/ERR_ARGUMENT/)
    await expect(consumer.ack(1n)).rejects.toThrow(/ERR_ARGUMENT/)
    await consumer.take({ maxEntries: 1 })
    await expect(consumer.ack(2n)).rejects.toThrow(/ERR_ARGUMENT/)
    await expect(consumer.ack(1 as unknown as bigint)).rejects.toThrow(/ERR_ARGUMENT/)
    await expect(consumer.take({ maxEntries: 0 })).rejects.toThrow(/ERR_OPTION/)
    await consumer.ack(1n)
    await consumer.close()
    await (await open(log, walDir, 'a')).close()
  })

  test('segments stay until the slowest consumer has acknowledged them', async () => {
    const { log, walDir } = await openLog()
    const [slow, fast] = [await open(log, walDir, 'slow'), await open(log, walDir, 'fast')]
    await fill(log, 60)
    const count = segmentsOf(walDir).length
    await takeAll(fast)
    await fast.ack(60n)
    await fill(log, 12)
    expect(segmentsOf(walDir).length).toBeGreaterThan(count)
    await slow.take({ maxEntries: 40 })
    await slow.ack(40n)
    // One of another process is looked at when a segment is finished.
    for (let turn = 0; turn < 3; turn++) await fill(log, 12)
    await until(() => oldestOf(walDir) > 20)
    expect(oldestOf(walDir)).toBeLessThanOrEqual(41)
    await slow.rewind()
    expect((await takeAll(slow))[0]).toBe(41)
    await slow.close()
    await log.close()
    const again = await openLog({ walDir })
    expect(again.log.snapshotIndex).toBeLessThanOrEqual(40n)
    expect(indexes(await (await open(again.log, walDir, 'slow')).take({ maxEntries: 1 }))).toEqual([41])
  })

  test('beyond its bound the log drops what a consumer still needs, tells, and the consumer is told how much', async () => {
    const { log, walDir, warnings } = await openLog({ maxRetainedBytes: 4 * segmentBytes })
    const consumer = await open(log, walDir, 'late')
    await fill(log, 10)
    await consumer.take({ maxEntries: 5 })
    await consumer.ack(5n)
    await consumer.close()
    await fill(log, 100)
    await until(() => warnings.some((text) => /^ERR_RETENTION .*late \(at 5\)/.test(text)))
    const again = await open(log, walDir, 'late')
    const error = await again.take().catch((thrown) => thrown)
    expect(error.code).toBe('ERR_CURSOR_LOST')
    const oldest = log.snapshotIndex + 1n
    expect(error.message).toContain(`${oldest - 6n} that were not read are gone`)
    expect(await again.skipLost()).toBe(oldest - 6n)
    expect(await takeAll(again)).toEqual(upTo(Number(oldest), 110))
  })

  test('a log that was put back to an older state is noticed by a consumer that was ahead', async () => {
    const { log, walDir } = await openLog()
    await fill(log, 3)
    await log.close()
    const backup = `${walDir}-backup`
    cpSync(walDir, backup, { recursive: true })
    const { log: later } = await openLog({ walDir })
    await fill(later, 4)
    const consumer = await open(later, walDir, 'a')
    await takeAll(consumer)
    await consumer.ack(7n)
    await consumer.close()
    await later.close()
    for (const path of segmentsOf(walDir)) rmSync(path)
    rmSync(join(walDir, '.lock'))
    for (const path of segmentsOf(backup)) cpSync(path, join(walDir, path.slice(backup.length + 1)))
    const restored = await openLog({ walDir })
    const ahead = await open(restored.log, walDir, 'a')
    await expect(ahead.take()).rejects.toThrow(/ERR_CURSOR_LOST/)
    for (let i = 0; i < 5; i++) await restored.log.log([`other ${i}`])
    await expect(ahead.take()).rejects.toThrow(/entry 7 is another one.*ERR_CURSOR_LOST/)
    expect(await ahead.skipLost()).toBe(0n)
    expect(await takeAll(ahead)).toEqual(upTo(1, 8))
  })
})

test('what snapshots have not released stays, whatever consumers have acknowledged, and the other way round', async () => {
  const { log, walDir } = await openLog()
  await fill(log, 60)
  await (await log.createSnapshot())?.release(false)
  const consumer = await log.consumer('a')
  await takeAll(consumer)
  await consumer.ack(60n)
  const count = segmentsOf(walDir).length
  await fill(log, 30)
  expect(log.snapshotIndex).toBe(0n)
  expect(segmentsOf(walDir).length).toBeGreaterThan(count)
  await log.close()
  // The next process does not know yet that snapshots will be taken.
  const again = await openLog({ walDir })
  await fill(again.log, 30)
  expect(again.log.snapshotIndex).toBe(0n)
  const snapshot = await again.log.createSnapshot()
  expect(snapshot?.currentIndex).toBe(120n)
  await snapshot?.release()
  const first = (await again.log.read().next()).value?.index ?? 0n
  expect(first).toBeGreaterThan(40n)
  expect(first).toBeLessThanOrEqual(61n)
})

test('a new consumer begins with the oldest entry there is, or with from: end behind the last one', async () => {
  const { log, walDir } = await openLog({ maxRetainedBytes: 4 * segmentBytes })
  await fill(log, 100)
  const oldest = Number(log.snapshotIndex) + 1
  expect(oldest).toBeGreaterThan(1)
  expect((await takeAll(await log.consumer('start')))[0]).toBe(oldest)
  const end = await log.consumer('end', { from: 'end' })
  expect(await end.take()).toEqual([])
  await fill(log, 1)
  expect(await takeAll(end)).toEqual([101])
  await expect(log.consumer('x', { from: 'middle' as 'end' })).rejects.toThrow(/ERR_OPTION/)
  await expect(WalConsumer.open(join(walDir, 'missing'), 'a')).rejects.toThrow(
    native.canLock ? /ERR_NOT_FOUND/ : /ERR_UNSUPPORTED/
  )
})

describe('the file of a consumer', () => {
  async function acked(...acks: bigint[]): Promise<{ log: WriteAheadLog; walDir: string; path: string }> {
    const { log, walDir } = await openLog()
    await fill(log, 5)
    const consumer = await log.consumer('a')
    await takeAll(consumer)
    for (const index of acks) await consumer.ack(index)
    await consumer.close()
    return { log, walDir, path: join(walDir, 'consumers', 'a') }
  }

  test('has a second slot for when one is cut or damaged: then entries come again', async () => {
    const { log, path } = await acked(1n, 2n, 3n)
    const bytes = readFileSync(path)
    expect(bytes.length).toBe(1024)
    const newest = bytes.readBigUInt64LE(8) > bytes.readBigUInt64LE(520) ? 0 : 512
    bytes[newest + 33] ^= 1
    writeFileSync(path, bytes)
    const consumer = await log.consumer('a')
    expect(consumer.ackedIndex).toBe(2n)
    expect(await takeAll(consumer)).toEqual([3, 4, 5])
  })

  test('that says nothing is an error, keeps everything, and is not written to', async () => {
    const { log, walDir, path } = await acked(5n)
    writeFileSync(path, Buffer.alloc(1024, 7))
    await expect(log.consumer('a')).rejects.toThrow(/ERR_CORRUPT/)
    expect(readFileSync(path).equals(Buffer.alloc(1024, 7))).toBe(true)
    const count = segmentsOf(walDir).length
    await fill(log, 50)
    expect(segmentsOf(walDir).length).toBeGreaterThan(count + 3)
  })

  test.each(['a file of somebody else', 'another name of one'])('that is %s is left alone', async (plant) => {
    const { log, walDir, path } = await acked(2n)
    const victim = join(walDir, '..', 'victim')
    writeFileSync(victim, 'somebody else needs this')
    rmSync(path)
    if (plant === 'another name of one') linkSync(victim, path)
    else renameSync(victim, path)
    await expect(log.consumer('a')).rejects.toThrow('ERR_NOT_FILE')
    expect(readFileSync(path, 'utf8')).toBe('somebody else needs this')
  })

  test('that is another name of the file of a consumer elsewhere is left alone', async () => {
    const { log, walDir, path } = await acked(2n)
    renameSync(path, join(walDir, '..', 'elsewhere'))
    linkSync(join(walDir, '..', 'elsewhere'), path)
    await expect(log.consumer('a')).rejects.toThrow('ERR_NOT_FILE')
  })

  test.each([0, 100, 1023])(
    'that was not finished when it was made (%i bytes) is made anew',
    async (size) => {
      const { log, path } = await acked()
      writeFileSync(path, Buffer.alloc(size))
      expect(await takeAll(await log.consumer('a'))).toEqual([1, 2, 3, 4, 5])
    }
  )

  test('is shown by info, with what it has not acknowledged', async () => {
    const { walDir } = await acked(3n)
    writeFileSync(join(walDir, 'consumers', '.other'), 'x')
    const { stdout } = await runCli(['info', walDir])
    expect(stdout).toMatch(/consumer a +at 3, 2 behind, acknowledged 20\d\d-/)
    expect(stdout).not.toContain('.other')
  })
})

test.skipIf(!canMount)('acknowledging works on a full disk', async () => {
  const folder = mountTmpfs('2m')
  const walDir = join(folder, 'wal')
  const { log } = await openLog({ walDir })
  await fill(log, 20)
  const consumer = await log.consumer('a')
  await takeAll(consumer)
  let full = false
  for (let i = 0; i < 10_000 && !full; i++) {
    try {
      writeFileSync(join(folder, `fill-${i}`), Buffer.alloc(4096))
    } catch {
      full = true
    }
  }
  expect(full).toBe(true)
  for (const index of [5n, 10n, 15n, 20n]) await consumer.ack(index)
  await consumer.close()
  expect((await log.consumer('a')).ackedIndex).toBe(20n)
})

const kills = sized(40, 6)

test.skipIf(!native.canLock)(
  `killed ${kills} times wherever it is, a consumer of another process misses nothing`,
  {
    timeout: 300_000
  },
  async () => {
    const { log, walDir } = await openLog()
    const seen = join(createFolder(), 'seen')
    const code = `import { WalConsumer } from 'logboom'
    import { appendFileSync } from 'node:fs'
    const consumer = await WalConsumer.open(${JSON.stringify(walDir)}, 'killed')
    console.log('ready')
    for await (const entries of consumer.follow({ maxEntries: 3 })) {
      appendFileSync(${JSON.stringify(seen)}, entries.map(({ index }) => index + '\\n').join(''))
      await consumer.ack(entries[entries.length - 1].index)
    }`
    let isLogging = true
    const logging = (async () => {
      while (isLogging) {
        await fill(log, 5)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    })()
    const size = () => (existsSync(seen) ? readFileSync(seen).length : 0)
    for (let kill = 0; kill < kills; kill++) {
      const before = size()
      const child = await startProcess(code)
      await until(() => size() > before + kill * 3, { timeoutMs: 60_000 })
      child.kill('SIGKILL')
      await new Promise((resolve) => child.once('exit', resolve))
    }
    isLogging = false
    await logging
    const rest = await log.consumer('killed')
    const { ackedIndex } = rest
    const found = readFileSync(seen, 'utf8').trim().split('\n').map(Number)
    const expected = upTo(1, Number(ackedIndex))
    expect(new Set(found.filter((index) => index <= Number(ackedIndex)))).toEqual(new Set(expected))
    expect(await takeAll(rest)).toEqual(upTo(Number(ackedIndex) + 1, Number(log.lastIndex)))
    // What it acknowledged was removed on the way.
    expect(readdirSync(walDir).includes('0000000000000000-0000000000000000.wal')).toBe(false)
  }
)

test('sockets called like consumers and snapshots keep a log from nothing', async () => {
  const { log, walDir } = await openLog()
  await fill(log, 5)
  await log.close()
  const snapDir = join(walDir, '..', 'snap')
  for (const folder of [join(walDir, 'consumers'), snapDir]) mkdirSync(folder, { recursive: true })
  const paths = [join(walDir, 'consumers', 'a'), join(snapDir, '0000000000000001-0000000000000003.snap')]
  for (const path of paths) {
    const server = createServer().listen(path)
    onTestFinished(() => void server.close())
  }
  const again = await openLog({ walDir })
  await fill(again.log, 1)
  expect((await again.log.createSnapshot())?.currentIndex).toBe(6n)
  expect(await runCli(['info', walDir])).toMatchObject({ code: 0, stderr: '' })
})
