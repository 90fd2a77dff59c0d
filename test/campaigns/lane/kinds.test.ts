// Kinds of logs that one process writes at a time: it is killed at any moment, and the next one goes on. Of a write-ahead
// log every record is there once; of those that write by themselves the last ones may be there twice.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'
import {
  faultsIn,
  gapsIn,
  type LaneKind,
  LaneWriter,
  type LaneWriterSettings,
  noLanes,
  readRecords,
  recoverAll
} from './writers.ts'

const kills = sized(200, 4)

function settingsOf(kind: LaneKind, more: Partial<LaneWriterSettings['options']> = {}) {
  const folder = createFolder()
  const laneDir = join(createFolder(memoryRoot), 'lane')
  const place =
    kind === 'direct-file' || kind === 'rotating-file'
      ? { path: join(folder, 'a.log') }
      : { dir: join(folder, 'log') }
  const settings = { kind, options: { ...place, lane: { dir: laneDir, maxBytes: 256 * 1024 }, ...more } }
  return { folder, laneDir, settings }
}

async function killOneAfterTheOther(folder: string, settings: LaneWriterSettings): Promise<LaneWriter[]> {
  const writers: LaneWriter[] = []
  for (let killed = 0; killed < kills; killed++) {
    const writer = new LaneWriter(`w${killed}`, folder, {
      ...settings,
      count: 30_000,
      death: 'idle',
      burst: 300,
      bytes: [10, random() < 0.2 ? 50_000 : 500]
    })
    writers.push(writer)
    if (random() < 0.8) await until(() => writer.returned > 1_000, { timeoutMs: 60_000 })
    await sleep(random() * 100)
    writer.child.kill('SIGKILL')
    await writer.exited
    tally('kills')
    expect(writer.stderr).toBe('')
  }
  return writers
}

describe.skipIf(noLanes)('kinds with one writer (need the addon and /dev/shm)', () => {
  test.each(['os', 'disk'])(
    `${kills} kills of the writers of a write-ahead log with durability %s lose and repeat nothing`,
    { timeout: 900_000 },
    async (durability) => {
      const { folder, laneDir, settings } = settingsOf('wal', { durability, maxBytes: 1_000_000 })
      const writers = await killOneAfterTheOther(folder, settings)
      await recoverAll(settings)
      expect(faultsIn(await readRecords(settings), writers)).toEqual([])
      expect(readdirSync(laneDir)).toEqual([])
    }
  )

  test('a kill between an append to a write-ahead log and the note that it is there repeats nothing', async () => {
    const { folder, laneDir, settings } = settingsOf('wal', { durability: 'os' })
    const writers: LaneWriter[] = []
    for (const failpoint of ['appended:kill:1', 'appended:kill:3', 'appended:kill:1']) {
      const writer = new LaneWriter(`w${writers.length}`, folder, {
        ...settings,
        count: 2_000,
        burst: 500,
        failpoint
      })
      writers.push(writer)
      expect((await writer.exited).signal).toBe('SIGKILL')
    }
    await recoverAll(settings)
    expect(faultsIn(await readRecords(settings), writers)).toEqual([])
    expect(readdirSync(laneDir)).toEqual([])
  })

  test(`${kills} kills of the only writer of a text log without a lock lose and repeat nothing`, {
    timeout: 900_000
  }, async () => {
    const { folder, laneDir, settings } = settingsOf('rotating-file', { lock: false, maxBytes: 1_000_000 })
    const writers = await killOneAfterTheOther(folder, settings)
    await recoverAll(settings)
    expect(faultsIn(await readRecords(settings), writers)).toEqual([])
    expect(readdirSync(laneDir)).toEqual([])
  })

  // Many lines at once are taken out of the lane in part, where there is no room for all.
  const littleRoom = { bufferSize: 128 * 1024, numShards: 1 }
  test.each<[LaneKind, Partial<LaneWriterSettings['options']>, number]>([
    ['direct-file', { flushInterval: 20 }, 1],
    ['direct-file', { flushInterval: 10_000 }, 1],
    ['direct-file', littleRoom, 300],
    ['event-files', { output: 'rotating-file', flushInterval: 20 }, 1],
    ['event-files', { output: 'direct-file', ...littleRoom }, 300]
  ])(
    `${kills} kills of the writers of a %s %j, up to %i lines at once, lose nothing`,
    {
      timeout: 900_000
    },
    async (kind, more, lines) => {
      const { folder, laneDir, settings } = settingsOf(kind, more)
      const writers = await killOneAfterTheOther(folder, { ...settings, lines })
      await recoverAll(settings)
      const records = await readRecords(settings)
      expect(gapsIn(records, writers, lines)).toEqual([])
      const twice = records.length - new Set(records).size
      console.log(`${records.length} records, ${twice} of them there twice`)
      expect(readdirSync(laneDir)).toEqual([])
    }
  )
})
