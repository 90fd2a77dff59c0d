// Once a file has its name nothing publishes its records again, and nothing that goes wrong in the folders makes records
// be lost or counted wrongly.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Spool } from '../../../src/core/spool/spool.ts'
import type { SpoolLines } from '../../../src/core/spool/spool-lines.ts'
import { type Disk, realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { createLines, createSpool, eventsOf, impatient } from '../../helpers/create-spool.ts'
import { createFaultyDisk, type FaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { canMount, fill, mountTmpfs } from '../../helpers/mount.ts'
import { built } from '../../helpers/script.ts'
import { isLong } from '../../helpers/sized.ts'
import { hiddenNames, publishedNames, publishedText } from '../../helpers/spool.ts'

const records = Array.from({ length: 60 }, (_, index) => `record ${index} ${'x'.repeat(index % 90)}\n`)
const long = `long ${'y'.repeat(150_000)}\n`
const expected = [...records, long].join('').split('\n').sort()
const sorted = (text: string): string[] => text.split('\n').sort()

/** Files are published step by step. */
function stepByStep(faulty: FaultyDisk): void {
  faulty.fault = (operation) => (operation === 'publishFile' ? 'EIO' : undefined)
}

type Kind = 'spool' | 'lines'

async function writeAll(
  kind: Kind,
  path: string,
  disk: Disk,
  durability: 'os' | 'disk'
): Promise<Spool | SpoolLines> {
  const options = { path, durability, size: 1000, workers: 2 }
  if (kind === 'lines') {
    const lines = createLines(options, disk)
    for (const record of [...records, long]) lines.write(record)
    await lines.flush()
    return lines
  }
  const spool = createSpool(options, disk)
  const writes = [...records, long].map((record) => spool.write(record))
  await spool.flush()
  expect(await Promise.all(writes)).not.toContain(false)
  return spool
}

describe.each<[Kind, 'os' | 'disk']>([
  ['spool', 'os'],
  ['spool', 'disk'],
  ['lines', 'os'],
  ['lines', 'disk']
])('%s at %s', (kind, durability) => {
  test('close(2) fails: the records are published once', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    stepByStep(faulty)
    const { fault } = faulty
    faulty.fault = (operation, call, args) => {
      // The descriptor is closed all the same, as Linux does it.
      if (operation !== 'close') return fault(operation, call, args)
      realDisk.close(args[0] as number)
      return 'EIO'
    }
    const spool = await writeAll(kind, path, faulty.disk, durability)
    await spool.close()
    expect(sorted(publishedText(path))).toEqual(expected)
    expect(spool.stats()).toMatchObject({ dropped: 0, queuedBytes: 0 })
  })

  test('a rename says that it failed although it was made, as over a network: published once', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    stepByStep(faulty)
    const { disk } = faulty
    let count = 0
    const forgetful = new Proxy(disk, {
      get(target, name: keyof Disk) {
        if (name !== 'renameNoReplace') return target[name]
        return (from: string, to: string) => {
          realDisk.renameNoReplace(from, to)
          if (count++ % 2 === 0)
            throw Object.assign(new Error('ENOENT: the answer was lost'), { code: 'ENOENT' })
        }
      }
    })
    const spool = await writeAll(kind, path, forgetful, durability)
    await spool.close()
    expect(sorted(publishedText(path))).toEqual(expected)
    expect(hiddenNames(path)).toEqual([])
  })

  test('the folder is removed between records: made again, nothing is lost or doubled', async () => {
    const root = createFolder()
    const [path, temp] = [join(root, 'out'), join(root, 'temp')]
    const options = { path, temp, durability, size: 1000, workers: 2, dirMode: 0o700 }
    const spool = kind === 'lines' ? createLines(options) : createSpool(options)
    const collected: string[] = []
    for (let round = 0; round < 6; round++) {
      const part = records.slice(round * 10, round * 10 + 10)
      for (const record of part) await spool.write(record)
      if (round % 2 === 0) {
        await spool.flush()
        collected.push(publishedText(path))
        rmSync(path, { recursive: true })
      } else rmSync(temp, { recursive: true, force: true })
    }
    if (!readdirSync(root).includes('out')) mkdirSync(path)
    await spool.flush()
    collected.push(publishedText(path))
    await spool.close()
    expect(sorted(collected.join(''))).toEqual(sorted(records.join('')))
    expect(spool.stats()).toMatchObject({ records: 60, dropped: 0 })
  })

  test('the folder is removed under files that are full: the same', async () => {
    const path = join(createFolder(), 'spool')
    const options = { path, durability, size: 300, workers: 2 }
    const spool = kind === 'lines' ? createLines(options) : createSpool(options)
    const collected: string[] = []
    for (let round = 0; round < 3; round++) {
      for (const record of records.slice(round * 20, round * 20 + 20)) void spool.write(record)
      await spool.flush()
      collected.push(publishedText(path))
      rmSync(path, { recursive: true })
    }
    await spool.close()
    expect(sorted(collected.join(''))).toEqual(sorted(records.join('')))
  })

  test.skipIf(!canMount)('a disk that is full when the spool is opened is waited for', async () => {
    const path = mountTmpfs('4m')
    const makeSpace = fill(path)
    const options = { path: join(path, 'spool'), durability, size: 1000, workers: 2 }
    const spool = kind === 'lines' ? createLines(options) : createSpool(options)
    const events = eventsOf(spool)
    for (const record of records) void spool.write(record)
    const flushed = spool.flush()
    await expect.poll(() => spool.stats().state).toBe('degraded')
    makeSpace()
    await flushed
    await spool.close()
    expect(sorted(publishedText(options.path))).toEqual(sorted(records.join('')))
    expect(events.filter((event) => event === 'degraded').length).toBeLessThanOrEqual(1)
  })
})

