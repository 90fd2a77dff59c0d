// Trouble with the memory that lanes are in: it is full, by the hand of somebody else, read-only, not there, or not ours.
// Nothing waits for it, and what is not promised any more is said once.
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { nameOf, type Subject } from '../conformance/subject.ts'
import { subjects } from '../conformance/subjects/index.ts'
import { transportClass } from '../conformance/transport-class.ts'
import { together, togetherFor } from '../helpers/at-test-end.ts'
import { createFolder } from '../helpers/folder.ts'
import { canOwnMemory, inOwnMemory, ownMemory } from '../helpers/own-memory.ts'
import { runScript } from '../helpers/run-script.ts'
import { sized } from '../helpers/sized.ts'

const RING = 64 * 1024
/** Of payloads: about half a ring, up to which a record lies in it, and what is larger. */
const SIZES = [
  10,
  RING / 2 - 40,
  RING / 2 - 16,
  RING / 2 + 1,
  20,
  RING - 8,
  RING,
  RING + 1,
  0,
  1_000_000,
  30,
  3_000_000,
  RING / 2,
  5
]

const script = (code: string): string => `
import fs from 'node:fs'
import { join } from 'node:path'
${code.includes('winston.') ? "import winston from 'winston'" : ''}
import * as logboom from 'logboom'
import * as transports from 'logboom/winston'
const [path] = process.argv.slice(1)
const lock = ${native.canLock}
/** Somebody else has filled the memory, to the last page. */
const fill = () => {
  const fd = fs.openSync('/dev/shm/of-somebody-else', 'w')
  for (let size = 1 << 20; size > 0; ) {
    try { fs.writeSync(fd, Buffer.alloc(size)) } catch { size >>= 1 }
  }
}
const record = (id, bytes) => JSON.stringify({ id, event: 'orders', pad: 'x'.repeat(bytes) })
${code}`

const idsOf = (subject: Subject, folder: string): number[] =>
  subject.read(folder).map((line) => {
    const { id, pad } = JSON.parse(line)
    expect(pad).toHaveLength(SIZES[id])
    return id
  })
const ids = SIZES.map((_, id) => id)

