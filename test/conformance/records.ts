// Records: all of them, whole, in order, and at the level that a promise has named when it resolves.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { random } from '../helpers/random.ts'
import { until } from '../helpers/until.ts'
import { Acknowledged, Bed, numbersOf, syncsOf, writes } from './bed.ts'
import { isRecord, type Subject } from './subject.ts'

const LINES = 40

export function recordTests(subject: Subject): void {
  describe('records', () => {
    it('are all written, in order and whole, however the stream is cut', async () => {
      const bed = new Bed(subject)
      const sink = bed.create()
      const stream = bed
        .lines(LINES)
        .map((text) => `${text}\n`)
        .join('')
      for (let at = 0, length = 1; at < stream.length; at += length, length = 1 + ((length * 7) % 997)) {
        const piece = stream.slice(at, at + length)
        sink.write(length % 2 === 0 ? piece : Buffer.from(piece))
      }
      await sink.close()
      expect(bed.read()).toEqual(bed.lines(LINES))
      expect(sink.stats()).toMatchObject({
        records: LINES,
        dropped: 0,
        queuedBytes: 0,
        errors: 0,
        state: 'closed'
      })
    })

    it('of texts beyond ASCII are whole when the stream is cut within a character', async () => {
      const bed = new Bed(subject)
      const sink = bed.create()
      const texts = bed.lines(12).map((text) => text.replaceAll('x', 'ü€😀'.at(0) as string))
      const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''))
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + Math.floor(random() * 300)
        sink.write(bytes.subarray(at, end))
        at = end
      }
      await sink.close()
      expect(bed.read()).toEqual(texts)
    })

    it('that lie in memory of the caller may be changed by him right after the call', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ flushInterval: 60_000 })
      for (const line of bed.lines(3)) {
        const bytes = Buffer.from(`${line}\n`)
        sink.write(bytes)
        bytes.fill('!')
      }
      await sink.close()
      expect(bed.read()).toEqual(bed.lines(3))
    })

    it('are in the file when flush resolves, an unfinished one included', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ flushInterval: 60_000 })
      sink.write(`${bed.line(0)}\n${bed.line(1)}`)
      await sink.flush()
      expect(bed.read()).toEqual(bed.lines(2))
      sink.write(`${bed.line(2)}\n`)
      sink.flushSync()
      expect(bed.read()).toEqual(bed.lines(3))
    })

    it('are in the file when each of many flushes at once resolves', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ flushInterval: 60_000 })
      const flushed: Promise<void>[] = []
      for (let index = 0; index < LINES; index++) {
        sink.write(`${bed.line(index)}\n`)
        const check = (): void => expect(bed.read().length).toBeGreaterThan(index)
        if (index % 5 === 0) flushed.push(sink.flush().then(check))
      }
      await Promise.all(flushed)
    })

    it('are written within flushInterval without being asked', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ flushInterval: 20 })
      sink.write(`${bed.line(0)}\n`)
      expect(await until(() => bed.read().length > 0 && bed.read())).toEqual(bed.lines(1))
    })

    it('wait for a folder that is not there yet', async () => {
      const bed = new Bed({ ...subject, options: () => subject.options(join(bed.folder, 'later')) })
      const sink = bed.create({ mkdir: false })
      bed.log(sink, 3)
      await until(() => sink.stats().state === 'degraded' || sink.stats().state === 'opening')
      expect(existsSync(join(bed.folder, 'later'))).toBe(false)
      mkdirSync(join(bed.folder, 'later', 'events'), { recursive: true })
      mkdirSync(join(bed.folder, 'later', 'spool'), { recursive: true })
      await sink.flush()
      await sink.close()
      expect(subject.read(join(bed.folder, 'later')).filter(isRecord)).toEqual(bed.lines(3))
    })

    it('go on where an earlier sink has ended', async () => {
      const bed = new Bed(subject)
      for (let round = 0; round < 3; round++) {
        const sink = bed.create()
        bed.log(sink, 10, round * 10)
        await sink.close()
      }
      expect(bed.read()).toEqual(bed.lines(30))
    })
  })

  describe('acknowledgement', () => {
    it('with durability "os" comes when the kernel has the record', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ durability: 'os', flushInterval: 60_000 })
      const host = new Acknowledged(sink)
      for (let index = 0; index < 10; index++) {
        if (!host.write(`${bed.line(index)}\n`)) await host.drained()
        expect(numbersOf(stored(bed))).toEqual(numbersOf(bed.lines(index + 1)))
      }
    })

    it('with durability "disk" comes after a sync, and flush has made one, too', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ durability: 'disk', flushInterval: 60_000 })
      const syncs = (): number => syncsOf(subject).reduce((sum, name) => sum + bed.calls(name), 0)
      const host = new Acknowledged(sink)
      for (let index = 0; index < 5; index++) {
        const before = syncs()
        if (index % 2 === 0) {
          if (!host.write(`${bed.line(index)}\n`)) await host.drained()
        } else {
          sink.write(`${bed.line(index)}\n`)
          await sink.flush()
        }
        expect(syncs()).toBeGreaterThan(before)
        expect(numbersOf(stored(bed))).toEqual(numbersOf(bed.lines(index + 1)))
      }
      expect(sink.stats().syncs).toBeGreaterThan(0)
    })

    it('does not come while writing fails', async () => {
      const bed = new Bed(subject)
      const sink = bed.create()
      await new Promise((resolve) => setImmediate(resolve))
      bed.failAll(writes, 'ENOSPC')
      const host = new Acknowledged(sink)
      const flushed = sink.flush.bind(sink)
      let acknowledged = host.write(`${bed.line(0)}\n`)
      host.drained().then(() => {
        acknowledged = true
      })
      let isFlushed = false
      flushed().then(() => {
        isFlushed = true
      })
      await until(() => sink.stats().state === 'degraded')
      // Long enough for several further attempts.
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect({ acknowledged, isFlushed, stored: stored(bed) }).toEqual({
        acknowledged: false,
        isFlushed: false,
        stored: []
      })
      expect(sink.stats()).toMatchObject({ dropped: 0, state: 'degraded' })
      expect(sink.stats().queuedBytes).toBeGreaterThan(0)
      const start = performance.now()
      bed.heal()
      await until(() => acknowledged && isFlushed)
      expect(performance.now() - start).toBeLessThan(1_500)
      expect(bed.read()).toEqual(bed.lines(1))
      await until(() => bed.count('recovered') === 1)
      expect(bed.count('degraded')).toBe(1)
      await sink.close()
      expect(bed.read()).toEqual(bed.lines(1))
    })

    it('with durability "disk" does not come while syncing fails', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ durability: 'disk' })
      sink.write(`${bed.line(0)}\n`)
      await sink.flush()
      bed.failAll(syncsOf(subject), 'EIO')
      const host = new Acknowledged(sink)
      let acknowledged = host.write(`${bed.line(1)}\n`)
      host.drained().then(() => {
        acknowledged = true
      })
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(acknowledged).toBe(false)
      expect(bed.count('drain')).toBe(0)
      bed.heal()
      await until(() => acknowledged)
      expect(new Set(bed.read())).toEqual(new Set(bed.lines(2)))
    })
  })
}

/** What is in the files now; a spool acknowledges what is in its temp file. */
function stored(bed: Bed): string[] {
  return bed.subject.readStored?.(bed.folder).filter(isRecord) ?? bed.read()
}
