// Sinks that take records from a ring to their own memory, from where they reach the file later: until then the ring is
// what survives.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { LaneSource } from '../../../src/core/lane/lane-source.ts'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { SharedRing } from '../../../src/core/lane/shared-ring.ts'
import { waitingLanes } from '../../../src/core/lane/waiting.ts'
import { type Kind, sinks } from '../../../src/core/registry.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { SinkKind } from '../../../src/core/sink/sink-kind.ts'
import { readRecords } from '../../../src/readers/read-records.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { seed } from '../../helpers/random.ts'
import { runScript } from '../../helpers/run-script.ts'
import { createThreadFaults } from '../../helpers/thread-faults.ts'

test('whoever goes on after a death has everything that was not released, however much of it was taken', () => {
  const steps = fc.array(
    fc.record({
      lines: fc.integer({ min: 1, max: 5 }),
      /** How many lines are taken, and up to which of the places so far all is released. */
      taken: fc.integer({ min: 0, max: 4 }),
      released: fc.integer({ min: 0, max: 20 })
    }),
    { minLength: 1, maxLength: 20 }
  )
  fc.assert(
    fc.property(steps, (all) => {
      const ring = SharedRing.create(64 * 1024)
      const source = new LaneSource(ring, { unit: 'text' }, undefined)
      source.stage()
      const places = [{ point: source.point, lines: 0 }]
      let logged = 0
      let released = 0
      for (const step of all) {
        const record = Array.from({ length: step.lines }, () => `line ${logged++}\n`).join('')
        expect(source.append(record)).toBe(true)
        const head = source.head(1_000_000).toString()
        const some = head.split('\n').slice(0, step.taken).join('\n')
        const bytes = some.length === 0 ? 0 : Math.min(head.length, some.length + 1)
        source.consume(bytes)
        const taken = places.at(-1)!.lines + (bytes === 0 ? 0 : head.slice(0, bytes).split('\n').length - 1)
        places.push({ point: source.point, lines: taken })
        const place = places[Math.min(step.released, places.length - 1)]
        if (place.lines >= released) {
          released = place.lines
          source.release(place.point)
        }
        expect(source.countKept().records).toBe(taken - released)
        expect(source.count().records).toBe(logged - released)

        const next = new LaneSource(ring, { unit: 'text' }, undefined)
        const left = Array.from({ length: logged - released }, (_, i) => `line ${released + i}\n`).join('')
        // It only reads, so that the first one can go on.
        expect(next.head(1_000_000).toString()).toBe(left)
      }
    }),
    { seed, numRuns: 100 }
  )
})

async function countOf(path: string): Promise<{ all: number; different: number }> {
  const numbers: number[] = []
  for await (const { data } of readRecords(path)) numbers.push(JSON.parse(data.toString()).i)
  return { all: numbers.length, different: new Set(numbers).size }
}

describe.skipIf(!MappedRing.isAvailable)('a staging sink with a lane (needs the addon)', () => {
  let logs: string
  let dir: string
  beforeEach(() => {
    logs = createFolder()
    dir = join(createFolder(memoryRoot), 'lane')
  })

  test('what a direct file has taken in part when its process is killed is written by whoever opens it next', async () => {
    const path = join(logs, 'a.dlog')
    const options = { path, bufferSize: '128k', numShards: 1, lane: { dir, maxBytes: '4m' } }
    const script = `
      import { DirectFile } from 'logboom'
      const file = new DirectFile(${JSON.stringify(options)})
      let lines = ''
      for (let i = 0; i < 5_000; i++) lines += JSON.stringify({ i, text: 'x'.repeat(60) }) + '\\n'
      file.write(lines)
      process.kill(process.pid, 'SIGKILL')`
    expect(await runScript(script)).toMatchObject({ signal: 'SIGKILL', stderr: '' })
    const next = sinks['direct-file'].create(options as never)
    await next.close()
    expect((await countOf(path)).different).toBe(5_000)
    expect(readdirSync(dir)).toEqual([])
  })

  test.each<[Kind, Record<string, unknown>]>([
    ['direct-file', {}],
    ['event-files', { output: 'direct-file' }]
  ])(
    '%s %j: what cannot be written at the end is not counted as lost, as its lane holds it',
    async (kind, more) => {
      const place = kind === 'direct-file' ? { path: join(logs, 'a.dlog') } : { dir: logs }
      const options = { ...place, ...more, lane: { dir, maxBytes: '1m' }, fallback: false }
      const faults = createThreadFaults()
      const create = (): ReturnType<SinkKind['create']> => (sinks[kind] as SinkKind).create(options as never)
      const sink = withInternals({ threadDisk: faults.threadDisk }, create)
      faults.fail('any', 'EIO')
      const lines = Array.from({ length: 500 }, (_, i) => `${JSON.stringify({ event: 'a', i })}\n`)
      sink.write(lines.join(''))
      sink.writeNow()
      expect(sink.abandon()).toEqual({ lines: 0, bytes: 0 })
      sink.hurry()
      await sink.close()
      expect(sink.stats()).toMatchObject({ dropped: 0, queuedBytes: 0 })
      const waiting = waitingLanes(undefined, dir).filter(({ folder }) => folder?.path === dir)
      expect(waiting).toMatchObject([{ records: 500 }])

      const next = create()
      await next.close()
      expect(await countOf(kind === 'direct-file' ? join(logs, 'a.dlog') : logs)).toEqual({
        all: 500,
        different: 500
      })
      expect(readdirSync(dir)).toEqual([])
    }
  )
})
