import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { SpoolOptions } from '../../../src/core/spool/options.ts'
import { Spool } from '../../../src/core/spool/spool.ts'
import { type Disk, realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { hiddenNames, publishedNames, publishedText } from '../../helpers/spool.ts'

function createSpool(options: SpoolOptions, { disk = realDisk }: { disk?: Disk } = {}): Spool {
  const full = { fallback: false, flushInterval: 0, timeout: '60s', ...options } as const
  const spool = withInternals({ disk }, () => new Spool(full))
  onTestFinished(async () => {
    await spool.close().catch(() => {})
  })
  return spool
}

/** A disk whose asynchronous writes wait until the test calls what they put in `late`. */
function createLateDisk() {
  const late: (() => void)[] = []
  const disk = {
    ...realDisk,
    async writeAsync(...args: Parameters<typeof realDisk.writeAsync>): Promise<number> {
      await new Promise<void>((resolve) => late.push(resolve))
      return realDisk.writeAsync(...args)
    }
  }
  return { disk, late }
}

describe('publishing', () => {
  test('records stand back to back in a file with the documented name and permission', async () => {
    const path = createFolder()
    const umask = process.umask(0o077)
    onTestFinished(() => {
      process.umask(umask)
    })
    const spool = createSpool({ path, prefix: 'app-', permission: 0o444 })
    expect(await spool.write('one\n')).toBe(true)
    expect(await spool.write(Buffer.from('zwei\0'))).toBe(true)
    expect(publishedNames(path)).toEqual([])
    const before = BigInt(Date.now()) * 1_000_000n
    await spool.flush()
    const [name, ...more] = publishedNames(path)
    expect(more).toEqual([])
    const time = BigInt(/^app-0_(\d+)\.log$/.exec(name)?.[1] ?? 0)
    expect(time - before).toBeGreaterThan(-5_000_000n)
    expect(time - before).toBeLessThan(1_000_000_000n)
    expect(readFileSync(join(path, name), 'latin1')).toBe('one\nzwei\0')
    expect(statSync(join(path, name)).mode & 0o7777).toBe(0o444)
    expect(spool.stats()).toMatchObject({ records: 2, bytes: 9, rotations: 1, dropped: 0, queuedBytes: 0 })
    await spool.close()
    expect(hiddenNames(path)).toEqual([])
  })

  test('a file is published when it is full, and no record is split', async () => {
    const path = createFolder()
    const spool = createSpool({ path, size: 1000 })
    const records = Array.from({ length: 500 }, (_, index) => `${index} ${'x'.repeat(index % 60)}\n`)
    for (const record of records) expect(await spool.write(record)).toBe(true)
    await spool.close()
    const names = publishedNames(path)
    const contents = names.map((name) => readFileSync(join(path, name), 'utf8'))
    expect(contents.slice(0, -4).every((text) => text.length >= 1000 && text.length < 1100)).toBe(true)
    expect(contents.every((text) => text.endsWith('\n'))).toBe(true)
    expect(contents.join('').split('\n').sort()).toEqual(records.join('').split('\n').sort())
  })

  test('after flushInterval a file is published that is not full', async () => {
    const path = createFolder()
    const spool = createSpool({ path, flushInterval: 30 })
    await spool.write('early')
    await expect.poll(() => publishedText(path)).toBe('early')
  })

  test('a record larger than the buffer passes through it: text, bytes and stream', async () => {
    const path = createFolder()
    const spool = createSpool({ path, size: 4096, workers: 1 })
    const text = '🚀é'.repeat(200_000)
    await spool.write('before ')
    expect(await spool.write(text)).toBe(true)
    expect(await spool.write(Buffer.from(text))).toBe(true)
    expect(await spool.write(Readable.from([text.slice(0, 99_999), Buffer.from(text.slice(99_999))]))).toBe(
      true
    )
    await spool.flush()
    expect(publishedText(path) === `before ${text}${text}${text}`).toBe(true)
    expect(publishedNames(path).length).toBe(3)
  })

  test('lone surrogates become U+FFFD, also where a long text is cut into pieces', async () => {
    const path = createFolder()
    const spool = createSpool({ path, size: 4096, workers: 1 })
    const texts = [
      'a\ud800b',
      `${'\ud83d\ude80'.repeat(80_000)}\ud83d`,
      `x${'\ud83d\ude80'.repeat(80_000)}`,
      '\udc00'
    ]
    for (const text of texts) await spool.write(text)
    await spool.flush()
    expect(publishedText(path) === texts.join('').replace(/\p{Surrogate}/gu, '\ufffd')).toBe(true)
  })

  test('two halves of a pair of surrogates in two records are no character', async () => {
    const path = createFolder()
    const spool = createSpool({ path, workers: 1 })
    for (const text of ['a\ud83d', '\ude80b', '\ud83d', '', '\ude80', '\ud83d\ude80']) await spool.write(text)
    await spool.flush()
    expect(publishedText(path)).toBe('a\ufffd\ufffdb\ufffd\ufffd🚀')
  })

  test('texts of any width and bytes: each file ends with the record that makes it full', async () => {
    const path = createFolder()
    const size = 20_000
    const spool = createSpool({ path, size, workers: 1 })
    const alphabets = ['x', 'é', '語', '🚀', 'x語', '\udc00x', 'x\ud800']
    const records = Array.from({ length: 5000 }, (_, index) => {
      const text = alphabets[index % alphabets.length].repeat((index * 7919) % 97)
      return index % 11 === 0 ? Buffer.from(text) : text
    })
    const expected = ['']
    for (const record of records) {
      expect(await spool.write(record)).toBe(true)
      expected[expected.length - 1] += Buffer.from(record as string).toString()
      if (Buffer.byteLength(expected[expected.length - 1]) >= size) expected.push('')
    }
    await spool.close()
    const contents = publishedNames(path).map((name) => readFileSync(join(path, name), 'utf8'))
    expect(contents).toEqual(expected.filter((content) => content.length > 0))
    expect(spool.stats()).toMatchObject({ records: 5000, queuedBytes: 0 })
  })

  test('many writes at once arrive exactly once and in order within a file', async () => {
    const path = createFolder()
    const spool = createSpool({ path, size: 2000, timeout: '60s' })
    const records = Array.from({ length: 20_000 }, (_, index) => `${index}\n`)
    const taken = await Promise.all(records.map((record) => spool.write(record)))
    expect(taken.every((one) => one)).toBe(true)
    await spool.close()
    const lists = publishedNames(path).map((name) =>
      readFileSync(join(path, name), 'utf8').trim().split('\n').map(Number)
    )
    for (const list of lists) expect(list).toEqual([...list].sort((a, b) => a - b))
    expect(lists.flat().sort((a, b) => a - b)).toEqual(records.map(Number))
  })

  test('two spools of one process never collide', async () => {
    const path = createFolder()
    const options = { path, size: 64, timeout: '60s' }
    const spools = [createSpool(options), createSpool(options)]
    await Promise.all(
      Array.from({ length: 400 }, (_, index) => spools[index % 2].write(`${String(index).padStart(31)}\n`))
    )
    await Promise.all(spools.map((spool) => spool.close()))
    expect(
      publishedText(path)
        .split('\n')
        .filter(Boolean)
        .map(Number)
        .sort((a, b) => a - b)
    ).toEqual(Array.from({ length: 400 }, (_, index) => index))
  })

  test('flushSync publishes what is buffered and what waits', async () => {
    const path = createFolder()
    const spool = createSpool({ path, size: 100, workers: 1, timeout: '10s' })
    const writes = Array.from({ length: 300 }, (_, index) => spool.write(`${String(index).padStart(9)}\n`))
    spool.flushSync()
    const numbers = publishedText(path).split('\n').filter(Boolean).map(Number)
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, index) => index))
    expect((await Promise.all(writes)).every((taken) => taken)).toBe(true)
    await spool.write('after')
    await spool.close()
    expect(publishedText(path).endsWith('after')).toBe(true)
    expect(readdirSync(path).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('flushSync in the middle of a long record: the write under way does not reach a published file', async () => {
    const path = createFolder()
    const { disk, late } = createLateDisk()
    const spool = createSpool({ path, size: 1000, workers: 1 }, { disk })
    await spool.write('before')
    const long = spool.write('x'.repeat(500_000))
    await expect.poll(() => late.length).toBe(1)
    spool.flushSync()
    expect(publishedText(path)).toBe('before')
    late[0]()
    expect(await long).toBe(false)
    await delay(20)
    expect(publishedText(path)).toBe('before')
    expect(spool.stats()).toMatchObject({ records: 1, dropped: 1 })
    await spool.close()
    expect(hiddenNames(path)).toEqual([])
  })

  test('flushSync while a file is being written: the write under way does not reach it once it is published', async () => {
    const path = createFolder()
    const { disk, late } = createLateDisk()
    const spool = createSpool({ path, size: 10, workers: 1, durability: 'disk' }, { disk })
    const writes = [spool.write('A'.repeat(10)), spool.write('B'.repeat(10))]
    await expect.poll(() => late.length).toBe(1)
    spool.flushSync()
    expect(publishedText(path)).toBe('A'.repeat(10) + 'B'.repeat(10))
    late[0]()
    expect(await Promise.all(writes)).toEqual([true, true])
    await delay(20)
    await spool.close()
    expect(publishedText(path)).toBe('A'.repeat(10) + 'B'.repeat(10))
    expect(hiddenNames(path)).toEqual([])
  })

  test("at durability 'disk' file and folder are synced", async () => {
    const path = createFolder()
    const spool = createSpool({ path, durability: 'disk' })
    await spool.write('x')
    await spool.flush()
    expect(spool.stats().syncs).toBe(2)
    const other = createSpool({ path, durability: 'os' })
    await other.write('x')
    await other.flush()
    expect(other.stats().syncs).toBe(0)
    await other.flush('disk')
    expect(other.stats().syncs).toBe(2)
  })
})

describe('streams', () => {
  test('of a Readable that fails half-way nothing is published', async () => {
    const path = createFolder()
    const spool = createSpool({ path, size: 1000, workers: 1 })
    await spool.write('before ')
    for (const length of [10, 100_000, 1_000_000]) {
      const failing = Readable.from(
        (async function* () {
          yield 'x'.repeat(length)
          yield 'y'.repeat(length)
          throw new Error('gone')
        })()
      )
      await expect(spool.write(failing)).rejects.toMatchObject({
        code: 'ERR_SOURCE',
        cause: { message: 'gone' }
      })
      await spool.write('between ')
    }
    await spool.write(Readable.from(['af', 'ter']))
    await spool.flush()
    expect(publishedText(path)).toBe('before between between between after')
    expect(spool.stats()).toMatchObject({ records: 5, dropped: 3 })
  })

  test('a stream that is destroyed, or gives neither text nor bytes, is refused alike', async () => {
    const path = createFolder()
    const spool = createSpool({ path })
    const destroyed = new Readable({ read() {} })
    const write = spool.write(destroyed)
    destroyed.push('half')
    await delay(5)
    destroyed.destroy()
    await expect(write).rejects.toMatchObject({ code: 'ERR_SOURCE' })
    await expect(spool.write(Readable.from([1, 2]))).rejects.toMatchObject({ code: 'ERR_SOURCE' })
    await spool.close()
    expect(publishedNames(path)).toEqual([])
    expect(hiddenNames(path)).toEqual([])
  })

  test('a stream that fails while it waits for a worker is refused like any other', async () => {
    const path = createFolder()
    const spool = createSpool({ path, workers: 1 })
    const first = new Readable({ read() {} })
    const reading = spool.write(first)
    const second = new Readable({ read() {} })
    const waiting = spool.write(second)
    second.destroy(new Error('gone'))
    await delay(5)
    first.push('first')
    first.push(null)
    expect(await reading).toBe(true)
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_SOURCE' })
    await spool.close()
    expect(publishedText(path)).toBe('first')
  })

  test('a slow stream occupies one worker only', async () => {
    const path = createFolder()
    const spool = createSpool({ path, workers: 2 })
    const slow = new Readable({ read() {} })
    const write = spool.write(slow)
    expect(await spool.write('fast')).toBe(true)
    slow.push('slow')
    slow.push(null)
    expect(await write).toBe(true)
    await spool.flush()
    expect(publishedNames(path).length).toBe(2)
  })
})

describe('the waiting list', () => {
  test('a record that no worker takes within timeout is discarded and counted', async () => {
    const path = createFolder()
    const spool = createSpool({ path, workers: 1, timeout: 50, queue: 2 })
    const dropped: unknown[] = []
    spool.on('dropped', (event) => dropped.push(event))
    const slow = new Readable({ read() {} })
    const stream = spool.write(slow)
    const start = performance.now()
    expect(await Promise.all([spool.write('a'), spool.write('bc'), spool.write('def')])).toEqual([
      false,
      false,
      false
    ])
    expect(performance.now() - start).toBeGreaterThan(45)
    expect(performance.now() - start).toBeLessThan(1000)
    expect(spool.stats().dropped).toBe(3)
    const late = spool.write('in time')
    slow.push(null)
    expect(await stream).toBe(true)
    expect(await late).toBe(true)
    await spool.close()
    expect(publishedText(path)).toBe('in time')
    await expect
      .poll(() => dropped.reduce<number>((sum, event) => sum + (event as { count: number }).count, 0))
      .toBe(3)
  })

  test('drop-newest refuses at once when the queue is full, drop-oldest lets the oldest go', async () => {
    for (const [overflow, kept] of [
      ['drop-newest', 'ab'],
      ['drop-oldest', 'cd']
    ] as const) {
      const path = createFolder()
      const spool = createSpool({ path, workers: 1, timeout: '10s', queue: 2, overflow })
      const slow = new Readable({ read() {} })
      const stream = spool.write(slow)
      const writes = ['a', 'b', 'c', 'd'].map((record) => spool.write(record))
      slow.push(null)
      await stream
      const taken = await Promise.all(writes)
      expect(['a', 'b', 'c', 'd'].filter((_, index) => taken[index]).join('')).toBe(kept)
      await spool.close()
      expect(publishedText(path)).toBe(kept)
      expect(spool.stats().dropped).toBe(2)
    }
  })

  test('waiting records are bounded by maxBufferBytes', async () => {
    const path = createFolder()
    const spool = createSpool({ path, workers: 1, timeout: '10s', maxBufferBytes: 100 })
    const slow = new Readable({ read() {} })
    const stream = spool.write(slow)
    const writes = Array.from({ length: 10 }, () => spool.write('x'.repeat(30)))
    slow.push(null)
    await stream
    expect((await Promise.all(writes)).filter((taken) => taken).length).toBe(3)
    expect(spool.stats().dropped).toBe(7)
  })
})

describe('life cycle and options', () => {
  test('a closed spool rejects, and closing twice is closing once', async () => {
    const spool = createSpool({ path: createFolder() })
    await spool.write('x')
    const closing = spool.close()
    await expect(spool.write('y')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(spool.close()).toBe(closing)
    await closing
    await expect(spool.flush()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(() => spool.flushSync()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    expect(spool.stats().state).toBe('closed')
  })

  test.each([
    ['prefix', 'a/b'],
    ['prefix', 'x'.repeat(129)],
    ['workers', 0],
    ['workers', 257],
    ['size', 0],
    ['permission', 400],
    ['permission', 0],
    ['mode', 0o044],
    ['mode', 0o200],
    ['prefix', '.'],
    ['prefix', '.hidden-'],
    ['prefix', 'a\0b'],
    ['temp', `/tmp/${'t'.repeat(256)}`],
    ['temp', '/t'.repeat(1950)],
    ['timeout', Number.NaN],
    ['unknown', 1]
  ])('option %s = %s is refused', (name, value) => {
    expect(() => new Spool({ path: '/nowhere', [name]: value })).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION' })
    )
  })

  test('missing folders are made with dirMode', async () => {
    const root = createFolder()
    const path = join(root, 'a', 'b')
    const spool = createSpool({ path, temp: join(root, 'c'), dirMode: 0o700 })
    await spool.write('x')
    await spool.flush()
    expect(publishedText(path)).toBe('x')
    expect(statSync(path).mode & 0o777).toBe(0o700)
    expect(statSync(join(root, 'c')).mode & 0o777).toBe(0o700)
  })

  test('a folder removed under a running spool is made again, and nothing is lost', async () => {
    const path = join(createFolder(), 'spool')
    const spool = createSpool({ path, size: 1000, workers: 1 })
    await spool.write('x'.repeat(200))
    const long = new Readable({ read() {} })
    const write = spool.write(long)
    for (let piece = 0; piece < 4; piece++) long.push('y'.repeat(60_000))
    await expect.poll(() => hiddenNames(path).length).toBe(native.canLock ? 2 : 1)
    rmSync(path, { recursive: true })
    long.push(null)
    expect(await write).toBe(true)
    await spool.flush()
    expect(publishedText(path) === `${'x'.repeat(200)}${'y'.repeat(240_000)}`).toBe(true)
  })

  test.skipIf(process.getuid?.() === 0)('a read-only folder: degraded, then recovered', async () => {
    const path = createFolder()
    chmodSync(path, 0o500)
    const spool = createSpool({ path })
    const events: string[] = []
    spool.on('degraded', () => events.push('degraded')).on('recovered', () => events.push('recovered'))
    await spool.write('x')
    const flush = spool.flush()
    await delay(80)
    chmodSync(path, 0o700)
    await flush
    await expect.poll(() => events).toEqual(['degraded', 'recovered'])
    expect(publishedText(path)).toBe('x')
  })

  test('a path that becomes a folder only later: records wait, then arrive', async () => {
    const path = join(createFolder(), 'spool')
    writeFileSync(path, 'in the way')
    const spool = createSpool({ path })
    const events: string[] = []
    spool.on('degraded', () => events.push('degraded')).on('recovered', () => events.push('recovered'))
    expect(await spool.write('x')).toBe(true)
    const flush = spool.flush()
    await delay(80)
    rmSync(path)
    mkdirSync(path)
    await flush
    await expect.poll(() => events).toEqual(['degraded', 'recovered'])
    expect(publishedText(path)).toBe('x')
  })
})
