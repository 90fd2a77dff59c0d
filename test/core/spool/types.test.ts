import { Readable } from 'node:stream'
import vm from 'node:vm'
import { describe, expect, test } from 'vitest'
import { createLines, createSpool } from '../../helpers/create-spool.ts'
import { createFolder } from '../../helpers/folder.ts'
import { publishedText } from '../../helpers/spool.ts'

const wrong: [string, unknown][] = [
  ['undefined', undefined],
  ['null', null],
  ['a number', 5],
  ['a boolean', true],
  ['a bigint', 5n],
  ['a symbol', Symbol('s')],
  ['a function', () => 'text'],
  ['an object', { length: 3 }],
  ['an array of texts', ['a', 'b']],
  ['a set', new Set(['a'])],
  ['a boxed text', new String('a')],
  ['an ArrayBuffer', new ArrayBuffer(4)],
  ['a DataView', new DataView(new ArrayBuffer(4))],
  ['a Uint16Array', Uint16Array.of(1, 2)],
  ['a generator', (function* () {})()],
  ['a web stream', new ReadableStream()]
]

describe.each(wrong)('%s', (_name, value) => {
  test('is refused by write of a spool, and nobody else notices', async () => {
    const path = createFolder()
    const spool = createSpool({ path, workers: 1 })
    const writes = [spool.write('before '), spool.write(value as never), spool.write('after')]
    await expect(writes[1]).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    expect(await writes[0]).toBe(true)
    expect(await writes[2]).toBe(true)
    await spool.close()
    expect(publishedText(path)).toBe('before after')
    expect(spool.stats()).toMatchObject({ records: 2, dropped: 0, queuedBytes: 0 })
  })

  test('is refused while every worker is busy, too', async () => {
    const path = createFolder()
    const spool = createSpool({ path, workers: 1 })
    const slow = new Readable({ read() {} })
    const reading = spool.write(slow)
    await expect(spool.write(value as never)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    slow.push('slow')
    slow.push(null)
    expect(await reading).toBe(true)
    await spool.close()
    expect(publishedText(path)).toBe('slow')
  })

  test('is refused by the spool of transports', async () => {
    const path = createFolder()
    const lines = createLines({ path })
    lines.write('before\n')
    expect(() => lines.write(value as never)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
    expect(() => lines.commit(value as never)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
    lines.write('after\n')
    await lines.close()
    expect(publishedText(path)).toBe('before\nafter\n')
  })

  test('is refused as a chunk of a stream: nothing of that record is published', async () => {
    if (value === null) return
    const path = createFolder()
    const spool = createSpool({ path, workers: 1 })
    await spool.write('before ')
    // In object mode a stream gives whatever it was given.
    const stream = Readable.from(['good', value])
    if (value === undefined || typeof value === 'function') {
      // Node may end such a stream by itself.
      await spool.write(stream).catch(() => {})
    } else await expect(spool.write(stream)).rejects.toMatchObject({ code: 'ERR_SOURCE' })
    await spool.write('after')
    await spool.close()
    expect(publishedText(path)).toMatch(/^before (good)?after$/)
    if (value !== undefined) expect(publishedText(path)).toBe('before after')
  })
})

test('bytes of another realm are bytes', async () => {
  const path = createFolder()
  const spool = createSpool({ path, size: 100, workers: 1 })
  const bytes = vm.runInNewContext('Uint8Array.of(97, 98, 99)')
  const long = vm.runInNewContext('new Uint8Array(200000).fill(120)')
  expect(bytes instanceof Uint8Array).toBe(false)
  expect(await spool.write(bytes)).toBe(true)
  expect(await spool.write(long)).toBe(true)
  expect(await spool.write(Readable.from([bytes, bytes]))).toBe(true)
  await spool.close()
  expect(publishedText(path) === `abc${'x'.repeat(200_000)}abcabc`).toBe(true)
})

test.each([5, 'disc', '', null, {}, ['disk']])('a flush to %s is refused', async (level) => {
  const path = createFolder()
  const spool = createSpool({ path })
  await spool.write('x')
  await expect(spool.flush(level as never)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
  expect(() => spool.flushSync(level as never)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
  await spool.flush()
  expect(publishedText(path)).toBe('x')
})

test('a stream that was read to its end before is refused, not published as an empty record', async () => {
  const path = createFolder()
  const spool = createSpool({ path })
  const stream = Readable.from(['x\n'])
  expect(await spool.write(stream)).toBe(true)
  await expect(spool.write(stream)).rejects.toMatchObject({ code: 'ERR_SOURCE' })
  await spool.close()
  expect(spool.stats()).toMatchObject({ records: 1, dropped: 0 })
})
