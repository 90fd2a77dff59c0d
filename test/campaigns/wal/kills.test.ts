// SIGKILL at random moments and at each failpoint: the log opens by itself, nothing that was acknowledged is missing, and
// nothing that was refused is there.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { walFailpoints, walFailureFailpoints } from '../../../src/io/failpoint.ts'
import { tally } from '../../helpers/counts.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'
import { checkAfterCrash, startWalWriter, type WriterSettings } from '../../helpers/wal-crash.ts'
import { framesOf, segmentsOf } from '../../helpers/wal-damage.ts'

const kills = sized(300, 15)
/** A start, a kill and a look at the log take a fraction of a second; on a busy machine some of them. */
const KILL_LIMIT_MS = 10_000

test(`${kills} kills of a writer with several callers`, {
  timeout: 60_000 + kills * KILL_LIMIT_MS
}, async () => {
  const folder = createMemoryFolder()
  const options = { walDir: join(folder, 'wal'), segmentBytes: 100_000, fallback: false as const }
  let entries = 0
  for (let kill = 0; kill < kills; kill++) {
    const acks = join(folder, 'acks')
    rmSync(acks, { force: true })
    const settings = { options, acks, session: `s${kill}`, callers: 4, snapshots: kill % 3 === 0 }
    const { child, exited, stderr } = await startWalWriter(settings)
    await delay(random() * 60)
    child.kill('SIGKILL')
    await exited
    tally('kills')
    expect(stderr()).toBe('')
    entries += await checkAfterCrash(options, acks, kill % 2 === 0)
  }
  expect(entries).toBeGreaterThan(kills)
})

type Point = (typeof walFailpoints)[number] | (typeof walFailureFailpoints)[number]

interface Way {
  point: Point
  /** What has to fail for the point to be passed. */
  failures?: string[]
  settings?: Partial<WriterSettings>
}

// A sync that fails after another one has covered the same costs nothing: one of several in a row does.
const syncFails = [5, 30, 31, 32, 33, 34, 35, 36].map((nth) => `wal-synced:error:${nth}`)
/** How a running writer gets to each point, again and again or, after failures, at least twice. */
const whileRunning: Way[] = [
  ...walFailpoints.map((point) => ({ point })),
  { point: 'wal-sealed', failures: ['wal-written:error:5', 'wal-written:error:30'] },
  {
    point: 'wal-taken-back',
    failures: [...syncFails, 'wal-aside-synced:error:1', 'wal-aside-synced:error:3'],
    settings: { syncEvery: 1 }
  },
  { point: 'wal-withdrawn', failures: [...syncFails, 'wal-aside:error:1', 'wal-aside:error:3'] },
  ...(['wal-aside', 'wal-aside-synced', 'wal-aside-sealed', 'wal-aside-renamed'] as const).map((point) => ({
    point,
    failures: syncFails
  }))
]
const killPasses = sized([1, 2, 5, 20], [1])
const errorPasses = sized([1, 2, 5, 20], [2])

interface Death {
  options: WriteAheadLogOptions
  acks: string
}

/** Runs a writer until it dies at the last of the `traps`. */
async function dieAt(
  traps: string[],
  folder: string,
  settings: Partial<WriterSettings> = {}
): Promise<Death> {
  const options: WriteAheadLogOptions = { walDir: join(folder, 'wal'), segmentBytes: 30_000, fallback: false }
  const acks = join(folder, 'acks')
  rmSync(acks, { force: true })
  const session = traps.join('+').replaceAll(':', '.')
  const all = { options, acks, session, callers: 4, snapshots: true, ...settings }
  const writer = await startWalWriter(all, { LOGBOOM_FAILPOINT: traps.join(',') })
  await until(() => writer.child.signalCode !== null || writer.child.exitCode !== null, {
    timeoutMs: KILL_LIMIT_MS,
    what: `a death at ${traps.join(', ')}`
  }).finally(() => writer.child.kill('SIGKILL'))
  expect([writer.child.signalCode, writer.stderr()]).toEqual(['SIGKILL', ''])
  return { options, acks }
}

describe.each(whileRunning)('at $point', ({ point, failures = [], settings }) => {
  const limit = { timeout: 30_000 + 5 * KILL_LIMIT_MS }

  test('a kill', limit, async () => {
    const folder = createMemoryFolder()
    for (const pass of failures.length > 0 ? sized([1, 2], [1]) : killPasses) {
      const { options, acks } = await dieAt([...failures, `${point}:kill:${pass}`], folder, settings)
      await checkAfterCrash(options, acks, false)
    }
  })

  test('an error, and a kill when it is passed again', limit, async () => {
    const folder = createMemoryFolder()
    // There is a log, so that it is opened whatever fails.
    await dieAt(['wal-synced:kill:3'], folder)
    for (const pass of failures.length > 0 ? [1] : errorPasses) {
      const traps = [...failures, `${point}:error:${pass}`, `${point}:kill:${pass + 1}`]
      const { options, acks } = await dieAt(traps, folder, settings)
      await checkAfterCrash(options, acks, false)
    }
  })
})

type OpeningPoint = Extract<Point, `wal-found${string}` | 'wal-copied' | 'wal-cut'>

/** How a log is left that passes each point when it is opened. */
const whileOpening: { point: OpeningPoint; leave: (folder: string) => Promise<Death> }[] = [
  ...(['wal-found-synced', 'wal-found-sealed', 'wal-found-renamed'] as const).map((point) => ({
    point,
    leave: (folder: string) => dieAt([...syncFails, 'wal-aside-synced:kill:1'], folder)
  })),
  ...(['wal-copied', 'wal-cut'] as const).map((point) => ({ point, leave: leaveTorn }))
]

async function leaveTorn(folder: string): Promise<Death> {
  const death = await dieAt(['wal-synced:kill:3'], folder)
  const path = segmentsOf(join(folder, 'wal')).at(-1)!
  const whole = readFileSync(path).subarray(0, framesOf(path).at(-1)!.end)
  writeFileSync(path, Buffer.concat([whole, whole.subarray(0, framesOf(path)[0].end - 1)]))
  return death
}

describe.each(whileOpening)('at $point', ({ point, leave }) => {
  const limit = { timeout: 30_000 + 4 * KILL_LIMIT_MS }

  test.each(['kill', 'error'] as const)('%s while it is opened', limit, async (action) => {
    const folder = createMemoryFolder()
    const { options, acks } = await leave(folder)
    const env = { LOGBOOM_FAILPOINT: `${point}:${action}:1` }
    const settings = { options, acks, session: 'opening', callers: 1, snapshots: false }
    const opening = startWalWriter(settings, env)
    if (action === 'error') await expect(opening).rejects.toThrow(`failpoint ${point}`)
    else {
      const { child, exited } = await opening
      await exited
      expect(child.signalCode).toBe('SIGKILL')
    }
    await checkAfterCrash(options, acks, false)
  })
})

test('every failpoint is visited', () => {
  const visited = new Set<Point>([...whileRunning, ...whileOpening].map(({ point }) => point))
  expect([...visited].sort()).toEqual([...walFailpoints, ...walFailureFailpoints].sort())
})
