// What dead processes have left in their lanes is written by whoever opens the log, and by those who have it open.
import { once } from 'node:events'
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { basename, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import type { LaneFolder } from '../../../src/core/lane/lane-folder.ts'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { LaneOwner, type RingSubject } from '../../../src/core/lane/owner.ts'
import { waitingLanes } from '../../../src/core/lane/waiting.ts'
import { type Kind, sinks } from '../../../src/core/registry.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import type { RecoveredLaneEvent } from '../../../src/core/sink/contract.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { SinkKind } from '../../../src/core/sink/sink-kind.ts'
import { deadLane, livingLane, usualLaneFolder } from '../../helpers/dead-lane.ts'
import { createFaultyDisk, failNth } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { collect } from '../../helpers/read.ts'
import { built, startProcess } from '../../helpers/script.ts'
import { publishedNames } from '../../helpers/spool.ts'
import { until } from '../../helpers/until.ts'

describe.skipIf(!MappedRing.isAvailable)('lanes of the dead (need the addon)', () => {
  let folder: LaneFolder
  let logs: string
  let path: string
  let subject: RingSubject
  beforeEach(() => {
    folder = usualLaneFolder()
    logs = createFolder()
    path = join(logs, 'a.log')
    subject = { path, kind: 'rotating-file', options: { path } }
  })
  const leftovers = (): string[] => readdirSync(folder.path)

  test('are written by the next sink of the log, although it has none itself, and removed', async () => {
    deadLane(folder, subject, ['one\n', 'two\nthree\n'])
    const file = new RotatingFile({ path })
    const events: RecoveredLaneEvent[] = []
    file.on('recovered-lane', (event) => events.push(event))
    file.write('four\n')
    await file.flush()
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\nthree\nfour\n')
    expect(file.stats()).toMatchObject({ records: 4, recovered: 3, lane: 'none' })
    await file.close()
    await until(() => events.length > 0)
    expect(events).toEqual([{ records: 3, bytes: 14, pid: process.pid }])
    expect(leftovers()).toEqual([])
  })

  test('are written although nothing is logged and nobody asks', async () => {
    deadLane(folder, subject, ['one\n'])
    const file = new RotatingFile({ path, flushInterval: '1h' })
    await until(() => readFileSync(path, 'utf8') === 'one\n')
    await file.close()
    deadLane(folder, subject, ['two\n'])
    await new RotatingFile({ path }).close()
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n')
  })

  test('are taken over within seconds by a sink that has the log open, and not before their owner is dead', async () => {
    const living = livingLane(folder, subject, ['one\n'])
    const file = new RotatingFile({ path, lane: { dir: folder.path } })
    file.write('own\n')
    await file.flush()
    const startMs = performance.now()
    await until(() => performance.now() - startMs > 2_500)
    expect(readFileSync(path, 'utf8')).toBe('own\n')
    expect(living.ring.drained).toBe(0)
    living.die()
    await until(() => readFileSync(path, 'utf8') === 'own\none\n')
    await file.close()
    expect(leftovers()).toEqual([])
  })

  test.skipIf(process.platform !== 'linux')(
    'whose owner file somebody has removed are written when who fills them is dead, and not before',
    async () => {
      const living = livingLane(folder, subject, ['one\n'])
      const other = livingLane(folder, { ...subject, path: join(logs, 'b.log') }, [])
      for (const name of leftovers()) if (name.endsWith('.owner')) unlinkSync(join(folder.path, name))
      const isHeld = (): boolean | undefined => waitingLanes(path)[0]?.isHeld
      expect(isHeld()).toBe(true)
      const file = new RotatingFile({ path, lane: { dir: folder.path } })
      file.write('own\n')
      await file.flush()
      expect(readFileSync(path, 'utf8')).toBe('own\n')
      expect(leftovers().filter((name) => !name.endsWith('.owner'))).toHaveLength(3)
      living.die()
      await until(() => readFileSync(path, 'utf8') === 'own\none\n')
      await file.close()
      other.die()
      // An empty ring of whatever log is swept away.
      await new RotatingFile({ path, lane: { dir: folder.path } }).close()
      expect(leftovers()).toEqual([])
    }
  )

  test('of several logs of one owner are written by the sinks of those logs', async () => {
    const other = join(logs, 'b.log')
    deadLane(folder, subject, ['a\n'])
    deadLane(folder, { ...subject, path: other, options: { path: other } }, ['b\n'])
    const file = new RotatingFile({ path })
    await file.flush()
    expect(existsSync(other)).toBe(false)
    const second = new RotatingFile({ path: other })
    await second.close()
    await file.close()
    expect([readFileSync(path, 'utf8'), readFileSync(other, 'utf8')]).toEqual(['a\n', 'b\n'])
    expect(leftovers()).toEqual([])
  })

  test('of which only the owner is left are swept away by the next sink with a lane', async () => {
    const { folder: laneFolder } = LaneOwner.create(folder)
    const living = LaneOwner.create(folder)
    for (const name of readdirSync(laneFolder.path)) {
      if (name.includes(living.id)) continue
      // The kernel frees the lock of a dead process; the file stays.
      const dead = join(laneFolder.path, name)
      const text = readFileSync(dead)
      unlinkSync(dead)
      writeFileSync(dead, text, { mode: 0o600 })
    }
    expect(leftovers()).toHaveLength(2)
    const file = new RotatingFile({ path, lane: { dir: folder.path } })
    await file.close()
    expect(leftovers()).toEqual([`${living.id}.owner`])
    living.close()
  })

  test('in which nothing waits are swept away by the next sink with a lane, of whatever log; others wait for theirs', async () => {
    const other = (name: string): RingSubject => ({ ...subject, path: join(logs, name) })
    deadLane(folder, other('empty.log'), [])
    deadLane(folder, other('full.log'), ['one\n'])
    const living = livingLane(folder, other('living.log'), [])
    expect(leftovers()).toHaveLength(6)
    const file = new RotatingFile({ path, lane: { dir: folder.path } })
    await file.close()
    expect(leftovers()).toHaveLength(4)
    const waiting = waitingLanes(undefined, folder.path).filter((lane) => lane.folder.path === folder.path)
    expect(waiting.map((lane) => basename(lane.path)).toSorted()).toEqual(['full.log', 'living.log'])
    living.die()
  })

  test('are found however the path of the log is spelled', async () => {
    deadLane(folder, subject, ['one\n'])
    await new RotatingFile({ path: join(logs, '..', logs.split('/').at(-1)!, 'a.log') }).close()
    expect(readFileSync(path, 'utf8')).toBe('one\n')
  })

  test('for another kind of sink are left, which is said once', async () => {
    deadLane(folder, { ...subject, kind: 'binary-file' }, ['one'])
    const file = new RotatingFile({ path, lane: { dir: folder.path }, fallback: false })
    const warnings: string[] = []
    file.on('warning', ({ message }) => warnings.push(message))
    const startMs = performance.now()
    await until(() => performance.now() - startMs > 2_500)
    await file.close()
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('logboom recover')
    expect(leftovers().filter((name) => name.endsWith('.ring'))).toHaveLength(1)
  })

  test('that are damaged are left and said to be so, and the log goes on', async () => {
    deadLane(folder, subject, ['one\n'])
    const ring = leftovers().find((name) => name.endsWith('.ring'))!
    const damages: (() => void)[] = [
      () => truncateSync(join(folder.path, ring), 5000),
      () => writeFileSync(join(folder.path, ring), 'no ring'),
      () => writeFileSync(join(folder.path, ring), '')
    ]
    for (const damage of damages) {
      damage()
      const file = new RotatingFile({ path, fallback: false })
      const codes: string[] = []
      file.on('warning', ({ code }) => codes.push(code))
      file.write('x\n')
      await file.close()
      await until(() => codes.length > 0)
      expect(codes).toEqual(['ERR_CORRUPT'])
      expect(leftovers()).toContain(ring)
    }
    expect(readFileSync(path, 'utf8')).toBe('x\nx\nx\n')
  })

  test('with a record that is damaged are written up to there', async () => {
    const { ring, die } = livingLane(folder, subject, ['one\n', 'two\n', 'three\n'])
    const name = leftovers().find((each) => each.endsWith('.ring'))!
    const bytes = readFileSync(ring.path)
    bytes[bytes.indexOf('two\n') - 8] ^= 1
    die()
    writeFileSync(join(folder.path, name), bytes)
    const file = new RotatingFile({ path, fallback: false })
    const codes: string[] = []
    file.on('warning', ({ code }) => codes.push(code))
    await file.flush()
    await file.close()
    await until(() => codes.length > 0)
    expect(readFileSync(path, 'utf8')).toBe('one\n')
    expect(codes).toEqual(['ERR_CORRUPT'])
  })

  test('keep the prefix of the sink that filled them', async () => {
    deadLane(
      folder,
      { ...subject, options: { path, prefix: { base64: Buffer.from('> ').toString('base64') } } },
      ['one\n']
    )
    await new RotatingFile({ path, prefix: '# ' }).close()
    expect(readFileSync(path, 'utf8')).toBe('> one\n')
  })

  test('hold payloads, with line ends inside, of which each is one record again', async () => {
    deadLane(folder, { path, kind: 'binary-file', options: { path, maxBytes: 1000 }, unit: 'payload' }, [
      'a\nb',
      '',
      'c\n'
    ])
    const file = new BinaryFile({ path, maxBytes: 1000 })
    expect([...file.read()]).toEqual(['a\nb', '', 'c\n'])
    await file.close()
    expect(leftovers()).toEqual([])
  })

  test('with durability disk are removed only when what was in them is on disk', async () => {
    const faulty = createFaultyDisk()
    deadLane(folder, subject, ['one\n'])
    failNth(faulty, 'fdatasyncAsync', 1, 'EIO')
    const file = withInternals({ disk: faulty.disk }, () => {
      return new RotatingFile({ path, durability: 'disk', fallback: false })
    })
    const seen: string[][] = []
    file.on('degraded', () => seen.push(leftovers()))
    await file.flush()
    await file.close()
    expect(seen[0]).toHaveLength(2)
    expect(leftovers()).toEqual([])
    expect(readFileSync(path, 'utf8')).toBe('one\n')
  })

  test('cannot be taken over by two at once: each record is there once', async () => {
    deadLane(
      folder,
      subject,
      Array.from({ length: 1000 }, (_, i) => `${i}\n`)
    )
    const files = [1, 2, 3].map(() => new RotatingFile({ path }))
    await Promise.all(files.map((file) => file.close()))
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(1001)
    expect(leftovers()).toEqual([])
  })

  test('stay where a sink that takes them over cannot write, for the next one', async () => {
    const faulty = createFaultyDisk()
    deadLane(folder, subject, ['one\n', 'two\n'])
    failNth(faulty, 'write', 1, 'ENOSPC', true)
    const options = { path, lock: false, fallback: false } as const
    const file = withInternals({ disk: faulty.disk }, () => new RotatingFile(options))
    file.hurry()
    await file.close()
    expect(file.stats().dropped).toBe(0)
    await new RotatingFile(options).close()
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n')
    expect(leftovers()).toEqual([])
  })

  test.each<Kind>(['rotating-file', 'direct-file', 'spool', 'binary-file', 'wal', 'event-files'])(
    'of a sink of kind %s are written by the next one, in the form of its files',
    async (kind) => {
      const isFolder = kind === 'wal' || kind === 'spool' || kind === 'event-files'
      const place = isFolder ? logs : path
      const given = { [isFolder ? 'dir' : 'path']: place, ...(kind === 'binary-file' && { maxBytes: '1m' }) }
      deadLane(folder, { path: place, kind, options: given }, ['{"a":1}\n', '{"a":2}\n{"a":3}\n'])
      const sink = (sinks[kind] as SinkKind).create(given as never)
      await sink.flush()
      expect(sink.stats()).toMatchObject({ recovered: 3, dropped: 0 })
      await sink.close()
      expect(leftovers()).toEqual([])
      const { lines } = await collect(kind === 'event-files' ? join(logs, 'default.log') : place)
      expect(lines.toSorted()).toEqual(['{"a":1}', '{"a":2}', '{"a":3}'])
    }
  )

  // Published files are read in the order of their publication, whoever has filled them.
  describe('of a spool are published behind what is in the temporary files of the dead', () => {
    const line = (id: number): string => `${JSON.stringify({ id })}\n`
    const laneOf = (from: number, to: number): string[] =>
      Array.from({ length: to - from }, (_, index) => line(from + index))

    /** Leaves records in a temporary file. */
    async function dieInSpool(from: number, to: number): Promise<void> {
      const child = await startProcess(`
        import { sinks } from ${built('core/registry.js')}
        const sink = sinks.spool.create(${JSON.stringify({ path: logs, flushInterval: '1h' })})
        for (let id = ${from}; id < ${to}; id++) sink.write(JSON.stringify({ id }) + '\\n')
        sink.writeNow()
        console.log('ready')
        setInterval(() => {}, 1_000)`)
      const bytes = laneOf(from, to).join('').length
      const names = (): string[] => readdirSync(logs)
      expect(names().some((name) => statSync(join(logs, name)).size === bytes)).toBe(true)
      child.kill('SIGKILL')
      await once(child, 'exit')
      expect(publishedNames(logs)).toEqual([])
    }
    const ids = async (): Promise<number[]> => (await collect(logs)).lines.map((text) => JSON.parse(text).id)

    test('by the next one', async () => {
      await dieInSpool(0, 100)
      deadLane(folder, { path: logs, kind: 'spool', options: { path: logs } }, laneOf(100, 200))
      const sink = (sinks.spool as SinkKind).create({ path: logs, size: 500 } as never)
      await sink.close()
      expect(await ids()).toEqual(Array.from({ length: 200 }, (_, id) => id))
    })

    test('by one that has the folder open', async () => {
      const sink = (sinks.spool as SinkKind).create({
        path: logs,
        size: 500,
        lane: { dir: folder.path }
      } as never)
      await sink.flush()
      await dieInSpool(0, 100)
      deadLane(folder, { path: logs, kind: 'spool', options: { path: logs } }, laneOf(100, 200))
      await until(() => sink.stats().recovered === 100)
      await sink.close()
      expect(await ids()).toEqual(Array.from({ length: 200 }, (_, id) => id))
    })
  })
})
