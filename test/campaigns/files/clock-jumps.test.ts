// A wall clock that jumps by hours and years, over the hour that is there twice, while several processes write and rotate by
// time: every record is there once, whatever the backups are called.
import { expect, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { sized } from '../../helpers/sized.ts'
import { faultsIn, readStorm, type StormKind, StormWriter, stormKinds } from '../../helpers/storm.ts'

const RECORDS = sized(40_000, 800)
const clock = new URL('../../helpers/jumping-clock.mjs', import.meta.url).href
const byTime = (kind: StormKind): Record<string, unknown> =>
  kind.name.endsWith('rotating-file') ? { rotateEvery: 'hourly', timeZone: 'Europe/Berlin' } : {}
const chosen = sized(stormKinds, stormKinds.slice(0, 1))

test.each(chosen.map((kind) => ({ ...kind, kind })))(
  'a clock that jumps costs nothing that goes to $name',
  { timeout: 60_000 + RECORDS * 10 },
  async ({ kind }) => {
    const folder = createFolder()
    const notes = createFolder()
    const settings = { count: RECORDS, more: byTime(kind), env: { NODE_OPTIONS: `--import=${clock}` } }
    const writers = Array.from(
      { length: kind.writers },
      (_, index) => new StormWriter(kind, folder, notes, `w${index}`, settings)
    )
    for (const writer of writers) {
      expect([(await writer.exited).code, writer.stderr]).toEqual([0, ''])
      expect(writer.notes.at(-1)?.closed).toMatchObject({ dropped: 0, state: 'closed' })
      tally('clock jumps')
    }
    const found = await readStorm(kind, folder)
    const once = found.numbers
    for (const numbers of once.values()) numbers.sort((a, b) => a - b)
    // Names that tell the time cannot tell the order then.
    expect(faultsIn(kind, found, new Map(writers.map(({ name }) => [name, RECORDS])))).toEqual([])
    expect(found.foreign).toEqual([])
    tally('records', found.records)
  }
)
