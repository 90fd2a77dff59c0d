// A disk that fails: the n-th call of every operation that the sink makes, with every error that fits, once and for a
// while. Everything that was acknowledged is there at that moment, and everything is there in the end.
import { describe, expect, it } from 'vitest'
import type { InternalSink } from '../../src/core/sink/pumped-sink.ts'
import { native } from '../../src/native/index.ts'
import { together } from '../helpers/at-test-end.ts'
import { tally } from '../helpers/counts.ts'
import { random } from '../helpers/random.ts'
import type { Fault, Operation } from '../helpers/shared-faulty-disk.mjs'
import { isLong } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'
import { Acknowledged, Bed, canCountFiles, dataSyncs, numbersOf } from './bed.ts'
import { isRecord, type Subject } from './subject.ts'

const LINES = 40
const FLUSH_MS = 10_000

/** What each kind of operation can fail with. */
export const fitting: readonly [RegExp, readonly Fault[]][] = [
  [/^(write|writeAsync|writeSynced|writev)$/, ['EIO', 'ENOSPC', 'EINTR', 'SHORT']],
  [/^writevHashed$/, ['EIO', 'ENOSPC', 'EINTR']],
  [/^(fallocate|preallocate|publishFile)$/, ['EIO', 'ENOSPC']],
  [/^(open|openAsync|mkdir|readdir|readdirAsync)$/, ['EIO', 'EMFILE', 'EACCES', 'ENOSPC', 'EINTR']],
  [/sync/i, ['EIO', 'ENOSPC', 'EINTR']],
  [/^lock$/, ['EIO', 'ENOLCK', 'EINTR']],
  [/^unlock$/, ['ENOLCK']],
  [/^(close|read|readAsync)$/, ['EIO', 'EINTR']],
  [/^(fstat|lstat|stat|exists|chmod|chmodPath|setTime|truncate|unlink)$/, ['EIO', 'EACCES']],
  [/^rename/, ['EIO', 'ENOSPC', 'EACCES']]
]

/** Answers that are no I/O of their own. */
const harmless: readonly Operation[] = ['directAlignment', 'settlePublication', 'rmdir']

/** The operations are those that the sink makes while nothing fails, so none can be forgotten. */
export async function faultTests(subject: Subject): Promise<void> {
  const runs = [
    ['os', await callsOfARun(subject, 'os')],
    ['disk', await callsOfARun(subject, 'disk')]
  ] as const
  // At the same time, as they mostly wait until it is tried again.
  describe.concurrent('survives the failure of', () => {
    for (const [durability, calls] of runs) {
      for (const [operation, count] of calls) {
        const faults = fitting.find(([pattern]) => pattern.test(operation))?.[1] ?? []
        for (const fault of faults) {
          const name = `${operation} with ${fault}, durability ${durability}: any call, once and for a while`
          it(
            name,
            { timeout: isLong ? 900_000 : 60_000 },
            together(async () => {
              for (const { nth, isLasting } of attempts(count)) {
                await run(subject, durability, { operation, fault, nth, isLasting })
                tally('faults')
              }
            })
          )
        }
      }
    }
  })
}

interface Trial {
  readonly operation: Operation
  readonly fault: Fault
  readonly nth: number
  readonly isLasting: boolean
}

/**
 * Every call, both ways, in the long run. Else one call for each way, often the first, which opens things; and without the
 * addon, where the same code runs once more, one of the ways.
 */
function attempts(calls: number): { nth: number; isLasting: boolean }[] {
  if (isLong) {
    const all = Array.from({ length: calls }, (_, index) => index + 1)
    return [false, true].flatMap((isLasting) => all.map((nth) => ({ nth, isLasting })))
  }
  const any = (): number => (random() < 0.3 ? 1 : 1 + Math.floor(random() * calls))
  const ways = native.backend === 'fallback' ? [random() < 0.5] : [false, true]
  return ways.map((isLasting) => ({ nth: any(), isLasting }))
}

/** How often each operation is called when nothing fails. */
async function callsOfARun(subject: Subject, durability: 'os' | 'disk'): Promise<Map<Operation, number>> {
  const bed = new Bed(subject, { isAlone: true })
  const sink = bed.create({ durability })
  try {
    await work(bed, sink)
    await sink.flush()
    expectStored(bed, LINES)
  } finally {
    await bed.end()
  }
  const calls = bed.allCalls()
  for (const operation of calls.keys()) {
    const isKnown = harmless.includes(operation) || fitting.some(([pattern]) => pattern.test(operation))
    if (!isKnown) throw new Error(`nothing says how ${operation} can fail`)
  }
  return calls
}

/** Logs `LINES` records, half of them acknowledged; whatever is acknowledged must be in the files. */
async function work(bed: Bed, sink: InternalSink): Promise<void> {
  const host = new Acknowledged(sink)
  for (let index = 0; index < LINES; index++) {
    const text = `${bed.line(index)}\n`
    if (index % 10 !== 9) sink.write(text)
    else if (host.write(text)) expectStored(bed, index + 1)
  }
}

function expectStored(bed: Bed, count: number): void {
  const found = new Set(numbersOf(bed.subject.readStored?.(bed.folder).filter(isRecord) ?? bed.read()))
  for (let index = 0; index < count; index++) {
    if (!found.has(index)) throw new Error(`record ${index} of ${count} is acknowledged and not in the files`)
  }
}

async function run(subject: Subject, durability: 'os' | 'disk', trial: Trial): Promise<void> {
  const { operation, fault, nth, isLasting } = trial
  const what = `${fault} at call ${nth} of ${operation}${isLasting ? ' and later' : ''}`
  const bed = new Bed(subject, { isAlone: true })
  bed.fail(operation, fault, isLasting ? { from: nth } : { from: nth, count: 1 })
  try {
    const sink = bed.create({ durability })
    await work(bed, sink)
    const flushed = sink.flush().then(
      () => expectStored(bed, LINES),
      (error: { code?: string }) => {
        // A level that cannot be reached any more may be refused; the records are written all the same.
        if (error.code !== 'ERR_SYNC') throw error
      }
    )
    if (isLasting) {
      await Promise.race([flushed, new Promise((resolve) => setTimeout(resolve, 30))])
      bed.heal()
    }
    let isFlushed = false
    flushed.then(
      () => {
        isFlushed = true
      },
      () => {
        isFlushed = true
      }
    )
    await until(() => isFlushed, { timeoutMs: FLUSH_MS, what: 'flush settles' })
    await flushed
    await until(() => sink.stats().state === 'open', { what: 'the sink is open again' })
    await sink.close()
    const numbers = numbersOf(bed.read())
    // A data sync that failed leaves it open what is on the disk: at least once. Everything else: exactly once.
    if (dataSyncs.includes(operation)) {
      expect(numbersOf([...new Set(bed.read())]).sort((a, b) => a - b)).toEqual(numbersOf(bed.lines(LINES)))
      expect(numbers.length).toBeLessThanOrEqual(3 * LINES)
    } else expect(numbers).toEqual(numbersOf(bed.lines(LINES)))
    expect(sink.stats()).toMatchObject({ dropped: 0, queuedBytes: 0, state: 'closed' })
    expect(bed.count('recovered')).toBe(bed.count('degraded'))
    if (canCountFiles) expect(bed.openFiles()).toEqual([])
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error })
  } finally {
    await bed.end()
  }
}
