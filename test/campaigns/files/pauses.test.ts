// Processes that are stopped at any moment and go on, for every kind of sink: also while they hold the lock of a log that
// others write to.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { faultsIn, readStorm, StormWriter, stormKinds } from '../../helpers/storm.ts'
import { until } from '../../helpers/until.ts'

const pauses = sized(100, 3)
const chosen = sized(stormKinds, stormKinds.slice(1, 2))
const PAUSE_MS = 600
const END_MS = 60_000
const RECORDS = pauses * 300

test.each(chosen.map((kind) => ({ ...kind, kind })))(
  `${pauses} pauses of processes that write $name cost nothing`,
  { timeout: 120_000 + pauses * 5_000 },
  async ({ kind }) => {
    const folder = createFolder()
    const notes = createFolder()
    // Some with locks they wait for shorter than the others are stopped.
    const more = kind.kind === 'rotating-file' || kind.kind === 'binary-file' ? { lockTimeout: 200 } : {}
    const writers = Array.from(
      { length: kind.writers },
      (_, index) => new StormWriter(kind, folder, notes, `w${index}`, { count: RECORDS, more, paceMs: 10 })
    )
    for (const writer of writers) await writer.until(1)
    for (let pause = 0; pause < pauses; pause++) {
      const { child } = writers[Math.floor(random() * writers.length)]
      child.kill('SIGSTOP')
      await delay(random() * PAUSE_MS)
      child.kill('SIGCONT')
      await delay(random() * 60)
      tally('pauses')
    }
    for (const writer of writers) {
      await until(() => !writer.isRunning, { timeoutMs: END_MS + RECORDS, what: `${writer.name} ends` })
      expect([(await writer.exited).code, writer.stderr]).toEqual([0, ''])
      expect(writer.notes.at(-1)?.closed).toMatchObject({ dropped: 0, queuedBytes: 0, state: 'closed' })
    }
    const found = await readStorm(kind, folder)
    expect(faultsIn(kind, found, new Map(writers.map(({ name }) => [name, RECORDS])))).toEqual([])
    expect(found.foreign).toEqual([])
    tally('records', found.records)
  }
)