describe
  .skipIf(!canOwnMemory || !native.laneAvailable())
  .concurrent('where the memory of lanes is full (needs the addon, root and unshare)', () => {
    test.for([undefined, 'false'])(
      'records of any size get through workerStream in their order, and the process ends by itself, with lane: %s',
      togetherFor(async (lane) => {
        const path = join(createFolder(), 'app.log')
        const { code, stderr } = await runScript(
          script(`
        const stream = logboom.workerStream('rotating-file', { path, maxBytes: 0, lock, lane: ${lane ?? `{ maxBytes: ${RING} }`} })
        await stream.flush()
        fill()
        const sizes = ${JSON.stringify(SIZES)}
        sizes.forEach((bytes, id) => stream.write(record(id, bytes) + '\\n'))
        stream.flushSync()
        fs.copyFileSync(path, path + '.copy')
        await stream.flush()
        sizes.forEach((bytes, id) => stream.write(record(id, bytes) + '\\n'))`),
          [path],
          [],
          { wrapper: ownMemory('4m') }
        )
        expect(code, stderr).toBe(0)
        const read = (file: string): number[] =>
          readFileSync(file, 'utf8')
            .split('\n')
            .slice(0, -1)
            .map((line) => JSON.parse(line).id)
        expect(read(`${path}.copy`)).toEqual(ids)
        expect(read(path)).toEqual([...ids, ...ids])
        if (lane === 'false') expect(stderr).toBe('')
        else
          expect(stderr).toMatch(
            /^logboom: the lane of .* has no room for a record of \d+ bytes.*ENOSPC.*\n$/
          )
      })
    )

    test(
      'the thread that dies meanwhile is replaced, and loses none of them',
      together(async () => {
        const path = join(createFolder(), 'app.log')
        const { code, stderr, stdout } = await runScript(
          `
        import { createRequire } from 'node:module'
        const threads = createRequire(import.meta.url)('node:worker_threads')
        const made = []
        const { Worker } = threads
        threads.Worker = class extends Worker {
          constructor(file, options) { super(file, options); made.push(this) }
        }
        const fs = await import('node:fs')
        const logboom = await import('logboom')
        const [path] = process.argv.slice(1)
        const stream = logboom.workerStream('rotating-file', { path, maxBytes: 0, lane: { maxBytes: ${RING} }, fallback: false })
        await stream.flush()
        const fd = fs.openSync('/dev/shm/of-somebody-else', 'w')
        for (let size = 1 << 20; size > 0; ) {
          try { fs.writeSync(fd, Buffer.alloc(size)) } catch { size >>= 1 }
        }
        let id = 0
        for (let round = 0; round < 3; round++) {
          const before = made.length
          for (const bytes of [10, ${RING}, 20, 500_000, 5]) stream.write(JSON.stringify({ id: id++, pad: 'x'.repeat(bytes) }) + '\\n')
          void made.at(-1).terminate()
          while (made.length === before) {
            stream.write(JSON.stringify({ id: id++ }) + '\\n')
            await new Promise((done) => setTimeout(done, 2))
          }
          for (const bytes of [10, 100_000, 20]) stream.write(JSON.stringify({ id: id++, pad: 'x'.repeat(bytes) }) + '\\n')
          await stream.flush()
        }
        await stream.close()
        console.log(id)`,
          [path],
          [],
          { wrapper: ownMemory('4m') }
        )
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
        const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
        expect(lines.map((line) => JSON.parse(line).id)).toEqual(
          Array.from({ length: Number(stdout) }, (_, id) => id)
        )
      })
    )

    test(
      'records of any size get through all winston transports',
      together(async () => {
        const folder = createFolder()
        const all = subjects.map((subject) => {
          const options = { ...subject.options(join(folder, nameOf(subject))), lane: { maxBytes: RING } }
          return { name: transportClass(subject.kind), options }
        })
        const { code, stderr } = await runScript(
          script(`
        const made = ${JSON.stringify(all)}.map(({ name, options }) => new transports[name](options))
        const logger = winston.createLogger({ format: winston.format.json(), transports: made })
        await Promise.all(made.map((transport) => transport.flush()))
        fill()
        const sizes = ${JSON.stringify(SIZES)}
        sizes.forEach((bytes, id) => logger.info({ message: 'm', id, event: 'orders', pad: 'x'.repeat(bytes) }))
        setTimeout(() => process.exit(), 100)`),
          [folder],
          [],
          { wrapper: ownMemory('8m') }
        )
        expect(code, stderr).toBe(0)
        for (const subject of subjects) {
          const found = idsOf(subject, join(folder, nameOf(subject)))
          expect(
            found.toSorted((a, b) => a - b),
            nameOf(subject)
          ).toEqual(ids)
        }
      })
    )

    test(
      'records of any size get through all classes with a lane',
      together(async () => {
        const folder = createFolder()
        const withClass = subjects.filter(({ kind }) => kind !== 'spool' && kind !== 'wal')
        const all = withClass.map((subject) => ({
          kind: subject.kind,
          options: { ...subject.options(join(folder, nameOf(subject))), lane: { maxBytes: RING } }
        }))
        const { code, stderr } = await runScript(
          script(`
        const classes = { 'rotating-file': 'RotatingFile', 'binary-file': 'BinaryFile', 'direct-file': 'DirectFile', 'event-files': 'EventFiles' }
        const made = ${JSON.stringify(all)}.map(({ kind, options }) => ({ kind, sink: new logboom[classes[kind]](options) }))
        fill()
        const sizes = ${JSON.stringify(SIZES)}
        sizes.forEach((bytes, id) => {
          for (const { kind, sink } of made) sink.write(record(id, bytes) + (kind === 'binary-file' ? '' : '\\n'))
        })
        for (const { sink } of made) await sink.close()`),
          [folder],
          [],
          { wrapper: ownMemory('8m') }
        )
        expect(code, stderr).toBe(0)
        for (const subject of withClass) {
          const found = idsOf(subject, join(folder, nameOf(subject)))
          expect(
            found.toSorted((a, b) => a - b),
            nameOf(subject)
          ).toEqual(ids)
        }
      })
    )

    test(
      'what is in memory for want of room and cannot be written at the end is counted as lost, the rest stays in the lane',
      together(async () => {
        const folder = join(createFolder(), 'logs')
        const { code, stderr } = await runScript(
          script(`
        const options = { maxBytes: 0, lock, lane: { maxBytes: ${RING} } }
        const a = logboom.workerStream('rotating-file', { ...options, path: join(path, 'a.log') })
        const b = new logboom.RotatingFile({ ...options, path: join(path, 'b.log') })
        await a.flush()
        fill()
        fs.rmSync(path, { recursive: true })
        fs.writeFileSync(path, '')
        const degraded = new Promise((resolve) => a.once('degraded', resolve))
        setInterval(() => {}, 1_000)
        a.write('one\\n')
        await degraded
        for (const text of ['x'.repeat(${RING}), 'two']) a.write(text + '\\n')
        // At its bound it would block.
        b.write('x'.repeat(${RING}) + '\\n')
        process.exit(4)`),
          [folder],
          [],
          { wrapper: ownMemory('4m') }
        )
        expect(code, stderr).toBe(4)
        expect(stderr).toMatch(/closed with 2 records \(8 bytes\) not written to .*a\.log.* stay in its lane/)
        for (const name of ['a.log', 'b.log']) {
          const lost = new RegExp(
            `closed with 1 records \\(65537 bytes\\) not written to .*${name}.*ERR_LOST`
          )
          expect(stderr).toMatch(lost)
        }
      })
    )
  })

