// Sinks that take their records from a ring which somebody else fills.
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import type { AppendPlace } from '../../../src/core/lane/append-journal.ts'
import { LaneSource } from '../../../src/core/lane/lane-source.ts'
import { addSource, removeSource } from '../../../src/core/lane/settle.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { SharedFile } from '../../../src/core/shared-file/shared-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { groupBackups } from '../../../src/formats/backup-name.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { createFaultyDisk, failNth } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { createLane, onLane } from '../../helpers/lane-sink.ts'
import { random } from '../../helpers/random.ts'
import { until } from '../../helpers/until.ts'

const lock = native.canLock

function readLog(folder: string): string {
  const backups = groupBackups('a.log', readdirSync(folder)).map(({ name }) => name)
  return [...backups, 'a.log'].map((name) => readFileSync(join(folder, name), 'latin1')).join('')
}

test('what is put into the ring is in the file at the latest after the flush interval, in order, and taken out', async () => {
  const folder = createFolder()
  const lane = createLane()
  const file = onLane(
    lane,
    () => new RotatingFile({ path: join(folder, 'a.log'), lock, flushInterval: '5ms' })
  )
  lane.ring.append('one\n')
  lane.ring.append('two\nthree\n')
  file.pull()
  await until(() => readLog(folder) === 'one\ntwo\nthree\n')
  expect(lane.ring.drained).toBe(lane.ring.written)
  expect(file.stats()).toMatchObject({ records: 3, queuedBytes: 0 })
  await file.close()
})

test('records that are rotated between are neither lost nor repeated, whatever the records of the ring are', async () => {
  const folder = createFolder()
  const lane = createLane(16 * 1024)
  const options = {
    path: join(folder, 'a.log'),
    lock,
    maxBytes: 1000,
    maxBackups: 0,
    fallback: false
  } as const
  const file = onLane(lane, () => new RotatingFile(options))
  let expected = ''
  for (let i = 0; i < 2_000; ) {
    let record = ''
    for (let lines = 1 + Math.floor(random() * 4); lines > 0; lines--) {
      record += `${i++} ${'x'.repeat(Math.floor(random() * 300))}\n`
    }
    while (!lane.ring.append(record)) await file.flushLines()
    expected += record
  }
  await file.flushLines()
  expect(readLog(folder) === expected).toBe(true)
  expect(lane.ring.drained).toBe(lane.ring.written)
  await file.close()
})

test('a prefix and frames are put on by the sink, one for each line or one for each record', async () => {
  const folder = createFolder()
  const text = createLane()
  const file = onLane(text, () => new RotatingFile({ path: join(folder, 'a.log'), lock, prefix: '> ' }))
  text.ring.append('one\ntwo\n')
  text.ring.append('not ended')
  file.flushSync()
  expect(readFileSync(join(folder, 'a.log'), 'utf8')).toBe('> one\n> two\n> not ended\n')
  await file.close()

  for (const [unit, payloads] of [
    ['line', ['a', 'b', 'c']],
    ['record', ['a\nb', 'c']]
  ] as const) {
    const lane = createLane(4096, unit)
    const binary = onLane(
      lane,
      () => new BinaryFile({ path: join(folder, `${unit}.bin`), lock, maxBytes: '1m' })
    )
    lane.ring.append('a\nb\n')
    lane.ring.append('c\n')
    binary.flushSync()
    expect([...binary.read()]).toEqual(payloads)
    await binary.close()
  }
})

test('while writing fails, records stay in the ring, and all of them follow in order', async () => {
  const folder = createFolder()
  const faulty = createFaultyDisk()
  const lane = createLane()
  const file = withInternals({ disk: faulty.disk, lane }, () => {
    return new RotatingFile({ path: join(folder, 'a.log'), lock: false, fallback: false })
  })
  lane.ring.append('one\n')
  file.flushSync()
  failNth(faulty, 'write', 1, 'ENOSPC', true)
  lane.ring.append('two\n')
  expect(() => file.flushSync()).toThrow('ENOSPC')
  expect(lane.ring.drained).toBeLessThan(lane.ring.written)
  lane.ring.append('three\n')
  faulty.fault = () => undefined
  await file.flushLines()
  expect(readLog(folder)).toBe('one\ntwo\nthree\n')
  await file.close()
})

