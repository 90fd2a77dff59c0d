import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { SpoolOptions } from '../../../src/core/spool/options.ts'
import { Spool } from '../../../src/core/spool/spool.ts'
import type { Disk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { impatient } from '../../helpers/create-spool.ts'
import {
  createFaultyDisk,
  type Fault,
  type FaultyDisk,
  failNth,
  type Operation
} from '../../helpers/faulty-disk.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { canMount, fill, mountTmpfs } from '../../helpers/mount.ts'
import { built } from '../../helpers/script.ts'
import { stride } from '../../helpers/sized.ts'
import { hiddenNames, publishedNames, publishedText } from '../../helpers/spool.ts'

const record = (index: number): string => `${index} ${'x'.repeat((index * 37) % 500)}\n`
const records = (count: number): string[] => Array.from({ length: count }, (_, index) => record(index))
const sorted = (text: string): string[] => text.split('\n').filter(Boolean).sort()

/** Small files are published in the background; where that fails, step by step, which is what most faults are about. */
function stepByStep(faulty: FaultyDisk): void {
  const { fault } = faulty
  faulty.fault = (operation, call, args) =>
    operation === 'publishFile' ? 'EIO' : fault(operation, call, args)
}

function createSpool(options: SpoolOptions, disk = createFaultyDisk().disk): Spool {
  const full = { fallback: false, flushInterval: 0, timeout: '60s', ...options } as const
  const spool = withInternals({ disk }, () => new Spool(full))
  onTestFinished(async () => {
    await spool.close().catch(() => {})
  })
  return spool
}

describe('any call may fail, once or for a while', () => {
  const operations: Operation[] = [
    'openAsync',
    'open',
    'writeAsync',
    'write',
    'fstat',
    'lstat',
    'stat',
    'chmod',
    'publishFile'
  ]
  const syncs: Operation[] = ['fdatasyncAsync', 'fsyncAsync']
  const cases = [...operations, 'renameNoReplace' as const, ...syncs].flatMap((operation) => {
    const faults: Fault[] = /^write/.test(operation) ? ['ENOSPC', 'EIO', 'SHORT', 'EINTR'] : ['EIO', 'EMFILE']
    return faults.map((fault) => [operation, fault] as const)
  })

  test.each(cases)(
    '%s with %s: every record is published once',
    { timeout: 120_000 },
    async (operation, fault) => {
      const isSync = syncs.includes(operation)
      for (const persistent of fault === 'SHORT' || fault === 'EINTR' ? [false] : [false, true]) {
        for (let nth = 1; ; nth += stride(nth)) {
          const path = createMemoryFolder()
          const faulty = createFaultyDisk()
          failNth(faulty, operation, nth, fault, persistent)
          if (operation !== 'publishFile') stepByStep(faulty)
          const spool = createSpool(
            { path, size: 2000, workers: 2, durability: isSync ? 'disk' : 'os' },
            faulty.disk
          )
          const writes = records(40).map((one) => spool.write(one))
          writes.push(spool.write(`long ${'y'.repeat(200_000)}\n`))
          const flushed = spool.flush().catch((error) => error)
          if (persistent) {
            await delay(60)
            faulty.fault = () => undefined
          }
          expect((await Promise.all(writes)).every((taken) => taken)).toBe(true)
          const reached = (faulty.calls.get(operation) ?? 0) >= nth
          const error = await flushed
          // Only the sync of the folder comes after publication, so only it cannot be made good.
          if (operation !== 'fsyncAsync') expect(error).toBeUndefined()
          else if (error !== undefined) expect(error).toMatchObject({ code: 'ERR_SYNC' })
          await spool.close()
          const expected = sorted(`${records(40).join('')}long ${'y'.repeat(200_000)}\n`)
          expect(sorted(publishedText(path)), `call ${nth}`).toEqual(expected)
          expect(readdirSync(path).filter((name) => name.endsWith('.tmp'))).toEqual([])
          expect(spool.stats()).toMatchObject({ dropped: 0, queuedBytes: 0, state: 'closed' })
          if (!reached) break
        }
      }
    }
  )

  test('flushSync throws what it cannot do, and what it could not do is done later', async () => {
    const path = createMemoryFolder()
    const faulty = createFaultyDisk()
    const spool = createSpool({ path }, faulty.disk)
    await spool.write('x')
    failNth(faulty, 'renameNoReplace', 1, 'EIO')
    expect(() => spool.flushSync()).toThrow('EIO')
    spool.flushSync()
    expect(publishedText(path)).toBe('x')
  })
})

describe('a file that is published in the background', () => {
  test('flushSync finishes it: every record is published once', async () => {
    const path = createMemoryFolder()
    const spool = createSpool({ path, size: 2000, workers: 2 })
    const writes = records(100).map((one) => spool.write(one))
    spool.flushSync()
    expect(sorted(publishedText(path))).toEqual(sorted(records(100).join('')))
    expect(await Promise.all(writes)).not.toContain(false)
    await spool.write(record(100))
    await spool.close()
    expect(sorted(publishedText(path))).toEqual(sorted(records(101).join('')))
    expect(spool.stats()).toMatchObject({ records: 101, dropped: 0, queuedBytes: 0 })
  })

  test('process.exit finishes it', () => {
    const path = createMemoryFolder()
    const code = `
    import { Spool } from ${built('index.js')}
    const spool = new Spool({ path: ${JSON.stringify(path)}, size: 2000, timeout: '60s' })
    for (let number = 0; number < 1000; number++) spool.write(number + ' ' + 'x'.repeat(400) + '\\n')
    process.exit()`
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code])
    expect([status, stderr.toString()]).toEqual([0, ''])
    const numbers = sorted(publishedText(path)).map((line) => Number(line.split(' ')[0]))
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, number) => number))
    expect(hiddenNames(path).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  /** A disk whose background never gets to a file; `hasBegun` if it is stuck in the midst of it. */
  function stuck(hasBegun: boolean): Disk {
    return new Proxy(createFaultyDisk().disk, {
      get(disk, name: Operation) {
        if (name === 'publishFile') return () => 1
        if (name === 'settlePublication') return () => (hasBegun ? undefined : false)
        if (name === 'abandonPublication') return () => true
        return disk[name]
      }
    })
  }

  test('that never begins is published in the ordinary way', async () => {
    const path = createMemoryFolder()
    const spool = createSpool({ path, size: 2000, workers: 2 }, stuck(false))
    const writes = records(40).map((one) => spool.write(one))
    expect(await Promise.all(writes)).not.toContain(false)
    await spool.close()
    expect(sorted(publishedText(path))).toEqual(sorted(records(40).join('')))
    expect(spool.stats()).toMatchObject({ records: 40, dropped: 0 })
  })

  test('that never ends: close gives up in time, says what is lost, and writes nothing afterwards', {
    timeout: 20_000
  }, async () => {
    const path = createMemoryFolder()
    const spool = impatient(() => createSpool({ path }, stuck(true)))
    for (const one of records(10)) await spool.write(one)
    await expect(spool.close()).rejects.toMatchObject({ code: 'ERR_LOST' })
    await delay(200)
    expect(publishedNames(path)).toEqual([])
    expect(spool.stats()).toMatchObject({ records: 0, dropped: 10, state: 'closed' })
  })

  test.skipIf(native.backend === 'fallback')('needs no other thread of the program', async () => {
    const path = createMemoryFolder()
    const faulty = createFaultyDisk()
    const spool = createSpool({ path, size: 2000 }, faulty.disk)
    for (const one of records(100)) await spool.write(one)
    await spool.close()
    expect(faulty.calls.get('publishFile')).toBe(publishedNames(path).length)
    expect(faulty.calls.get('openAsync')).toBeUndefined()
  })
})

