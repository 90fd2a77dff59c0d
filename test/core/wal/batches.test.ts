// What callers may give to a log, and what it makes of it: one bad call touches nobody else.
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import type { WalRecords } from '../../../src/core/wal/writer-contract.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { readLog } from '../../helpers/wal-log.ts'

async function openLog(options: Partial<WriteAheadLogOptions> = {}) {
  const walDir = join(createFolder(), 'wal')
  const log = await WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false, ...options })
  onTestFinished(() => log.close().catch(() => {}))
  const texts = (): string[] => readLog(walDir).entries.map(({ text }) => text)
  return { log, walDir, texts }
}

const wrongBatches: Record<string, unknown> = {
  'a text': 'hello',
  bytes: Buffer.from('hello'),
  'nested arrays': [['a']],
  'a String object': [new String('boxed')],
  'an object': [{}],
  'a number': [5],
  'a Set': new Set(['a']),
  'an ArrayBuffer': [new ArrayBuffer(3)],
  'a wide array': [new Uint16Array(3)],
  'a hole': new Array(1),
  undefined: undefined,
  null: null,
  'null in an array': ['good', null],
  'an array that throws': Object.defineProperty(['good', 'x'], 1, { get: meant }),
  'a proxy of an array that throws': new Proxy(['good'], { get: meant }),
  'a revoked proxy of an array': revoked(['good']),
  'a revoked proxy in an array': ['good', revoked({})],
  'a proxy of bytes in an array': ['good', new Proxy(Buffer.from('x'), {})],
  'a length that is none': new Proxy(['good'], {
    get: (array, name) => (name === 'length' ? 2 ** 40 : array[0])
  })
}

function meant(): never {
  throw new Error('meant')
}

function revoked<T extends object>(target: T): T {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

it('an array that grows, shrinks and changes while it is read is stored as it was read', async () => {
  const { log, texts } = await openLog()
  const growing: string[] = ['a', 'b']
  Object.defineProperty(growing, 0, {
    get() {
      growing.push('more')
      return 'first'
    }
  })
  await log.log(growing)
  let reads = 0
  const changing = new Proxy(['x', 'y'], {
    get: (array, name) => (/^\d+$/.test(String(name)) ? `${++reads}` : Reflect.get(array, name))
  })
  await log.log(changing)
  expect(texts()).toEqual(['first', 'b', '1', '2'])
})

it('bytes that say another length than they have are stored as they are', async () => {
  const { log, texts } = await openLog()
  class Long extends Uint8Array {
    override get length(): number {
      return 1_000
    }
  }
  const short = Object.defineProperty(Buffer.from('short'), 'length', { value: 1 })
  await log.log([new Long(Buffer.from('long')), short])
  log.logSync([new Long(Buffer.from('sync'))])
  expect(texts()).toEqual(['long', 'short', 'sync'])
})

describe.each(Object.entries(wrongBatches))('%s as a batch', (_, wrong) => {
  it('is refused with ERR_ARGUMENT, and stores nothing', async () => {
    const { log, texts } = await openLog()
    const call = log.log(wrong as WalRecords)
    await expect(call).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    expect(() => log.logSync(wrong as WalRecords)).toThrow(/ERR_ARGUMENT/)
    await log.log(['sound'])
    expect(texts()).toEqual(['sound'])
    expect(log.stats()).toMatchObject({ queuedBytes: 0, records: 1 })
  })
})

it('a bad batch among good ones of the same moment costs nobody else anything', async () => {
  const { log, walDir, texts } = await openLog()
  const calls = [['a'], [{}], ['b', 'c'], 'text', ['d']].map((batch) => log.log(batch as WalRecords))
  const results = await Promise.allSettled(calls)
  expect(results.map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'rejected',
    'fulfilled'
  ])
  await log.log(['later'])
  expect(texts()).toEqual(['a', 'b', 'c', 'd', 'later'])
  await log.close()
  await (await WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })).close()
})