test('with durability disk the ring keeps records until they are, and they are written again after a failed sync', async () => {
  const folder = createFolder()
  const faulty = createFaultyDisk()
  const lane = createLane()
  const file = withInternals({ disk: faulty.disk, lane }, () => {
    return new RotatingFile({ path: join(folder, 'a.log'), lock: false, durability: 'disk', fallback: false })
  })
  lane.ring.append('one\n')
  file.flushSync()
  expect(lane.ring.drained).toBe(lane.ring.written)
  failNth(faulty, 'fdatasync', 1, 'EIO')
  lane.ring.append('two\n')
  expect(() => file.flushSync()).toThrow('EIO')
  expect(lane.ring.drained).toBeLessThan(lane.ring.written)
  await file.flushLines()
  expect(lane.ring.drained).toBe(lane.ring.written)
  expect(readFileSync(join(folder, 'a.log'), 'utf8')).toBe('two\n')
  await file.close()
})

test('what is left in a ring that ends with the process is counted as lost', async () => {
  const folder = createFolder()
  const faulty = createFaultyDisk()
  const lane = createLane()
  const file = withInternals({ disk: faulty.disk, lane }, () => {
    return new RotatingFile({ path: join(folder, 'a.log'), lock: false, fallback: false })
  })
  failNth(faulty, 'write', 1, 'ENOSPC', true)
  lane.ring.append('one\ntwo\n')
  file.hurry()
  await expect(file.close()).rejects.toMatchObject({ code: 'ERR_LOST' })
  expect(file.stats().dropped).toBe(2)
})

test.runIf(native.canLock)(
  'a ring that is settled while a batch of another one is on its way to the file does not change that batch',
  async () => {
    const folder = createFolder()
    const path = join(folder, 'a.log')
    // A writer that died in the middle of an append from its ring, after half of it.
    const dead = createLane()
    for (let i = 0; i < 100; i++) dead.ring.append(`dead ${i}\n`)
    const head = new LaneSource(dead.ring, { unit: 'text' }, dead.id).head(1_000_000)
    const file = new SharedFile(
      realDisk,
      path,
      { lock: true, mode: 0o600, dirMode: 0o700, mkdir: true },
      'close',
      hooks,
      {
        writes: 0,
        syncs: 0
      }
    )
    const source = new LaneSource(dead.ring, { unit: 'text' }, dead.id)
    source.head(1_000_000)
    const lane = createLane()
    const sink = onLane(lane, () => new RotatingFile({ path }))
    for (let i = 0; i < 100; i++) lane.ring.append(`a much longer record that is alive ${i}\n`)
    file.enter(1_000)
    const journal = {
      isUnsettled: false,
      settle: () => {},
      isNoting: true,
      lane: dead.id,
      appending(place: AppendPlace) {
        source.appending(place)
        // It dies here, with half of the records in the file.
        appendFileSync(path, head.subarray(0, 450))
        throw new Error('died')
      },
      appended: () => {}
    }
    expect(() => file.append(head, 0, head.length, journal)).toThrow('died')
    file.abandon()
    const settled = new LaneSource(dead.ring, { unit: 'text' }, dead.id)
    addSource(settled)
    sink.flushSync()
    removeSource(settled)
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    const alive = lines.filter((line) => !line.startsWith('dead'))
    expect(alive).toEqual(Array.from({ length: 100 }, (_, i) => `a much longer record that is alive ${i}`))
    const left = settled.head(1_000_000).toString()
    const kept = lines.length - alive.length
    expect(kept).toBeGreaterThan(10)
    expect(left.split('\n')[0]).toBe(`dead ${kept}`)
    await sink.close()
  }
)

const hooks = {
  wholeEnd: () => expect.unreachable('nothing to repair here'),
  repaired: () => {},
  backupFolder: '.',
  failed: () => {},
  cannotSync: () => {},
  settle: () => {}
}
