// The bound of memory, and what happens at it: exact counts, whatever the policy.
import { describe, expect, it } from 'vitest'
import { sinks } from '../../src/core/registry.ts'
import type { Overflow } from '../../src/core/sink/contract.ts'
import { Bed, numbersOf, writes } from './bed.ts'
import type { Subject } from './subject.ts'

const QUEUE_BYTES = 20_000

export function overflowTests(subject: Subject): void {
  const boundBytes = QUEUE_BYTES + subject.stagingBytes
  /** So many records are three times the bound. */
  const manyRecords = Math.ceil((3 * boundBytes) / averageBytes(subject))
  const policies = (['drop-newest', 'drop-oldest'] as Overflow[]).filter((overflow) =>
    hasPolicy(subject, overflow)
  )

  describe('more than memory may hold', () => {
    for (const overflow of policies) {
      it(`is dropped with ${overflow}: within the bound, at once, counted, and told in the log`, async () => {
        const bed = new Bed(subject)
        const sink = bed.create({ overflow, maxBufferBytes: QUEUE_BYTES })
        bed.failAll(writes, 'ENOSPC')
        for (let index = 0; index < manyRecords; index++) {
          expect(sink.write(`${bed.line(index)}\n`)).toBe(true)
          expect(sink.stats().queuedBytes).toBeLessThanOrEqual(boundBytes)
        }
        bed.heal()
        await sink.flush()
        const { dropped, records } = sink.stats()
        const found = bed.read()
        expect(dropped).toBeGreaterThan(0)
        expect(found.length + dropped).toBe(manyRecords)
        expect(bed.readDrops()).toBe(dropped)
        // Notices are records of the file, too.
        expect(records).toBeGreaterThanOrEqual(found.length)
        expect(found).toEqual(bed.lines(manyRecords).filter((line) => found.includes(line)))
        const numbers = numbersOf(found)
        if (overflow === 'drop-newest') expect(numbers[0]).toBe(0)
        else expect(numbers.at(-1)).toBe(manyRecords - 1)
        await sink.close()
        expect(sink.stats().dropped).toBe(dropped)
        const told = bed.events.flatMap(({ name, args }) =>
          name === 'dropped' ? [(args[0] as { count: number }).count] : []
        )
        expect(told.reduce((sum, count) => sum + count, 0)).toBe(dropped)
      })
    }

    it('in one piece keeps the bound, too', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ overflow: 'drop-newest', maxBufferBytes: QUEUE_BYTES })
      bed.failAll(writes, 'ENOSPC')
      sink.write(
        bed
          .lines(manyRecords)
          .map((text) => `${text}\n`)
          .join('')
      )
      expect(sink.stats().queuedBytes).toBeGreaterThan(QUEUE_BYTES / 3)
      expect(sink.stats().queuedBytes).toBeLessThanOrEqual(boundBytes)
      bed.heal()
      await sink.close()
      expect(bed.read().length + sink.stats().dropped).toBe(manyRecords)
    })

    it('in one record is taken when nothing else waits', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ maxBufferBytes: 1_000, overflow: 'drop-newest' })
      const large = bed.line(0).replaceAll('x', '').concat('y'.repeat(300_000))
      const text = large.startsWith('{') ? `${bed.line(0).slice(0, -2)}${'y'.repeat(300_000)}"}` : large
      sink.write(`${text}\n`)
      await sink.close()
      expect(bed.read()).toEqual([text])
    })

    it('blocks a caller that ignores back-pressure, and loses nothing', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ maxBufferBytes: QUEUE_BYTES })
      for (const operation of writes) bed.fail(operation, 'ENOSPC', { count: 5 })
      for (let index = 0; index < manyRecords; index++) {
        sink.write(`${bed.line(index)}\n`)
        expect(sink.stats().queuedBytes).toBeLessThanOrEqual(boundBytes + bed.line(index).length)
      }
      await sink.close()
      expect(bed.read()).toEqual(bed.lines(manyRecords))
      expect(sink.stats()).toMatchObject({ dropped: 0, queuedBytes: 0 })
    })

    it('makes write answer false, and "drain" follows once there is room, not before', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ maxBufferBytes: QUEUE_BYTES })
      bed.failAll(writes, 'ENOSPC')
      let logged = 0
      let drains = 0
      // What moves on to memory of a target makes room, too; in the end there is none.
      do {
        drains = bed.count('drain')
        while (sink.write(`${bed.line(logged++)}\n`)) expect(logged).toBeLessThan(manyRecords)
        await new Promise((resolve) => setTimeout(resolve, 150))
      } while (bed.count('drain') > drains)
      expect(sink.stats().queuedBytes).toBeLessThanOrEqual(boundBytes)
      const drained = new Promise<void>((resolve) => void sink.once('drain', () => resolve()))
      bed.heal()
      await drained
      expect(sink.stats().queuedBytes).toBeLessThan(boundBytes)
      await sink.close()
      expect(bed.read()).toEqual(bed.lines(logged))
    })
  })
}

function averageBytes(subject: Subject): number {
  const lengths = Array.from({ length: 20 }, (_, index) => subject.line(index).length)
  return lengths.reduce((sum, length) => sum + length, 0) / lengths.length
}

function hasPolicy(subject: Subject, overflow: Overflow): boolean {
  try {
    sinks[subject.kind].check({ ...subject.options('/nowhere'), overflow })
    return true
  } catch {
    return false
  }
}