describe('closing', () => {
  /** Every publication takes `delayMs`. */
  function slowDisk(delayMs: number): Disk {
    const faulty = createFaultyDisk()
    stepByStep(faulty)
    const { disk } = faulty
    return new Proxy(disk, {
      get(target, name: keyof Disk) {
        if (name !== 'writeAsync') return target[name]
        return async (...args: Parameters<Disk['writeAsync']>) => {
          await delay(delayMs)
          return realDisk.writeAsync(...args)
        }
      }
    })
  }

  test('takes the time it needs as long as something gets done', { timeout: 40_000 }, async (context) => {
    if (!isLong) context.skip('takes ten seconds: npm run test:long')
    const path = createFolder()
    const spool = createSpool({ path, size: 10, workers: 1 }, slowDisk(1_000))
    const writes = Array.from({ length: 20 }, (_, index) => spool.write(`record ${index}\n`))
    const start = performance.now()
    await spool.close()
    expect(performance.now() - start).toBeGreaterThan(9_000)
    expect(await Promise.all(writes)).not.toContain(false)
    expect(sorted(publishedText(path)).filter(Boolean).length).toBe(20)
  })

  test('gives up after eight seconds in which nothing gets done, counts exactly, and does nothing afterwards', {
    timeout: 40_000
  }, async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const spool = createSpool({ path, size: 100, workers: 3, timeout: '60s' }, faulty.disk)
    faulty.fault = (operation) =>
      ['publishFile', 'openAsync', 'open'].includes(operation) ? 'ENOSPC' : undefined
    const taken: boolean[] = []
    const writes = records.map((record) => spool.write(record).then((one) => taken.push(one)))
    const start = performance.now()
    const error = await spool.close().catch((failure) => failure)
    expect(performance.now() - start).toBeGreaterThan(7_500)
    await Promise.all(writes)
    expect(taken).toContain(true)
    expect(taken).toContain(false)
    expect(error).toMatchObject({ code: 'ERR_LOST' })
    // Who writes through a stream is not told of each record.
    expect(error.message).toContain(`closed with ${records.length} records`)
    expect(spool.stats()).toMatchObject({ records: 0, dropped: 60, state: 'closed' })
    faulty.fault = () => undefined
    const calls = [...faulty.calls.values()].reduce((sum, count) => sum + count, 0)
    await delay(1_500)
    expect([...faulty.calls.values()].reduce((sum, count) => sum + count, 0)).toBe(calls)
    expect(readdirSync(path)).toEqual([])
    expect(await spool.write('late').catch((failure) => failure)).toMatchObject({ code: 'ERR_CLOSED' })
  })

  test('of a flush that can never be done: the flush rejects, too', { timeout: 20_000 }, async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const spool = impatient(() => createSpool({ path }, faulty.disk))
    faulty.fault = (operation) =>
      ['publishFile', 'openAsync', 'open'].includes(operation) ? 'ENOSPC' : undefined
    await spool.write('x')
    const flushed = spool.flush().catch((failure) => failure)
    await expect(spool.close()).rejects.toMatchObject({ code: 'ERR_LOST' })
    expect(await flushed).toMatchObject({ code: 'ERR_IO' })
  })

  test('a process that is stopped meanwhile has not used up its time', {
    timeout: 60_000
  }, async (context) => {
    if (!isLong) context.skip('takes ten seconds: npm run test:long')
    const path = createFolder()
    const code = `
    import { Spool } from ${built('index.js')}
    const spool = new Spool({ path: ${JSON.stringify(path)}, size: 4096, timeout: '60s' })
    for (let number = 0; number < 30_000; number++) spool.write(number + ' ' + 'x'.repeat(100) + '\\n')
    process.on('message', () => spool.close().then(() => process.exit(0), (error) => process.exit(7)))
    process.send('ready')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'message')
    child.send('close')
    child.kill('SIGSTOP')
    await delay(9_000)
    child.kill('SIGCONT')
    const [status] = await once(child, 'exit')
    expect(status).toBe(0)
    expect(sorted(publishedText(path)).filter(Boolean).length).toBe(30_000)
  })
})

describe.skipIf(!native.canLock)('recovery (needs kernel locks)', () => {
  test('a manifest whose writes are short is whole: what it speaks for is recovered, not set aside', {
    timeout: 30_000
  }, async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    faulty.fault = (operation) =>
      operation === 'write' ? 'SHORT' : operation === 'renameNoReplace' ? 'EROFS' : undefined
    const dead = impatient(() => createLines({ path, workers: 2 }, faulty.disk))
    dead.write('left behind\n')
    await dead.close()
    expect(publishedNames(path)).toEqual([])
    const next = createSpool({ path })
    const events = eventsOf(next)
    await expect.poll(() => publishedText(path)).toBe('left behind\n')
    await next.close()
    expect([hiddenNames(path), events]).toEqual([[], []])
  })

  test('with a second name that somebody gave it a temp file is published all the same', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    faulty.fault = (operation) => (operation === 'renameNoReplace' ? 'EROFS' : undefined)
    const dead = createLines({ path }, faulty.disk)
    dead.write('left behind\n')
    await dead.close()
    const [temp] = hiddenNames(path).filter((name) => name.endsWith('.tmp'))
    linkSync(join(path, temp), join(path, '.link'))
    const next = createSpool({ path })
    await expect.poll(() => publishedText(path)).toBe('left behind\n')
    await next.close()
  })

  test('a temp file that cannot be understood is kept, also beside one kept before', async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    faulty.fault = (operation) => (operation === 'renameNoReplace' ? 'EROFS' : undefined)
    const dead = createLines({ path }, faulty.disk)
    dead.write('left behind\n')
    await dead.close()
    const [temp] = hiddenNames(path).filter((name) => name.endsWith('.tmp'))
    const bytes = readFileSync(join(path, temp))
    chmodSync(join(path, temp), 0o600)
    bytes[0] ^= 1
    writeFileSync(join(path, temp), bytes)
    writeFileSync(join(path, `${temp}.broken`), 'kept before')
    const next = createSpool({ path })
    const events = eventsOf(next)
    await expect.poll(() => events).toEqual(['ERR_CORRUPT'])
    await next.close()
    expect(publishedNames(path)).toEqual([])
    expect(readFileSync(join(path, `${temp}-1.broken`))).toEqual(bytes)
    expect(readFileSync(join(path, `${temp}.broken`), 'utf8')).toBe('kept before')
  })
})

test.skipIf(!native.canLock)(
  'a temp file that was copied and could not be removed is neither published a second time nor left for good',
  async () => {
    const path = createFolder()
    const faulty = createFaultyDisk()
    const lines = createLines({ path, size: 2000 }, faulty.disk)
    faulty.fault = (operation) => (operation === 'unlink' ? 'EIO' : undefined)
    for (const record of records.slice(0, 20)) lines.write(record)
    // Closing overtakes the sync, and what that may still write to must not be published.
    const flushed = lines.flush('disk').catch(() => {})
    await lines.close()
    await flushed
    expect(lines.stats()).toMatchObject({ records: 20, dropped: 0 })
    expect(hiddenNames(path).filter((name) => name.endsWith('.tmp'))).toHaveLength(1)
    const next = createLines({ path }, realDisk)
    await expect.poll(() => hiddenNames(path)).toHaveLength(0)
    await next.close()
    expect(sorted(publishedText(path))).toEqual(sorted(records.slice(0, 20).join('')))
  }
)

test('a flush under way at close() opens and writes nothing after it, and says that the sink was closed', async () => {
  const path = createFolder()
  const faulty = createFaultyDisk()
  const lines = createLines({ path, size: 200 }, faulty.disk)
  for (const record of records) lines.write(record)
  const flushed = lines.flush('disk').then(
    () => 'flushed',
    (error) => error.code
  )
  await lines.close()
  const opened = faulty.calls.get('openAsync')
  expect(await flushed).toMatch(/^(flushed|ERR_CLOSED)$/)
  await delay(200)
  expect(faulty.calls.get('openAsync')).toBe(opened)
  expect(publishedText(path)).toBe(records.join(''))
})
