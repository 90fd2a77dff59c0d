// The n-th real system call of a writing process fails, for every kind of sink, once or for a while: every record is
// there, in its order, and what was acknowledged was there when it was.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { isLong } from '../../helpers/sized.ts'
import { faultsIn, readStorm, type StormKind, StormWriter, stormKinds } from '../../helpers/storm.ts'
import {
  buildCallFaults,
  type Call,
  type CallFault,
  CallFaults,
  callFaultsUnavailable
} from '../../helpers/syscall-faults.ts'
import { until } from '../../helpers/until.ts'

const RECORDS = 400
/** With some that are larger than a page, and rotations. */
const LARGEST = 20_000
const MOST_TIMES = 2 ** 30
const END_MS = 60_000

const fitting: Record<Call, readonly CallFault[]> = {
  open: ['EIO', 'EMFILE', 'EACCES'],
  write: ['EIO', 'ENOSPC', 'SHORT', 'EINTR'],
  sync: ['EIO', 'ENOSPC'],
  rename: ['EIO', 'EACCES'],
  truncate: ['EIO'],
  allocate: ['ENOSPC'],
  unlink: ['EIO'],
  link: ['EIO'],
  mkdir: ['ENOSPC']
}

interface Trial {
  readonly call: Call
  readonly fault: CallFault
  readonly nth: number
  readonly isLasting: boolean
}

const reason = callFaultsUnavailable()
let library = ''
let remove = (): void => {}

beforeAll(() => {
  if (reason === undefined) ({ library, remove } = buildCallFaults())
})
afterAll(() => remove())

describe.skipIf(reason !== undefined)(
  `real system calls that fail${reason === undefined ? '' : ` (${reason})`}`,
  () => {
    const some = isLong ? stormKinds : stormKinds.slice(0, 2)
    test.each(some.map((kind) => ({ ...kind, kind })))(
      'cost nothing that goes to $name',
      { timeout: isLong ? 3_600_000 : 120_000 },
      async ({ kind }) => {
        const made = await run(kind, undefined)
        expect(made.get('write')).toBeGreaterThan(0)
        for (const trial of trials(made)) await run(kind, trial)
      }
    )
  }
)

/** The first calls one by one, then fewer and fewer; in the normal run one of all. */
function trials(made: ReadonlyMap<Call, number>): Trial[] {
  const all: Trial[] = []
  for (const [call, most] of made) {
    for (let nth = 1; nth <= most; nth = nth < 10 ? nth + 1 : Math.ceil(nth * (1.2 + random() * 0.4))) {
      for (const fault of fitting[call]) all.push({ call, fault, nth, isLasting: random() < 0.3 })
    }
  }
  return isLong ? all : [all[Math.floor(random() * all.length)]]
}

async function run(kind: StormKind, trial: Trial | undefined): Promise<ReadonlyMap<Call, number>> {
  const what =
    trial && `${trial.fault} at call ${trial.nth} of ${trial.call}${trial.isLasting ? ' and later ones' : ''}`
  const folder = createFolder()
  const faults = new CallFaults(library, folder)
  // A short write or an interruption that goes on for ever is no fault that passes.
  const passes = trial?.fault === 'SHORT' || trial?.fault === 'EINTR'
  if (trial) faults.fail(trial.call, trial.fault, trial.nth, trial.isLasting ? (passes ? 5 : MOST_TIMES) : 1)
  const durability = random() < 0.5 ? 'disk' : 'os'
  const writer = new StormWriter(kind, folder, createFolder(), 'w', {
    count: RECORDS,
    largest: LARGEST,
    paceMs: 0,
    durability,
    env: faults.env
  })
  try {
    if (trial?.isLasting) {
      await until(() => faults.hits > 0 || !writer.isRunning, {
        timeoutMs: END_MS,
        what: 'the fault happens'
      })
      await delay(random() * 300)
      faults.heal()
    }
    await until(() => !writer.isRunning, { timeoutMs: END_MS, what: 'the writer ends' })
    expect([(await writer.exited).code, writer.stderr]).toEqual([0, ''])
    const { notes } = writer
    expect(notes.filter(({ fault }) => fault !== undefined)).toEqual([])
    expect(notes.at(-1)?.closed).toMatchObject({ dropped: 0, queuedBytes: 0, state: 'closed' })
    const found = await readStorm(kind, folder)
    // A sync that fails leaves it open what is on the disk: what it covers may be there twice.
    const mayRepeat = trial?.call === 'sync' || (durability === 'disk' && trial?.call === 'write')
    expect(faultsIn(kind, found, new Map([['w', RECORDS]]), { mayRepeat })).toEqual([])
    expect(found.foreign).toEqual([])
    tally('faults', faults.hits)
    tally('records', found.records)
    return faults.made
  } catch (error) {
    throw new Error(`${what ?? 'nothing fails'}, ${durability}: ${(error as Error).message}`, {
      cause: error
    })
  }
}
