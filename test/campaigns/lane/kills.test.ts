// SIGKILL at any moment: a record whose call had returned is in the log, once and in order, whoever is killed when.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type Failpoint, failpoints, laneFailpoints } from '../../../src/io/failpoint.ts'
import { togetherFor } from '../../helpers/at-test-end.ts'
import { tally } from '../../helpers/counts.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'
import {
  faultsIn,
  type LaneKind,
  LaneWriter,
  type LaneWriterSettings,
  noLanes,
  readRecords,
  recoverAll
} from './writers.ts'

const kills = sized(500, 25)

function settingsOf(kind: LaneKind): { folder: string; laneDir: string; settings: LaneWriterSettings } {
  const folder = createFolder()
  const laneDir = join(createFolder(memoryRoot), 'lane')
  const lane = { dir: laneDir, maxBytes: 256 * 1024 }
  return {
    folder,
    laneDir,
    settings: { kind, options: { path: join(folder, 'a.log'), lane, maxBytes: 100_000 } }
  }
}

describe.skipIf(noLanes)('writers with a lane (needs the addon and /dev/shm)', () => {
  test.concurrent.for<LaneKind>(['rotating-file', 'binary-file'])(
    `${kills} kills of writers of one %s lose and repeat nothing`,
    { timeout: 1_800_000 },
    togetherFor(async (kind) => {
      const { folder, laneDir, settings } = settingsOf(kind)
      const writers: LaneWriter[] = []
      const alive: LaneWriter[] = []
      for (let killed = 0; killed < kills; killed++) {
        while (alive.length < 2) {
          const writer = new LaneWriter(`w${writers.length}`, folder, {
            ...settings,
            // So that a fast disk is not filled.
            count: 30_000,
            death: 'idle',
            bytes: random() < 0.2 ? [10, 200_000] : [10, 500]
          })
          writers.push(writer)
          alive.push(writer)
        }
        const victim = alive.splice(Math.floor(random() * alive.length), 1)[0]
        // Some are killed while they open the log and take over what the dead have left.
        if (random() < 0.8) await until(() => victim.returned > 0, { timeoutMs: 60_000 })
        await sleep(random() * 60)
        victim.child.kill('SIGKILL')
        await victim.exited
        tally('kills')
      }
      for (const writer of alive) {
        writer.child.kill('SIGKILL')
        await writer.exited
      }
      const recovered = await recoverAll(settings)
      const records = await readRecords(settings)
      tally('records', records.length)
      expect(faultsIn(records, writers)).toEqual([])
      expect(readdirSync(laneDir)).toEqual([])
      const taken = writers.flatMap(({ events }) => events).filter(({ event }) => event === 'recovered-lane')
      console.log(
        `${records.length} records, ${taken.length} lanes taken over, ${recovered} records at the end`
      )
      expect(taken.length).toBeGreaterThan(0)
      expect(writers.map(({ stderr }) => stderr).join('')).toBe('')
    })
  )

  const points: Failpoint[] = [...failpoints.slice(0, 5), ...laneFailpoints]
  test.concurrent.for(
    points.flatMap((point) => sized([1, 2, 3, 5, 20], [1]).map((nth) => [point, nth] as const))
  )(
    'a kill at %s, the %d. time, of the writer and of whoever takes over from it',
    { timeout: 120_000 },
    togetherFor(async ([point, nth]) => {
      const { folder, laneDir, settings } = settingsOf(random() < 0.5 ? 'rotating-file' : 'binary-file')
      const few = { ...settings, count: 2_000, burst: 500 }
      const writers: LaneWriter[] = []
      // The first leaves something in the middle of an append; the ones after that die where they are told to.
      for (const failpoint of [
        `noted:kill:${nth + 1}`,
        `${point}:kill:${nth}`,
        `${point}:kill:1`,
        undefined
      ]) {
        const writer = new LaneWriter(`w${writers.length}`, folder, {
          ...few,
          ...(failpoint && { failpoint })
        })
        writers.push(writer)
        const { signal } = await writer.exited
        expect(writer.stderr).toBe('')
        if (failpoint === undefined) expect(signal).toBe(null)
      }
      await recoverAll(settings)
      expect(faultsIn(await readRecords(settings), writers)).toEqual([])
      expect(readdirSync(laneDir)).toEqual([])
    })
  )
})
