// Statistics files of shared logs: who writes them, who is alive, and that they are never a reason to fail.

import { linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'
import pino from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { statisticsBytes } from '../../../src/formats/statistics-file.ts'
import { native } from '../../../src/native/index.ts'
import { readStatistics } from '../../../src/readers/statistics.ts'
import { createFolder } from '../../helpers/folder.ts'
import { built, startProcess } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'

const fileOf = (path: string) => join(path, '..', '.app.log.stats')

function createSink(path = join(createFolder(), 'app.log')): RotatingFile {
  const sink = new RotatingFile({ path, statistics: true, maxBytes: '1m' })
  onTestFinished(() => sink.close().catch(() => {}))
  return sink
}

describe.skipIf(!native.canLock)('a writer with statistics (where the kernel has locks for us)', () => {
  test('has a private record that follows its counters, and is given free when it closes', async () => {
    const sink = createSink()
    sink.write('one\ntwo\n')
    await sink.flush()
    await until(async () => (await readStatistics(sink.path))?.[0]?.records === 2)
    const [writer] = (await readStatistics(sink.path)) ?? []
    expect(writer).toMatchObject({
      pid: process.pid,
      isAlive: true,
      state: 'open',
      bytes: 8,
      dropped: 0,
      queuedBytes: 0,
      maxBytes: 1024 * 1024
    })
    expect(statSync(fileOf(sink.path)).mode & 0o777).toBe(0o600)
    sink.write('three\n')
    await sink.close()
    expect(await readStatistics(sink.path)).toMatchObject([{ isAlive: false, state: 'closed', records: 3 }])
  })

  test('writes it at most once a second, however much it writes to the log', async () => {
    const sink = createSink()
    const beganAtMs = Date.now()
    let changes = 0
    let last = ''
    while (Date.now() - beganAtMs < 1500) {
      sink.write('a line\n')
      await sink.flush()
      const now = readFileSync(fileOf(sink.path), 'hex')
      if (now !== last) changes++
      last = now
    }
    expect(changes).toBeLessThanOrEqual(3)
  })

  test('takes less than a hundredth of the time of a run of pino', { timeout: 120_000 }, async () => {
    const path = join(createFolder(), 'app.log')
    const sink = new RotatingFile({ path, statistics: true, maxBytes: '10m', maxBackups: 1 })
    const logger = pino(sink)
    const session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: 100 })
    await session.post('Profiler.start')
    const untilMs = Date.now() + sized(20_000, 2_500)
    while (Date.now() < untilMs) {
      for (let n = 0; n < 200; n++) logger.info({ n }, 'request completed')
      await new Promise((resolve) => setImmediate(resolve))
    }
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    await sink.close()
    const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
    const count = (isMeant: (node: (typeof profile.nodes)[number]) => boolean): number => {
      const meant = new Set<number>()
      const visit = (id: number, isInside: boolean): void => {
        const node = nodes.get(id) as (typeof profile.nodes)[number]
        const inside = isInside || isMeant(node)
        if (inside) meant.add(id)
        for (const child of node.children ?? []) visit(child, inside)
      }
      visit(profile.nodes[0].id, false)
      return (profile.samples ?? []).filter((id) => meant.has(id)).length
    }
    const all = count(() => true) - count(({ callFrame }) => callFrame.functionName === '(idle)')
    const own = count(({ callFrame }) => /shared-file\/statistics\.ts/.test(callFrame.url))
    const written = count(({ callFrame }) => /shared-file-target\.ts/.test(callFrame.url))
    console.log(`statistics: ${own} of ${all} samples, ${((100 * own) / all).toFixed(2)} %`)
    // The profile knows the files by these names.
    expect(written).toBeGreaterThan(all / 100)
    expect(own / all).toBeLessThan(0.01)
  })

  test('counts syncs by how long they took', async () => {
    const sink = createSink()
    sink.write('a\n')
    await sink.flush('disk')
    await sink.close()
    const [writer] = (await readStatistics(sink.path)) ?? []
    expect(writer.syncLatency.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(1)
  })

  test('that is killed is seen as dead, and its record is kept beside those of others', async () => {
    const path = join(createFolder(), 'app.log')
    const child = await startProcess(`import { RotatingFile } from ${built('index.js')}
      const sink = new RotatingFile({ path: ${JSON.stringify(path)}, statistics: true })
      sink.write('a line\\n')
      await sink.flush()
      console.log('ready')
      setInterval(() => {}, 1000)`)
    const sink = createSink(path)
    await until(async () => (await readStatistics(path))?.length === 2)
    expect((await readStatistics(path))?.map(({ isAlive }) => isAlive)).toEqual([true, true])
    child.kill('SIGKILL')
    await until(async () => (await readStatistics(path))?.[0].isAlive === false)
    expect(await readStatistics(path)).toMatchObject([
      { pid: child.pid, isAlive: false, state: 'open' },
      { pid: process.pid, isAlive: true }
    ])
    await sink.close()
  })

  test('takes the record of one that is gone when many have been there', async () => {
    const path = join(createFolder(), 'app.log')
    for (let turn = 0; turn < 70; turn++) await createSink(path).close()
    expect(statSync(fileOf(path)).size).toBe(64 * statisticsBytes)
    expect((await readStatistics(path))?.every(({ isAlive }) => !isAlive)).toBe(true)
  })

  test.each<[string, (file: string) => void]>([
    ['a folder', (file) => mkdirSync(file)],
    [
      'a link',
      (file) => {
        writeFileSync(`${file}.x`, 'private')
        symlinkSync(`${file}.x`, file)
      }
    ],
    [
      'a second name of a file',
      (file) => {
        writeFileSync(`${file}.x`, '')
        linkSync(`${file}.x`, file)
      }
    ],
    ['a file that is none of ours', (file) => writeFileSync(file, 'private text')]
  ])('goes on without where %s is in the place of the file', async (_what, plant) => {
    const path = join(createFolder(), 'app.log')
    plant(fileOf(path))
    const sink = createSink(path)
    sink.write('a line\n')
    await sink.close()
    expect(readFileSync(path, 'utf8')).toBe('a line\n')
    if (_what.includes('none')) expect(readFileSync(fileOf(path), 'utf8')).toBe('private text')
    if (_what === 'a link') expect(readFileSync(`${fileOf(path)}.x`, 'utf8')).toBe('private')
  })

  test('needs the lock, and without the option there is no file', async () => {
    const path = join(createFolder(), 'app.log')
    expect(() => new RotatingFile({ path, statistics: true, lock: false })).toThrow('ERR_OPTION')
    expect(() => new BinaryFile({ path, maxBytes: 9, statistics: true, lock: false })).toThrow('ERR_OPTION')
    const sink = new RotatingFile({ path })
    sink.write('a\n')
    await sink.close()
    expect(await readStatistics(path)).toBeUndefined()
  })
})