describe('a sync that fails', () => {
  test('the file is written anew: its second sync would prove nothing', async () => {
    const path = createMemoryFolder()
    const faulty = createFaultyDisk()
    const fds: unknown[] = []
    let failed: unknown
    faulty.fault = (operation, _call, [fd]) => {
      if (operation !== 'fdatasyncAsync') return undefined
      fds.push(fd)
      if (failed !== undefined) return undefined
      failed = fd
      return 'EIO'
    }
    const spool = createSpool({ path, durability: 'disk', size: 1000, workers: 1 }, faulty.disk)
    await spool.write('x'.repeat(300_000))
    await spool.flush()
    expect(publishedText(path) === 'x'.repeat(300_000)).toBe(true)
    expect(fds.length).toBe(2)
    expect(spool.stats().dropped).toBe(0)
  })

  test('a file that does not read back as written is not published, and counted as lost', async () => {
    const path = createMemoryFolder()
    const faulty = createFaultyDisk()
    failNth(faulty, 'fdatasyncAsync', 1, 'EIO')
    const lying = new Proxy(faulty.disk, {
      get: (disk, name: Operation) => (name === 'readAsync' ? readZeros : disk[name])
    })
    const spool = createSpool({ path, durability: 'disk', size: 1000, workers: 1 }, lying)
    const warnings: string[] = []
    spool.on('warning', ({ code }) => warnings.push(code))
    await spool.write('x'.repeat(300_000))
    await spool.flush().catch(() => {})
    await spool.write('after')
    await spool.flush()
    expect(publishedText(path)).toBe('after')
    expect(spool.stats().dropped).toBe(1)
    expect(warnings).toContain('ERR_LOST')
    await expect(spool.close()).rejects.toMatchObject({ code: 'ERR_LOST' })
  })
})

