// A file system that cannot sync: refused for good where records are to be on disk, of no consequence elsewhere. It is
// the way into the state `failed`, in which every wait ends, and whatever comes is dropped and counted.
import { describe, expect, it } from 'vitest'
import type { InternalSink } from '../../src/core/sink/pumped-sink.ts'
import type { Operation } from '../helpers/shared-faulty-disk.mjs'
import { until } from '../helpers/until.ts'
import { Bed, canCountFiles } from './bed.ts'
import { isRecord, type Subject } from './subject.ts'

const LINES = 10
/** Nothing waits here for what closing waits for otherwise. */
const AT_ONCE_MS = 5_000
const syncs: readonly Operation[] = ['fdatasync', 'fdatasyncAsync', 'fsync', 'fsyncAsync']
const refusal = { code: 'ERR_UNSUPPORTED' }

export function failedTests(subject: Subject): void {
  describe('a file system that cannot sync', () => {
    it("is refused at 'disk' for good: waits end, what comes is counted, and close says so", {
      timeout: 20_000
    }, async ({ skip }) => {
      const bed = new Bed(subject)
      // Some look at once, and refuse in the constructor.
      const sink = createOn(bed) ?? createBefore(bed)
      bed.log(sink, LINES)
      const error = await sink.flush().catch((reason) => reason)
      if (syncs.every((operation) => bed.calls(operation) === 0)) skip('its writes are synced by themselves')
      expect(error).toMatchObject(refusal)
      await until(() => sink.stats().state === 'failed', { what: 'the sink has failed' })
      bed.log(sink, LINES, LINES)
      await expect(sink.flush()).rejects.toMatchObject(refusal)
      expect(() => sink.flushSync()).toThrow(expect.objectContaining(refusal))
      const startMs = performance.now()
      await expect(sink.close()).rejects.toMatchObject({ code: 'ERR_LOST' })
      expect(performance.now() - startMs).toBeLessThan(AT_ONCE_MS)
      const { dropped, queuedBytes, state } = sink.stats()
      // What was written before may be in the files although it is counted as lost: nobody was told that it is there.
      expect(dropped).toBeGreaterThanOrEqual(LINES)
      expect(dropped).toBeLessThanOrEqual(2 * LINES)
      const kept = subject.readStored?.(bed.folder).filter(isRecord) ?? bed.read()
      expect(kept.length + dropped).toBeGreaterThanOrEqual(2 * LINES)
      expect({ queuedBytes, state }).toEqual({ queuedBytes: 0, state: 'closed' })
      if (canCountFiles) expect(bed.openFiles()).toEqual([])
      expect(() => bed.log(sink, 1)).toThrow('ERR_CLOSED')
    })

    it("is served at 'os', where nothing has to be synced", { timeout: 20_000 }, async () => {
      const bed = new Bed(subject)
      bed.failAll(syncs, 'EINVAL')
      const sink = bed.create({ durability: 'os' })
      bed.log(sink, LINES)
      await sink.flush()
      expect(bed.read()).toEqual(bed.lines(LINES))
      bed.log(sink, LINES, LINES)
      await sink.close()
      expect(bed.read()).toEqual(bed.lines(2 * LINES))
      expect(sink.stats()).toMatchObject({ dropped: 0, queuedBytes: 0, state: 'closed' })
    })
  })
}

/** A sink on such a file system; undefined where that is refused, and then it must be for the right reason. */
function createOn(bed: Bed): InternalSink | undefined {
  bed.failAll(syncs, 'EINVAL')
  try {
    return bed.create({ durability: 'disk' })
  } catch (error) {
    expect(error).toMatchObject(refusal)
    if (canCountFiles) expect(bed.openFiles()).toEqual([])
    return undefined
  }
}

/** A sink whose file system turns into such a one. */
function createBefore(bed: Bed): InternalSink {
  bed.heal()
  const sink = bed.create({ durability: 'disk' })
  bed.failAll(syncs, 'EINVAL')
  return sink
}