it('a batch that cannot be encoded is rejected alone', async () => {
  const { log, texts } = await openLog()
  const bad = 'x'.repeat(5_000_000)
  const allocate = Buffer.allocUnsafe
  const spy = vi.spyOn(Buffer, 'allocUnsafe').mockImplementation((bytes) => {
    if (bytes >= bad.length) throw new RangeError('no memory')
    return allocate(bytes)
  })
  onTestFinished(() => spy.mockRestore())
  const calls = [log.log(['good']), log.log(['first', bad]), log.log(['good 2'])]
  const results = await Promise.allSettled(calls)
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(results[1]).toMatchObject({ reason: { code: 'ERR_TOO_LARGE' } })
  expect(() => log.logSync(['x', bad])).toThrow()
  expect(await log.log(['later'])).toEqual({ firstIndex: 3n, lastIndex: 3n })
  expect(texts()).toEqual(['good', 'good 2', 'later'])
  expect(log.stats().queuedBytes).toBe(0)
})

it('lines, batches and logSync are in the log in the order in which they were given, at every level', async () => {
  for (const durability of ['none', 'os', 'disk'] as const) {
    const { log, texts } = await openLog({ durability, segmentBytes: 4096 })
    const calls: Promise<unknown>[] = []
    const expected = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat((i * 31) % 300)}`)
    for (const [i, text] of expected.entries()) {
      if (i % 5 === 0) log.write(`${text}\n`)
      else if (i % 7 === 0) log.logSync([text])
      else calls.push(log.log([text]))
      if (i % 40 === 33) log.flushSync('disk')
      if (i % 50 === 49) await new Promise(setImmediate)
    }
    await Promise.all(calls)
    await log.flush()
    expect(texts()).toEqual(expected)
  }
})

it('an array that is used again for the next batch loses nothing', async () => {
  const { log, texts } = await openLog()
  const batch: string[] = []
  const ranges = []
  for (let i = 0; i < 3; i++) {
    batch.push(`message ${i}`)
    ranges.push(log.log(batch))
    batch.length = 0
  }
  batch.push('never logged')
  const found = await Promise.all(ranges)
  expect(found.map(({ firstIndex }) => firstIndex)).toEqual([1n, 2n, 3n])
  expect(texts()).toEqual(['message 0', 'message 1', 'message 2'])
})

it('an empty batch resolves at once with an empty range', async () => {
  const { log, texts } = await openLog()
  await log.log(['a'])
  expect(await log.log([])).toEqual({ firstIndex: 2n, lastIndex: 1n })
  expect(log.logSync([])).toEqual({ firstIndex: 2n, lastIndex: 1n })
  expect(texts()).toEqual(['a'])
  await log.close()
  await expect(log.log([])).rejects.toThrow(/ERR_CLOSED/)
})

it('logSync comes behind what log and write took before', async () => {
  const { log, texts } = await openLog()
  const pending = [log.log(['one']), log.log(['two'])]
  log.write('three\n')
  const last = log.log(['four'])
  log.write('five\n')
  expect(log.logSync(['six'])).toEqual({ firstIndex: 6n, lastIndex: 6n })
  await Promise.all([...pending, last])
  expect(texts().toSorted()).toEqual(['five', 'four', 'one', 'six', 'three', 'two'])
  expect(texts().at(-1)).toBe('six')
  const at = (text: string): number => texts().indexOf(text)
  expect(at('three')).toBeLessThan(at('four'))
  expect(at('five')).toBeLessThan(at('six'))
  expect(at('one')).toBeLessThan(at('two'))
})

it("with overflow 'block' a full disk blocks the caller until there is room, and log does not reject", async () => {
  const faulty = createFaultyDisk()
  const walDir = join(createFolder(), 'wal')
  const log = await withInternals({ disk: faulty.disk }, () =>
    WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false, maxBufferBytes: 1000 })
  )
  let failures = 3
  faulty.fault = (operation) => (operation === 'write' && failures-- > 0 ? 'ENOSPC' : undefined)
  const results = await Promise.allSettled(
    Array.from({ length: 30 }, (_, i) => log.log([`${i}`.padEnd(100)]))
  )
  expect(results.every(({ status }) => status === 'fulfilled')).toBe(true)
  await log.close()
  expect(readLog(walDir).entries.length).toBe(30)
})
