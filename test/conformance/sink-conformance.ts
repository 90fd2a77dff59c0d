// What every sink of lines must do. Each sink runs this suite with its own way to be made and to be read back.
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SinkEvents } from '../../src/core/sink/contract.ts'
import type { InternalSink as Sink } from '../../src/core/sink/pumped-sink.ts'
import type { Disk } from '../../src/io/disk.ts'
import {
  createFaultyDisk,
  type Fault,
  type FaultyDisk,
  failNth,
  type Operation
} from '../helpers/faulty-disk.ts'
import { createFolder } from '../helpers/folder.ts'

export interface CommonOptions {
  durability?: 'none' | 'os' | 'disk'
  overflow?: 'block' | 'drop-newest' | 'drop-oldest'
  maxBufferBytes?: number
  flushInterval?: number
}

export interface SinkUnderTest {
  create(folder: string, options: CommonOptions, disk: Disk): Sink
  /** The records in the folder, in order, drop notices left out. */
  read(folder: string): Promise<string[]> | string[]
  /** Operations of the disk whose failure the sink must survive. */
  operations: readonly Operation[]
  /** Whether a failed sync is made good within the call, not by a later one. */
  healsAtOnce?: boolean
}

const LINES = 40
/** Every call in the long run; else all of the first ones and fewer and fewer of the others. */
const step = (nth: number): number => (process.env.LOGBOOM_LONG === '1' || nth < 6 ? 1 : Math.ceil(nth / 2))
const line = (index: number): string => `record ${index} ${'x'.repeat((index * 37) % 300)}`

