// Faults at random for a long time: every kind in turn lives through lives of its sink in one folder, while the disk
// fails here and there. LOGBOOM_SOAK_MINUTES says for how long (some seconds; in the long run ten minutes),
// LOGBOOM_SOAK_ONLY for which sinks (a part of their names).
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { InternalSink } from '../../../src/core/sink/pumped-sink.ts'
import { Acknowledged, Bed, canCountFiles, dataSyncs, numbersOf } from '../../conformance/bed.ts'
import { fitting } from '../../conformance/faults.ts'
import { isRecord, nameOf, type Subject } from '../../conformance/subject.ts'
import { subjects } from '../../conformance/subjects/index.ts'
import { tally } from '../../helpers/counts.ts'
import { random } from '../../helpers/random.ts'
import type { Operation } from '../../helpers/shared-faulty-disk.mjs'
import { isLong } from '../../helpers/sized.ts'

const minutes = Number(process.env.LOGBOOM_SOAK_MINUTES ?? (isLong ? 10 : 0.2))
const only = process.env.LOGBOOM_SOAK_ONLY ?? ''
const chosen = subjects.filter((subject) => nameOf(subject).includes(only))
const LIVES = 4
const MAX_RECORDS = 60
const MAX_FAULT_MS = 300
const FLUSH_TIMEOUT_MS = 20_000

const below = (limit: number): number => Math.floor(random() * limit)
const pick = <T>(list: readonly T[]): T => list[below(list.length)]

it(`keeps every record of every kind for ${minutes} minutes of faults at random`, {
  timeout: minutes * 60_000 + 120_000
}, async () => {
  const deadlineMs = performance.now() + minutes * 60_000
  const totals = { episodes: 0, lives: 0, faults: 0, records: 0 }
  for (let index = 0; performance.now() < deadlineMs; index++) {
    await episode(chosen[index % chosen.length], totals)
    totals.episodes++
  }
  for (const what of ['lives', 'faults', 'records'] as const) tally(what, totals[what])
  console.log(`soak: ${JSON.stringify(totals)}`)
  expect(totals.faults).toBeGreaterThan(0)
})

async function episode(
  subject: Subject,
  totals: { lives: number; faults: number; records: number }
): Promise<void> {
  const durability = pick(['os', 'disk'] as const)
  const bed = new Bed(subject, { isAlone: true })
  const story: string[] = []
  let logged = 0
  let mayRepeat = false
  let present: InternalSink | undefined
  try {
    for (let life = 0; life < LIVES; life++) {
      const sink = bed.create({ durability })
      present = sink
      const host = new Acknowledged(sink)
      for (let part = 0; part < 3; part++) {
        const faults = beginFaults(bed, story)
        totals.faults += faults.length
        mayRepeat ||= faults.some((operation) => isSync(subject, operation))
        const count = 1 + below(MAX_RECORDS)
        for (let i = 0; i < count; i++) {
          const text = `${bed.line(logged++)}\n`
          if (random() < 0.8) sink.write(text)
          else if (host.write(text)) expectStored(bed, logged)
        }
        const flushed = flush(bed, sink, logged)
        await Promise.race([flushed, delay(below(MAX_FAULT_MS))])
        bed.heal()
        await within(flushed, 'flush')
      }
      await within(sink.close(), 'close')
      expect(sink.stats()).toMatchObject({ dropped: 0, queuedBytes: 0, state: 'closed' })
      if (canCountFiles) expect(bed.openFiles()).toEqual([])
      totals.lives++
    }
    const numbers = numbersOf(bed.read())
    const expected = numbersOf(bed.lines(logged))
    if (mayRepeat) expect([...new Set(numbers)].sort((a, b) => a - b)).toEqual(expected)
    else expect(numbers).toEqual(expected)
    totals.records += logged
  } catch (error) {
    const stats = JSON.stringify(present?.stats())
    const last = JSON.stringify(bed.events.filter(({ name }) => name !== 'drain').slice(-5))
    const what = `${nameOf(subject)}, ${durability}, ${logged} records, ${story.join('; ')}; ${stats}; ${last}`
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error })
  } finally {
    await bed.end()
  }
}

/** Lets up to two operations fail from some call on, once or until they are healed. */
function beginFaults(bed: Bed, story: string[]): Operation[] {
  const called = [...bed.allCalls().keys()]
  const chosen: Operation[] = []
  for (let i = below(3); i > 0 && called.length > 0; i--) {
    const operation = pick(called)
    const faults = fitting.find(([pattern]) => pattern.test(operation))?.[1]
    if (faults === undefined || chosen.includes(operation)) continue
    const fault = pick(faults)
    const from = 1 + below(10)
    const isLasting = random() < 0.5 && fault !== 'EINTR' && fault !== 'SHORT'
    bed.fail(operation, fault, isLasting ? { from } : { from, count: 1 })
    story.push(`${fault} at ${operation} from ${from}${isLasting ? ' on' : ''}`)
    chosen.push(operation)
  }
  return chosen
}

function isSync(subject: Subject, operation: Operation): boolean {
  return dataSyncs.includes(operation) || (subject.syncs?.includes(operation) ?? false)
}

async function flush(bed: Bed, sink: InternalSink, logged: number): Promise<void> {
  try {
    await sink.flush()
  } catch (error) {
    // A level that cannot be reached any more may be refused; the records are written all the same.
    if ((error as { code?: string }).code !== 'ERR_SYNC') throw error
    return
  }
  expectStored(bed, logged)
}

function expectStored(bed: Bed, count: number): void {
  const found = new Set(numbersOf(bed.subject.readStored?.(bed.folder).filter(isRecord) ?? bed.read()))
  for (let index = 0; index < count; index++) {
    if (!found.has(index)) throw new Error(`record ${index} of ${count} is acknowledged and not in the files`)
  }
}

async function within(work: Promise<void>, what: string): Promise<void> {
  const late = Symbol('late')
  const timer = delay(FLUSH_TIMEOUT_MS, late, { ref: false })
  if ((await Promise.race([work, timer])) === late)
    throw new Error(`${what} takes more than ${FLUSH_TIMEOUT_MS} ms`)
}
