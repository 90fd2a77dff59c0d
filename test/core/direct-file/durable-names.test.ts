// A record is on disk only when the name of its file is; and a file system that cannot sync is no disk that fails.
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { control } from '../../../src/core/direct-file/memory/shared-memory.ts'
import { readTexts } from '../../helpers/direct-file-reader.ts'
import { createFlusher, type FlusherUnderTest } from '../../helpers/direct-flusher.ts'
import type { Fault } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'

function fail({ faulty }: FlusherUnderTest, pattern: RegExp, fault: Fault): void {
  faulty.fault = (operation) => (pattern.test(operation) ? fault : undefined)
}

const warningsOf = ({ messages }: FlusherUnderTest): string[] =>
  messages.flatMap((message) => (message.type === 'warning' ? [message.code] : []))

describe.each(['auto', 'off'] as const)('directIO %s:', (directIO) => {
  const create = (options: Record<string, unknown> = {}) => {
    const path = join(createFolder(), 'names.log')
    return { path, under: createFlusher(path, { directIO, ...options }) }
  }

  test('no flush counts before the folder of a new file is synced, however often that fails', () => {
    const { path, under } = create()
    fail(under, /^fsync$/, 'EIO')
    under.writer.log('one')
    expect(under.flush(4)).toBe(false)
    expect(readTexts(path)).toEqual([])
    under.faulty.fault = () => undefined
    const before = under.faulty.calls.get('fsync')!
    expect(before).toBeGreaterThan(1)
    expect(under.flush()).toBe(true)
    under.writer.log('two')
    expect(under.flush()).toBe(true)
    expect(under.faulty.calls.get('fsync')).toBe(before + 1)
    expect(readTexts(path)).toEqual(['one', 'two'])
  })

  test('nor that of a file that was found: whoever made it may have died before', () => {
    const { path, under } = create({ durability: 'none' })
    under.writer.log('one')
    expect(under.flush()).toBe(true)
    under.close()
    const next = createFlusher(path, { directIO, durability: 'disk' })
    fail(next, /^fsync$/, 'EIO')
    next.writer.log('two')
    expect(next.flush(4)).toBe(false)
    expect(readTexts(path)).toEqual(['one'])
    next.faulty.fault = () => undefined
    expect(next.flush()).toBe(true)
    expect(readTexts(path)).toEqual(['one', 'two'])
  })

  test('nor that of the file after a rotation', () => {
    const { path, under } = create()
    under.writer.log('one')
    expect(under.flush()).toBe(true)
    fail(under, /^fsync$/, 'EIO')
    under.rotate()
    under.writer.log('two')
    expect(under.flush(4)).toBe(false)
    expect(under.messages.filter(({ type }) => type === 'rotated').length).toBe(1)
    under.faulty.fault = () => undefined
    expect(under.flush()).toBe(true)
    expect(readTexts(path)).toEqual(['two'])
    expect(under.messages.filter(({ type }) => type === 'rotated').length).toBe(1)
  })

  test('a file system that can sync files and no folders is good enough, which is said once', () => {
    const { path, under } = create({ durability: 'disk' })
    fail(under, /^fsync$/, 'EINVAL')
    under.writer.log('one')
    expect(under.flush()).toBe(true)
    under.writer.log('two')
    expect(under.flush()).toBe(true)
    expect(readTexts(path)).toEqual(['one', 'two'])
    expect(warningsOf(under)).toEqual(['ERR_UNSUPPORTED'])
    expect(Atomics.load(under.memory.words, control.unsyncable)).toBe(0)
  })

  test("one that can sync nothing is served at 'os', which is said once", () => {
    const { path, under } = create()
    fail(under, /sync$/, 'EINVAL')
    for (const text of ['one', 'two', 'three']) {
      under.writer.log(text)
      expect(under.flush()).toBe(true)
    }
    expect(readTexts(path)).toEqual(['one', 'two', 'three'])
    expect(warningsOf(under)).toEqual(['ERR_UNSUPPORTED'])
  })

  test('and refused where records have to be on disk', () => {
    const { path, under } = create({ durability: 'disk' })
    fail(under, /sync$/, 'EINVAL')
    under.writer.log('one')
    expect(under.flush(4)).toBe(false)
    expect(Atomics.load(under.memory.words, control.unsyncable)).toBe(1)
    expect(readTexts(path)).toEqual([])
  })
})
