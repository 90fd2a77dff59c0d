// SIGKILL at random moments, for every kind of sink: the next process goes on, and every acknowledged record is there
// once, in its order.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { faultsIn, readStorm, reopen, type StormKind, StormWriter, stormKinds } from '../../helpers/storm.ts'

const kills = sized(300, 2)
/** So many kills happen to one log; then a new one begins, so that it is looked at, and not too large. */
const KILLS_PER_LOG = 30
/** A start, the kill, and now and then a look at all that is there; on a busy machine some seconds. */
const KILL_LIMIT_MS = 10_000

// The others have campaigns of their own with small sizes.
const chosen = sized(
  stormKinds,
  stormKinds.filter(({ name }) => name === 'event-files over direct-file')
)

test.each(chosen.map((kind) => ({ ...kind, kind })))(
  `${kills} kills of processes that write $name lose no acknowledged record and leave no damage`,
  { timeout: 60_000 + kills * KILL_LIMIT_MS },
  async ({ kind }) => {
    for (let done = 0; done < kills; done += KILLS_PER_LOG) {
      await killOften(kind, Math.min(KILLS_PER_LOG, kills - done))
    }
  }
)

async function killOften(kind: StormKind, times: number): Promise<void> {
  const folder = createFolder()
  const notes = createFolder()
  const writers: StormWriter[] = []
  const alive: StormWriter[] = []
  for (let killed = 0; killed < times; killed++) {
    while (alive.length < kind.writers) {
      const writer = new StormWriter(kind, folder, notes, `w${writers.length}`)
      writers.push(writer)
      alive.push(writer)
    }
    const victim = alive.splice(Math.floor(random() * alive.length), 1)[0]
    // Now and then one is killed while it opens the log and repairs what others have left.
    if (random() < 0.8) await victim.until(1)
    await delay(random() * 120)
    await victim.kill()
    expect(victim.stderr).toBe('')
    tally('kills')
  }
  for (const writer of alive) await writer.kill()
  await reopen(kind, folder)
  const found = await readStorm(kind, folder)
  const acknowledged = new Map(writers.map((writer) => [writer.name, writer.acknowledged]))
  expect(faultsIn(kind, found, acknowledged)).toEqual([])
  expect(found.foreign).toEqual([])
  expect(writers.flatMap((writer) => writer.notes.filter(({ fault }) => fault !== undefined))).toEqual([])
  expect(found.records).toBeGreaterThan(times)
  tally('records', found.records)
}
