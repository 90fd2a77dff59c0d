// Syncs that fail for a while: what was acknowledged stays, what was not is written again a bounded number of times.
import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { sinks } from '../../src/core/registry.ts'
import { until } from '../helpers/until.ts'
import { Acknowledged, Bed, dataSyncs, numbersOf } from './bed.ts'
import type { Subject } from './subject.ts'

/** Long enough for a score of attempts without a back-off. */
const TROUBLE_MS = 1_500
/** The file that is left, the next one, and one that was under way. */
const MOST_COPIES = 4

export function failingSyncTests(subject: Subject): void {
  describe('a sync that fails for a while', () => {
    it('costs no acknowledged record, though backups are limited, and leaves a bounded number of copies', async () => {
      const bed = new Bed(subject)
      const sink = bed.create({ durability: 'disk', ...retention(subject, bed.folder) })
      const host = new Acknowledged(sink)
      // Up to the first rotation: what is there then is within the limit with some backups more.
      let logged = 0
      while (logged < 12 || (sink.stats().rotations === 0 && logged < 60)) {
        if (!host.write(`${bed.line(logged++)}\n`)) await host.drained()
      }
      const acknowledged = numbersOf(bed.read())
      expect(acknowledged).toEqual(numbersOf(bed.lines(logged)))
      const filesBefore = countFiles(bed.folder)
      bed.failAll([...dataSyncs, ...(subject.syncs ?? [])], 'EIO')
      const late = logged++
      expect(host.write(`${bed.line(late)}\n`)).toBe(false)
      await new Promise((resolve) => setTimeout(resolve, TROUBLE_MS))
      expect(bed.count('drain')).toBeLessThanOrEqual(late)
      expect(countFiles(bed.folder) - filesBefore).toBeLessThanOrEqual(2 * MOST_COPIES)
      bed.heal()
      await host.drained()
      await until(() => bed.count('recovered') > 0)
      const found = numbersOf(bed.read())
      expect(found.filter((number) => number === late).length).toBeGreaterThanOrEqual(1)
      expect(found.filter((number) => number === late).length).toBeLessThanOrEqual(MOST_COPIES)
      expect([...new Set(found)].filter((number) => number !== late)).toEqual(acknowledged)
      expect({ degraded: bed.count('degraded'), recovered: bed.count('recovered') }).toEqual({
        degraded: 1,
        recovered: 1
      })
      await sink.close()
      expect(new Set(numbersOf(bed.read()))).toEqual(new Set(numbersOf(bed.lines(logged))))
    })
  })
}

/** The limit of backups, where the kind has one. */
function retention(subject: Subject, folder: string): Record<string, unknown> {
  const wanted = { maxBackups: 4 }
  try {
    sinks[subject.kind].check({ ...subject.options(folder), ...wanted })
    return wanted
  } catch {
    return {}
  }
}

function countFiles(folder: string): number {
  return readdirSync(folder, { recursive: true }).length
}
