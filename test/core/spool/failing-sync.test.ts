// A disk whose syncs fail: nothing is published twice or grows without bound, and what was promised is true.
import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { native } from '../../../src/native/index.ts'
import { createLines, createSpool, eventsOf } from '../../helpers/create-spool.ts'
import { createFaultyDisk, type FaultyDisk, type Operation } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { publishedText } from '../../helpers/spool.ts'

const records = Array.from({ length: 200 }, (_, index) => `record ${index} ${'x'.repeat(index % 90)}\n`)
const sorted = (text: string): string[] => text.split('\n').filter(Boolean).sort()

function failing(faulty: FaultyDisk, ...operations: Operation[]): () => void {
  faulty.fault = (operation) => (operations.includes(operation) ? 'EIO' : undefined)
  return () => {
    faulty.fault = () => undefined
  }
}

async function failuresOf(faulty: FaultyDisk, count: number): Promise<void> {
  const syncs = (): number => (faulty.calls.get('fdatasync') ?? 0) + (faulty.calls.get('fdatasyncAsync') ?? 0)
  await expect.poll(syncs, { timeout: 20_000 }).toBeGreaterThan(count)
}

describe('fdatasync fails for a while', () => {
  test('a spool: every record is published once, and never more than a temp file for each worker', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const works = failing(faulty, 'fdatasyncAsync', 'fdatasync')
    const spool = createSpool({ path, durability: 'disk', size: 2000, workers: 2 }, faulty.disk)
    const events = eventsOf(spool)
    const writes = records.map((record) => spool.write(record))
    let isFlushed = false
    const flushed = spool.flush().then(() => {
      isFlushed = true
    })
    for (let count = 2; count < 16; count += 2) {
      await failuresOf(faulty, count)
      expect(readdirSync(path).filter((name) => name.endsWith('.tmp')).length).toBeLessThanOrEqual(4)
    }
    expect([isFlushed, publishedText(path)]).toEqual([false, ''])
    works()
    await flushed
    expect(await Promise.all(writes)).not.toContain(false)
    await spool.close()
    expect(sorted(publishedText(path))).toEqual(sorted(records.join('')))
    expect(events).toEqual(['degraded', 'recovered'])
    expect(readdirSync(path).filter((name) => name.startsWith('.'))).toEqual([])
  })

  test.skipIf(!native.canLock)(
    'lines of a transport: once each, acknowledged only when the disk has them',
    async () => {
      const path = createFolder()
      const faulty = createFaultyDisk()
      const works = failing(faulty, 'fdatasyncAsync', 'fdatasync')
      const lines = createLines({ path, durability: 'disk', size: 2000, workers: 2 }, faulty.disk)
      const events = eventsOf(lines)
      const acknowledged = records.map((record) => lines.commit(record))
      expect(acknowledged).not.toContain(true)
      await failuresOf(faulty, 8)
      expect(readdirSync(path).filter((name) => name.endsWith('.tmp')).length).toBeLessThanOrEqual(4)
      works()
      await lines.flush()
      await lines.close()
      expect(publishedText(path).split('\n').sort()).toEqual(records.join('').split('\n').sort())
      expect(events.filter((event) => event === 'degraded').length).toBe(1)
      await expect.poll(() => events.at(-1)).toBe('recovered')
    }
  )

  test('flushSync says so, and does not lie the second time', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const spool = createSpool({ path, durability: 'disk', workers: 1 }, faulty.disk)
    await spool.write('x')
    const works = failing(faulty, 'fdatasync')
    for (let attempt = 0; attempt < 5; attempt++) expect(() => spool.flushSync()).toThrow('sync')
    expect(publishedText(path)).toBe('')
    works()
    spool.flushSync()
    expect(publishedText(path)).toBe('x')
    await spool.close()
    expect(readdirSync(path).filter((name) => name.startsWith('.'))).toEqual([])
  })
})

test.skipIf(!native.canLock)(
  'lines are not acknowledged because a publication overtook their sync and failed, too',
  async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const lines = createLines({ path, durability: 'disk', flushInterval: 1 }, faulty.disk)
    lines.write('x\n')
    await lines.flush()
    const works = failing(faulty, 'fdatasyncAsync', 'fdatasync')
    let isDrained = false
    lines.on('drain', () => {
      isDrained = true
    })
    expect(lines.commit('y\n')).toBe(false)
    await failuresOf(faulty, 10)
    expect(isDrained).toBe(false)
    works()
    await expect.poll(() => isDrained).toBe(true)
    await lines.close()
    expect(publishedText(path)).toBe('x\ny\n')
  }
)

test('a full file that flushSync overtook and could not publish is published all the same', async () => {
  const path = createFolder()
  const faulty = createFaultyDisk()
  const spool = createSpool({ path, durability: 'disk', size: 10, workers: 1 }, faulty.disk)
  const works = failing(faulty, 'fdatasyncAsync', 'fdatasync')
  expect(await spool.write('more than ten bytes')).toBe(true)
  expect(() => spool.flushSync()).toThrow('sync')
  await failuresOf(faulty, 4)
  works()
  await expect.poll(() => publishedText(path)).toBe('more than ten bytes')
})