describe('real file systems', () => {
  test.skipIf(!canMount)('a full disk: records wait, then every one is published once', async () => {
    const path = mountTmpfs('4m')
    const spool = createSpool({ path, size: 8192, timeout: '30s' })
    const events: string[] = []
    spool.on('degraded', ({ code }) => events.push(code)).on('recovered', () => events.push('recovered'))
    await spool.write(record(0))
    await spool.flush()
    const makeSpace = fill(path)
    const writes = records(500)
      .slice(1)
      .map((one) => spool.write(one))
    await delay(300)
    expect(spool.stats().state).toBe('degraded')
    makeSpace()
    expect((await Promise.all(writes)).every((taken) => taken)).toBe(true)
    await spool.close()
    const published = publishedNames(path).filter((name) => name.endsWith('.log'))
    expect(published.length).toBeGreaterThan(5)
    expect(sorted(publishedText(path))).toEqual(sorted(records(500).join('')))
    expect(events).toEqual(['ENOSPC', 'recovered'])
  })

  test.skipIf(!canMount)(
    'a disk that stays full: close says what is lost, in time',
    { timeout: 40_000 },
    async () => {
      const path = mountTmpfs('1m')
      const spool = impatient(() => createSpool({ path, size: 8192 }))
      fill(path)
      for (const one of records(10)) await spool.write(one)
      const start = performance.now()
      await expect(spool.close()).rejects.toMatchObject({ code: 'ERR_LOST' })
      // A second counted in turns of the event loop, which a busy machine makes longer.
      expect(performance.now() - start).toBeLessThan(10_000)
      expect(spool.stats()).toMatchObject({ dropped: 10, state: 'closed' })
    }
  )

  test.skipIf(!canMount)(
    'temp on another file system: copied, with one warning, nothing left behind',
    async () => {
      const path = createMemoryFolder()
      const temp = mountTmpfs('4m')
      const spool = createSpool({ path, temp, size: 2000, permission: 0o440 })
      const warnings: string[] = []
      spool.on('warning', ({ code }) => warnings.push(code))
      for (const one of records(100)) await spool.write(one)
      await spool.close()
      expect(sorted(publishedText(path))).toEqual(sorted(records(100).join('')))
      for (const name of publishedNames(path)) expect(statSync(join(path, name)).mode & 0o777).toBe(0o440)
      expect([...hiddenNames(path), ...hiddenNames(temp)]).toEqual([])
      expect(warnings).toEqual(['EXDEV'])
    }
  )

  test('a path nobody may write to: the records wait in temp files, and are published by the next spool', async (context) => {
    if (process.getuid?.() === 0) context.skip('root may write everywhere')
    const path = createMemoryFolder()
    const temp = createMemoryFolder()
    chmodSync(path, 0o500)
    const spool = createSpool({ path, temp })
    await spool.write('patient')
    await expect(spool.close()).resolves.toBeUndefined()
    chmodSync(path, 0o700)
    const next = createSpool({ path, temp })
    await expect.poll(() => publishedText(path)).toBe('patient')
    await next.close()
  })
})

describe.skipIf(!native.canLock)('recovery (needs kernel locks)', () => {
  /** A spool that ends without publishing: its rename always fails, and it gives up. */
  async function leaveBehind(path: string, temp: string, text: string): Promise<void> {
    const faulty = createFaultyDisk()
    failNth(faulty, 'renameNoReplace', 1, 'EROFS', true)
    stepByStep(faulty)
    const options = { path, temp, prefix: 'dead-', fallback: false, timeout: '10s' } as const
    const spool = withInternals({ disk: faulty.disk, stallMs: 1_000 }, () => new Spool(options))
    await spool.write(text)
    // What is in the temp file is not lost, so closing is no failure.
    await spool.close()
  }

  test('what a spool could not publish is published by the next one, under the old prefix', {
    timeout: 20_000
  }, async () => {
    const path = createMemoryFolder()
    await leaveBehind(path, path, 'left behind')
    expect(publishedNames(path)).toEqual([])
    expect(hiddenNames(path).length).toBe(2)
    const spool = createSpool({ path, prefix: 'new-' })
    await expect.poll(() => publishedText(path)).toBe('left behind')
    expect(publishedNames(path)[0]).toMatch(/^dead-0_\d{19}\.log$/)
    expect(spool.stats().recoveredFiles).toBe(1)
    await spool.close()
    expect(hiddenNames(path)).toEqual([])
  })

  test('a spool leaves alone what was to be published elsewhere', { timeout: 20_000 }, async () => {
    const root = createMemoryFolder()
    const [one, other, temp] = ['one', 'other', 'temp'].map((name) => join(root, name))
    mkdirSync(one)
    mkdirSync(temp)
    await leaveBehind(one, temp, 'for one')
    const wrong = createSpool({ path: other, temp })
    await delay(50)
    await wrong.close()
    expect(hiddenNames(temp).length).toBe(2)
    const right = createSpool({ path: one, temp })
    await expect.poll(() => publishedText(one)).toBe('for one')
    await right.close()
    expect(hiddenNames(temp)).toEqual([])
  })

  test('a live spool of the same process is left alone', async () => {
    const path = createMemoryFolder()
    const first = createSpool({ path, size: 1000 })
    await first.write('x'.repeat(70_000))
    await first.write('y')
    const second = createSpool({ path })
    await delay(50)
    await first.write('z')
    await first.close()
    await second.close()
    expect(publishedText(path) === `${'x'.repeat(70_000)}yz`).toBe(true)
  })
})

async function readZeros(_fd: number, buffer: Uint8Array, offset: number, length: number): Promise<number> {
  buffer.fill(0, offset, offset + length)
  return length
}