export function sinkConformance(kind: string, subject: SinkUnderTest): void {
  describe(`${kind}: what every sink does`, () => {
    let folder: string
    let faulty: FaultyDisk
    const rejections: unknown[] = []
    const onRejection = (reason: unknown): void => {
      rejections.push(reason)
    }

    beforeEach(() => {
      folder = createFolder()
      faulty = createFaultyDisk()
      rejections.length = 0
      process.on('unhandledRejection', onRejection)
    })

    afterEach(async () => {
      await delay(0)
      process.off('unhandledRejection', onRejection)
      expect(rejections).toEqual([])
    })

    const create = (options: CommonOptions = {}): Sink =>
      subject.create(folder, { flushInterval: 1, ...options }, faulty.disk)
    const expected = (count = LINES): string[] => Array.from({ length: count }, (_, index) => line(index))
    const failAll = (operation: Operation, fault: Fault): void => {
      faulty.fault = (called) => (called === operation ? fault : undefined)
    }
    const repair = (): void => {
      faulty.fault = () => undefined
    }

    it('writes all records in order, however the stream is cut', async () => {
      const sink = create()
      const stream = expected()
        .map((text) => `${text}\n`)
        .join('')
      for (let at = 0, length = 1; at < stream.length; at += length, length = (length * 7) % 97) {
        const piece = stream.slice(at, at + length)
        sink.write(length % 2 === 0 ? piece : Buffer.from(piece))
      }
      await sink.close()
      expect(await subject.read(folder)).toEqual(expected())
      expect(sink.stats()).toMatchObject({
        records: LINES,
        dropped: 0,
        queuedBytes: 0,
        errors: 0,
        state: 'closed'
      })
    })

    it('has every record in the file when flush resolves, an unfinished one included', async () => {
      const sink = create({ flushInterval: 60_000 })
      sink.write(`${line(0)}\n${line(1)}`)
      await sink.flush()
      expect(await subject.read(folder)).toEqual(expected(2))
      sink.write(`${line(2)}\n`)
      sink.flushSync()
      expect(await subject.read(folder)).toEqual(expected(3))
      await sink.close()
    })

    it('writes within flushInterval without being asked', async () => {
      const sink = create({ flushInterval: 20 })
      sink.write(`${line(0)}\n`)
      await delay(200)
      expect(await subject.read(folder)).toEqual(expected(1))
      await sink.close()
    })

    it('syncs for flush("disk"), and by itself with durability "disk"', async () => {
      const sink = create({ durability: 'disk' })
      sink.write(`${line(0)}\n`)
      await sink.flush()
      expect(sink.stats().syncs).toBeGreaterThan(0)
      expect(sink.commit(`${line(1)}\n`)).toBe(true)
      const { syncs } = sink.stats()
      sink.write(`${line(2)}\n`)
      sink.flushSync()
      expect(sink.stats().syncs).toBeGreaterThan(syncs)
      await sink.close()
      expect(await subject.read(folder)).toEqual(expected(3))
    })

    it('closes once, resolves every time, and refuses what comes after', async () => {
      const sink = create()
      sink.write(`${line(0)}\n`)
      const closing = sink.close()
      expect(() => sink.write('late\n')).toThrow(/ERR_CLOSED/)
      await expect(sink.flush()).rejects.toThrow(/ERR_CLOSED/)
      await Promise.all([closing, sink.close()])
      await sink.close()
      expect(() => sink.commit('late\n')).toThrow(/ERR_CLOSED/)
      expect(() => sink.flushSync()).toThrow(/ERR_CLOSED/)
      expect(await subject.read(folder)).toEqual(expected(1))
    })

    it('holds back the answer while it cannot write, and tells when it can', async () => {
      const sink = create()
      failAll('write', 'ENOSPC')
      const events: (keyof SinkEvents)[] = []
      for (const name of ['degraded', 'recovered', 'drain'] as const) sink.on(name, () => events.push(name))
      expect(sink.commit(`${line(0)}\n`)).toBe(false)
      expect(sink.commit(`${line(1)}\n`)).toBe(false)
      await delay(300)
      expect(sink.stats()).toMatchObject({ state: 'degraded', dropped: 0 })
      expect(events).toEqual(['degraded'])
      repair()
      const start = Date.now()
      await sink.flush()
      expect(Date.now() - start).toBeLessThan(1_000)
      await delay(10)
      expect(events).toEqual(['degraded', 'recovered', 'drain'])
      await sink.close()
      expect(await subject.read(folder)).toEqual(expected(2))
    })

    for (const overflow of ['drop-newest', 'drop-oldest'] as const) {
      it(`keeps its bound with ${overflow}, counts every drop and says so in the log`, async () => {
        const maxBufferBytes = 20_000
        const sink = create({ overflow, maxBufferBytes })
        let reported = 0
        sink.on('dropped', ({ count }) => {
          reported += count
        })
        failAll('write', 'ENOSPC')
        for (let index = 0; index < 1_000; index++) {
          sink.write(`${line(index)}\n`)
          expect(sink.stats().queuedBytes).toBeLessThanOrEqual(maxBufferBytes)
        }
        repair()
        await sink.flush()
        const { dropped } = sink.stats()
        const found = await subject.read(folder)
        expect(dropped).toBeGreaterThan(0)
        expect(found.length + dropped).toBe(1_000)
        if (overflow === 'drop-oldest') expect(found).toEqual(expected(1_000).slice(-found.length))
        else {
          // A short record may still fit where a longer one was refused.
          expect(found.slice(0, 50)).toEqual(expected(50))
          expect(found).toEqual(expected(1_000).filter((record) => found.includes(record)))
        }
        await sink.close()
        expect(reported).toBe(dropped)
      })
    }

    it('keeps its bound when many records come in one piece', async () => {
      const maxBufferBytes = 20_000
      const sink = create({ overflow: 'drop-newest', maxBufferBytes })
      failAll('write', 'ENOSPC')
      sink.commit(
        expected(1_000)
          .map((text) => `${text}\n`)
          .join('')
      )
      expect(sink.stats().queuedBytes).toBeGreaterThan(maxBufferBytes / 2)
      expect(sink.stats().queuedBytes).toBeLessThanOrEqual(maxBufferBytes)
      repair()
      await sink.close()
      const found = await subject.read(folder)
      expect(found.length + sink.stats().dropped).toBe(1_000)
    })

    it('takes a record larger than the bound when nothing else waits', async () => {
      const sink = create({ maxBufferBytes: 1_000, overflow: 'drop-newest' })
      sink.write(`${'y'.repeat(5_000)}\n`)
      await sink.close()
      expect(await subject.read(folder)).toEqual(['y'.repeat(5_000)])
    })

    it('blocks a caller that ignores back-pressure rather than lose or hoard records', async () => {
      const maxBufferBytes = 20_000
      const sink = create({ maxBufferBytes })
      const until = Date.now() + 300
      faulty.fault = (operation) => (operation === 'write' && Date.now() < until ? 'ENOSPC' : undefined)
      for (let index = 0; index < 1_000; index++) {
        sink.write(`${line(index)}\n`)
        expect(sink.stats().queuedBytes).toBeLessThanOrEqual(maxBufferBytes + 400)
      }
      await sink.close()
      expect(await subject.read(folder)).toEqual(expected(1_000))
      expect(sink.stats().dropped).toBe(0)
    })

    it('writes a failed sync’s records again, to another file, and acknowledges only then', async () => {
      const sink = create({ durability: 'disk' })
      sink.write(`${line(0)}\n`)
      await sink.flush()
      failNth(faulty, 'fdatasync', 1, 'EIO')
      expect(sink.commit(`${line(1)}\n`)).toBe(subject.healsAtOnce ?? false)
      await sink.flush()
      await sink.close()
      expect(new Set(await subject.read(folder))).toEqual(new Set(expected(2)))
      expect(sink.stats().errors).toBeGreaterThan(0)
    })

    describe('survives the failure of', () => {
      for (const operation of subject.operations) {
        const faults: Fault[] =
          operation === 'write' ? ['EIO', 'ENOSPC', 'EINTR', 'SHORT'] : ['EIO', 'EMFILE']
        for (const fault of faults) {
          it(`${operation} with ${fault}: any call, once and for a while`, { timeout: 120_000 }, async () => {
            for (const persistent of fault === 'EINTR' || fault === 'SHORT' ? [false] : [false, true]) {
              for (let nth = 1; ; nth += step(nth)) {
                const root = createFolder()
                const reached = await oneRun(root, operation, nth, fault, persistent)
                if (!reached) break
              }
            }
          })
        }
      }
    })

    /** Whether the n-th call took place at all. */
    async function oneRun(
      root: string,
      operation: Operation,
      nth: number,
      fault: Fault,
      persistent: boolean
    ): Promise<boolean> {
      const isSync = /sync/i.test(operation)
      failNth(faulty, operation, nth, fault, persistent)
      const sink = subject.create(root, { flushInterval: 1, durability: isSync ? 'disk' : 'os' }, faulty.disk)
      for (let index = 0; index < LINES; index++) {
        sink.write(`${line(index)}\n`)
        if (index % 10 === 9) sink.commit('')
      }
      const reached = (faulty.calls.get(operation) ?? 0) >= nth
      if (persistent) {
        await delay(20)
        repair()
      }
      await sink.flush()
      await sink.close()
      const found = await subject.read(root)
      // A failed sync leaves it open what is on the disk: at least once. Everything else: exactly once.
      const records = isSync ? [...new Set(found)].sort() : found
      expect(records, `call ${nth}`).toEqual(isSync ? expected().sort() : expected())
      expect(sink.stats()).toMatchObject({ dropped: 0, queuedBytes: 0, state: 'closed' })
      return reached
    }
  })
}