const troubles = [
  {
    what: 'full',
    wrapper: ownMemory('1m', 'head -c 4m /dev/zero >/dev/shm/full 2>/dev/null'),
    why: 'ENOSPC'
  },
  { what: 'without files left', wrapper: ownMemory('64m,nr_inodes=2'), why: 'ENOSPC' },
  { what: 'too small', wrapper: ownMemory('100k'), why: 'ENOSPC' },
  { what: 'read-only', wrapper: ownMemory('64m,ro'), why: 'EROFS' },
  { what: 'not there', wrapper: inOwnMemory('mount -t tmpfs logboom-test /dev'), why: 'ENOENT' },
  {
    what: 'no memory file system',
    wrapper: inOwnMemory('mount -t proc logboom-test /dev/shm'),
    why: 'not on a memory file system'
  },
  { what: 'not ours to write to', wrapper: ownMemory('64m,mode=700', asNobody()), why: 'EACCES' },
  {
    what: 'in the hand of others',
    wrapper: ownMemory('64m', 'mkdir -m 777 /dev/shm/logboom-0; chmod 777 /dev/shm/logboom-0'),
    why: 'other users can write'
  },
  {
    what: 'taken by a file',
    wrapper: ownMemory('64m', 'echo >/dev/shm/logboom-0'),
    why: 'is not a folder|EEXIST|ENOTDIR'
  },
  {
    what: 'a link to elsewhere',
    wrapper: ownMemory('64m', 'mkdir /dev/shm/x; ln -s x /dev/shm/logboom-0'),
    why: 'symbolic link'
  }
]

describe
  .skipIf(!canOwnMemory || !native.laneAvailable())
  .concurrent('where the memory of lanes is (needs the addon, root and unshare)', () => {
    const usual = ['full', 'read-only', 'not there', 'not ours to write to']
    test.for(
      sized(
        troubles,
        troubles.filter(({ what }) => usual.includes(what))
      )
    )(
      '$what, logs are written all the same, and each output tells that it has no lane; on stderr that is told once',
      togetherFor(async ({ wrapper, why }) => {
        const folder = createFolder()
        chmodSync(folder, 0o777)
        const { code, stdout, stderr } = await runScript(
          script(`
        const options = (name) => ({ path: join(path, name), lock })
        const streams = Array.from({ length: 3 }, (_, i) => logboom.workerStream('rotating-file', options('s' + i)))
        const winstons = Array.from({ length: 3 }, (_, i) => new transports.RotatingFileTransport(options('w' + i)))
        const file = new logboom.RotatingFile({ ...options('c'), lane: true, fallback: false })
        const told = {}
        const listen = (name, output) => output.on('warning', ({ message }) => { (told[name] ??= []).push(message) })
        streams.forEach((each, i) => listen('s' + i, each))
        winstons.forEach((each, i) => listen('w' + i, each))
        listen('c', file)
        winston.createLogger({ transports: winstons }).info('x')
        for (const each of [...streams, file]) each.write('x\\n')
        for (const each of [...streams, ...winstons, file]) await each.flush()
        const lanes = [...await Promise.all([...streams, ...winstons].map((each) => each.stats())), file.stats()]
        for (const each of [...streams, ...winstons, file]) await each.close()
        const written = ['s0', 's1', 's2', 'w0', 'w1', 'w2', 'c'].every((name) => fs.readFileSync(join(path, name), 'utf8').includes('x'))
        console.log(JSON.stringify({ told, lanes: lanes.map(({ lane }) => lane), written }))`),
          [folder],
          [],
          { wrapper }
        )
        expect(code, stderr).toBe(0)
        const { told, lanes, written } = JSON.parse(stdout)
        expect(written).toBe(true)
        expect(lanes).toEqual(Array(7).fill('none'))
        expect(Object.keys(told).toSorted()).toEqual(['c', 's0', 's1', 's2', 'w0', 'w1', 'w2'])
        for (const messages of Object.values(told)) {
          expect(messages).toEqual([expect.stringMatching(new RegExp(`has no lane, .*(${why})`))])
        }
        expect(stderr.match(/has no lane/g)).toHaveLength(1)
      })
    )
  })

/** Goes on as a user who is not root. */
function asNobody(): string {
  return 'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@"'
}