describe('the folder', () => {
  test('cannot be opened: asked for again by itself, nothing is published twice', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const spool = createSpool({ path, durability: 'disk', workers: 2 }, faulty.disk)
    await spool.write('x\n')
    faulty.fault = (operation, _call, [opened]) =>
      /^open/.test(operation) && opened === path ? 'EACCES' : undefined
    const events = eventsOf(spool)
    let isFlushed = false
    const flushed = spool.flush().then(() => {
      isFlushed = true
    })
    await expect.poll(() => spool.stats().errors, { timeout: 20_000 }).toBeGreaterThan(5)
    expect([publishedText(path), isFlushed]).toEqual(['x\n', false])
    faulty.fault = () => undefined
    await flushed
    await spool.close()
    expect(publishedText(path)).toBe('x\n')
    const episode = (): string[] => events.filter((event) => event === 'degraded' || event === 'recovered')
    await expect.poll(episode).toEqual(['degraded', 'recovered'])
  })

  test('cannot be synced: flush and close reject ERR_SYNC, and the next flush asks again', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const spool = createSpool({ path, durability: 'disk', workers: 2 }, faulty.disk)
    const works = failing(faulty, 'fsync', 'fsyncAsync')
    await spool.write('x\n')
    await expect(spool.flush()).rejects.toMatchObject({ code: 'ERR_SYNC' })
    await expect(spool.flush()).rejects.toMatchObject({ code: 'ERR_SYNC' })
    expect(() => spool.flushSync()).toThrow(expect.objectContaining({ code: 'ERR_SYNC' }))
    expect(publishedText(path)).toBe('x\n')
    works()
    await spool.flush()
    failing(faulty, 'fsync', 'fsyncAsync')
    await spool.write('y\n')
    await expect(spool.close()).rejects.toMatchObject({ code: 'ERR_SYNC' })
    expect(publishedText(path)).toBe('x\ny\n')
  })

  test('cannot be synced: lines of a transport are not acknowledged before, and published once', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const lines = createLines({ path, durability: 'disk', workers: 2 }, faulty.disk)
    lines.write('x\n')
    await lines.flush()
    const works = failing(faulty, 'fsync', 'fsyncAsync')
    expect(lines.commit('y\n')).toBe(false)
    let isFlushed = false
    const flushed = lines.flush().then(() => {
      isFlushed = true
    })
    await expect.poll(() => lines.stats().errors, { timeout: 20_000 }).toBeGreaterThan(4)
    expect(isFlushed).toBe(false)
    works()
    await flushed
    await lines.close()
    expect(publishedText(path)).toBe('x\ny\n')
  })

  test('on a file system that knows no sync of folders: said once, and served', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    faulty.fault = (operation) => (/^fsync/.test(operation) ? 'EINVAL' : undefined)
    const spool = createSpool({ path, durability: 'disk', workers: 1 }, faulty.disk)
    const events = eventsOf(spool)
    for (const record of ['x', 'y', 'z']) {
      await spool.write(record)
      await spool.flush()
    }
    await spool.close()
    expect([publishedText(path), events]).toEqual(['xyz', ['ERR_UNSUPPORTED']])
  })
})

describe('a file system that cannot sync files', () => {
  test.skipIf(!native.canLock)("is refused at 'disk'", () => {
    const faulty = createFaultyDisk()
    faulty.fault = (operation) => (/^fdatasync/.test(operation) ? 'EINVAL' : undefined)
    const options = { path: createFolder(), durability: 'disk' } as const
    const unsupported = expect.objectContaining({ code: 'ERR_UNSUPPORTED' })
    expect(() => createSpool(options, faulty.disk)).toThrow(unsupported)
    expect(() => createLines(options, faulty.disk)).toThrow(unsupported)
  })

  test("that shows itself later ends every wait at 'disk'", async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const spool = createSpool({ path, durability: 'disk', workers: 1 }, faulty.disk)
    faulty.fault = (operation) => (/^fdatasync/.test(operation) ? 'EINVAL' : undefined)
    expect(await spool.write('x')).toBe(true)
    await expect(spool.flush()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
    expect(spool.stats().state).toBe('failed')
    expect(await spool.write('y')).toBe(false)
    await expect(spool.flush()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
    expect(() => spool.flushSync()).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }))
    await spool.close().catch(() => {})
    expect(spool.stats().state).toBe('closed')
  })
})

test.skipIf(!native.canLock)(
  'a spool that dies when its records are copied to a new file and the old one is still there publishes them once',
  async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    let isDead = false
    let failures = 0
    faulty.fault = (operation, _call, args) => {
      if (isDead) return /^(close|unlock)$/.test(operation) ? undefined : 'EIO'
      // Of a temp file and of what speaks for it; then the first file to be removed is one that was copied.
      if (operation.startsWith('fdatasync') && failures++ < 4) return 'EIO'
      isDead = failures > 0 && operation === 'unlink' && String(args[0]).endsWith('.tmp')
      return isDead ? 'EIO' : undefined
    }
    const lines = createLines({ path, durability: 'disk', size: 20_000, workers: 1 }, faulty.disk)
    for (const record of records.slice(0, 20)) lines.write(record)
    void lines.flush().catch(() => {})
    await expect.poll(() => isDead, { timeout: 10_000 }).toBe(true)
    lines.abandon()
    lines.hurry()
    await lines.close().catch(() => {})
    expect(readdirSync(path).filter((name) => name.endsWith('.tmp'))).toHaveLength(2)
    const next = createLines({ path })
    await expect.poll(() => readdirSync(path).filter((name) => name.endsWith('.tmp'))).toEqual([])
    await next.close()
    expect(sorted(publishedText(path))).toEqual(sorted(records.slice(0, 20).join('')))
  }
)
