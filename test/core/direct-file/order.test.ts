import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DirectWriter } from '../../../src/core/direct-file/memory/writer.ts'
import { native } from '../../../src/native/index.ts'
import { DirectFile } from '../../helpers/built.ts'
import { readDirectFile } from '../../helpers/direct-file-reader.ts'
import { createFlusher } from '../../helpers/direct-flusher.ts'
import { createFolder } from '../../helpers/folder.ts'

test('a writer for whose record there was no room goes on with smaller ones in order', () => {
  const path = join(createFolder(), 'order.log')
  const under = createFlusher(path, { overflow: 'drop-newest' })
  const filler = under.writer
  const writer = new DirectWriter(under.memory)
  const text = (name: string, length: number): string => name.padEnd(length, '.')
  // Epoch 0: the filler has the first shard, the writer the second. Epoch 1 uses the other set.
  filler.log(text('filler', 20))
  writer.log(text('w0', 20))
  expect(under.flush()).toBe(true)
  filler.log(text('filler', 20))
  // Epoch 2 fills up while epoch 1 is not written yet: 200 bytes are left in each shard.
  under.memory.swap(1)
  const { shards, limitBytes } = under.memory.handle.shape
  for (let shard = 0; shard < shards; shard++) {
    const size = limitBytes - 8 - 4 - 200
    expect(filler.log(text('filler', size))).toBe(true)
  }
  expect(writer.log(text('too large', 1_000))).toBe(false)
  for (let number = 1; number < 2 * shards; number++) writer.log(text(`w${number}`, 120))
  expect(under.flush()).toBe(true)
  writer.close()
  under.close()
  const found: string[] = []
  readDirectFile(path, (record) => found.push(record.toString('latin1').replaceAll('.', '')))
  const own = found.filter((name) => /^w\d/.test(name))
  expect(own.length).toBeGreaterThan(2)
  expect(own).toEqual(own.map((_, number) => `w${number}`))
})

test.each([false, true])(
  'lines that were written and records that were logged are in the order of the calls (lane: %s)',
  async (lane) => {
    if (lane && !native.canLock) return
    const path = join(createFolder(), 'order.log')
    const file = new DirectFile({ path, numShards: 1, bufferSize: '1m', lane, fallback: false })
    file.write('0\n')
    file.log('1')
    file.write('2\n3\n')
    file.logBytes(Buffer.from('4'))
    await file.flush()
    file.write('5\n')
    file.log('6')
    await file.close()
    const found: string[] = []
    readDirectFile(path, (record) => found.push(record.toString()))
    expect(found).toEqual(['0', '1', '2', '3', '4', '5', '6'])
  }
)
