// The life of a sink: close, flush and flushSync in every state, and what is left behind.
import { describe, expect, it } from 'vitest'
import type { Sink } from '../../src/core/sink/contract.ts'
import { until } from '../helpers/until.ts'
import { Bed, canCountFiles, numbersOf, writes } from './bed.ts'
import { isRecord, type Subject } from './subject.ts'

const LINES = 30
/** Closing gives up when nothing at all was written for so long, eight seconds if nobody says how long. */
const STALL_MS = 3_000
const CLOSE_MS = 15_000

export function lifeTests(subject: Subject): void {
  describe('close', () => {
    it('before the first record resolves, leaves no record and no descriptor', async () => {
      const bed = new Bed(subject)
      const sink = bed.create()
      await sink.flush()
      sink.flushSync()
      await sink.close()
      expect(bed.read()).toEqual([])
      expect(sink.stats()).toMatchObject({ records: 0, dropped: 0, queuedBytes: 0, state: 'closed' })
      if (canCountFiles) expect(bed.openFiles()).toEqual([])
    })

    it('right after the constructor and a record writes the record', async () => {
      const bed = new Bed(subject)
      for (let round = 0; round < 3; round++) {
        const sink = bed.create()
        bed.log(sink, 1, round)
        await sink.close()
        expect(bed.read()).toEqual(bed.lines(round + 1))
      }
    })

    it('is done once, resolves every time, and refuses what comes after', async () => {
      const bed = new Bed(subject)
      const sink = bed.create()
      bed.log(sink, 1)
      const closing = sink.close()
      expectClosed(sink, subject)
      await expect(sink.flush()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      await Promise.all([closing, sink.close()])
      await sink.close()
      await sink[Symbol.asyncDispose]()
      expectClosed(sink, subject)
      expect(() => sink.flushSync()).toThrow(/ERR_CLOSED/)
      await expect(sink.flush()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
      for (const { good, call } of Object.values(subject.entries)) {
        if (good === undefined) continue
        const outcome = await Promise.resolve()
          .then(() => call(sink, good))
          .catch((error) => error)
        expect(outcome).toMatchObject({ code: 'ERR_CLOSED' })
      }
      expect(bed.read()).toEqual(bed.lines(1))
    })

    it('beside flushes under way settles all of them', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ flushInterval: 60_000 })
      bed.log(sink, LINES)
      const flushes = [sink.flush('os'), sink.flush(), sink.flush('disk'), sink.flush('none')]
      const outcomes = await Promise.allSettled([...flushes, sink.close(), sink.close()])
      // A flush that was asked for before close covers records that close writes, too.
      expect(outcomes.map(({ status }) => status)).toEqual(Array(6).fill('fulfilled'))
      expect(bed.read()).toEqual(bed.lines(LINES))
    })

    it('leaves no descriptor, and nothing is called afterwards', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ durability: 'disk' })
      bed.log(sink, LINES)
      await sink.flush()
      bed.log(sink, LINES, LINES)
      await sink.close()
      if (canCountFiles) expect(bed.openFiles()).toEqual([])
      const calls = bed.allCalls()
      await new Promise((resolve) => setTimeout(resolve, 60))
      expect(bed.allCalls()).toEqual(calls)
      expect(bed.read()).toEqual(bed.lines(2 * LINES))
    })

    it('while writing fails waits for the disk and writes everything', async () => {
      const bed = new Bed(subject)
      const sink = bed.create()
      bed.failAll(writes, 'ENOSPC')
      bed.log(sink, LINES)
      await until(() => sink.stats().state !== 'open' && sink.stats().state !== 'opening')
      const closing = sink.close()
      expectClosed(sink, subject)
      setTimeout(() => bed.heal(), 200)
      await closing
      expect(bed.read()).toEqual(bed.lines(LINES))
      expect(sink.stats()).toMatchObject({ dropped: 0, queuedBytes: 0, state: 'closed' })
      if (canCountFiles) expect(bed.openFiles()).toEqual([])
    })

    it('goes on as long as something gets written, however slow the disk is', {
      timeout: 60_000
    }, async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ flushInterval: 60_000 })
      await sink.flush()
      for (const operation of writes) bed.fail(operation, 'SLOW', { count: 2 })
      bed.log(sink, 2)
      await sink.close()
      expect(bed.read()).toEqual(bed.lines(2))
      expect(sink.stats().dropped).toBe(0)
    })
  })
}

/** Takes as long as closing waits, so all subjects do it at the same time. */
export async function closeOnFullDisk(subject: Subject): Promise<void> {
  const bed = new Bed(subject, { isAlone: true })
  const kept = (): number[] => numbersOf((subject.readStored ?? subject.read)(bed.folder).filter(isRecord))
  try {
    const sink = bed.create({}, STALL_MS)
    bed.log(sink, 10)
    await sink.flush()
    bed.failAll(writes, 'ENOSPC')
    bed.log(sink, LINES, 10)
    const start = performance.now()
    const error = await sink.close().then(
      () => undefined,
      (reason: Error & { code: string }) => reason
    )
    expect(performance.now() - start).toBeLessThan(CLOSE_MS)
    const { dropped, queuedBytes, state } = sink.stats()
    const numbers = kept()
    expect(
      { code: error?.code, sum: numbers.length + dropped, queuedBytes, state },
      `${numbers.length} kept, ${dropped} dropped, ${queuedBytes} bytes queued, ${state}`
    ).toEqual({
      code: 'ERR_LOST',
      sum: 10 + LINES,
      queuedBytes: 0,
      state: 'closed'
    })
    expect(error?.message).toContain(`${dropped} records`)
    await expect(sink.close()).rejects.toBe(error)
    if (canCountFiles) expect(bed.openFiles()).toEqual([])
    const calls = bed.allCalls()
    bed.heal()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(bed.allCalls()).toEqual(calls)
    expect(kept()).toEqual(numbers)
    if (canCountFiles) expect(bed.openFiles()).toEqual([])
  } finally {
    await bed.end()
  }
}

function expectClosed(sink: Sink, subject: Subject): void {
  expect(() => sink.write(`${subject.line(0)}\n`)).toThrow(/ERR_CLOSED/)
}
