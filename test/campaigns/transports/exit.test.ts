// Bursts in one turn of the event loop, and every way a process can end: all records are on disk.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { together, togetherFor } from '../../helpers/at-test-end.ts'
import { createFolderOfDying } from '../../helpers/folder.ts'
import { startProcess } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'
import { exact, verify } from '../../helpers/verify.ts'
import { noLocks, startWriter, type WriterSettings } from '../../helpers/writers.ts'

const KIB = 1024
const lock = !noLocks

/** Rotated often, and several times what is held in memory: that is so of a smaller number, too. */
const LINES = sized(10_000, 3_000)
const BURST = sized(50_000, 20_000)
const LARGE_LINES = sized(10_000, 4_000)
/** Of 1000 bytes: more than fits into any of the buffers between logger and file. */
const DROPPED_LINES = 10_000

const hosts = ['class', 'pino', 'pino-targets', 'winston'] as const

async function run(
  settings: Omit<WriterSettings, 'options' | 'writer'>,
  options: Partial<WriterSettings['options']>
) {
  const path = join(createFolderOfDying(), 'app.log')
  const writer = startWriter({ ...settings, writer: 'a', options: { path, lock, ...options } })
  const exit = await writer.exited
  return { path, writer, exit, report: verify(path, { maxBytes: 50 * KIB, records: { a: settings.count! } }) }
}

test.concurrent.for(hosts)(
  `a burst of ${BURST} lines in one tick stays within a limit of 50 KiB through %s`,
  togetherFor(async (host) => {
    const settings = { host, count: BURST, oneTick: true, bytes: [40, 250] as [number, number] }
    const { report, exit, writer } = await run(settings, { maxBytes: 50 * KIB })
    expect(writer.stderr).toBe('')
    expect(exit).toEqual({ code: 0, signal: null })
    expect(report).toMatchObject({ ...exact, records: BURST })
  })
)

test.concurrent.for([
  ['drop-newest', 'close'],
  ['drop-newest', 'exit'],
  ['drop-oldest', 'close'],
  ['drop-oldest', 'exit']
] as const)(
  'a burst that %s may drop is on disk or counted, wherever between logger and file it is dropped, after the end by %s',
  togetherFor(async ([overflow, end]) => {
    for (const host of hosts) {
      const settings = {
        host,
        count: DROPPED_LINES,
        oneTick: true,
        bytes: [1_000, 1_000] as [number, number],
        end
      }
      const { report, writer } = await run(settings, { maxBytes: 0, overflow, maxBufferBytes: '64k' })
      expect(report).toMatchObject({ duplicated: 0, damaged: [] })
      expect(report.records + report.dropped, host).toBe(DROPPED_LINES)
      if (end === 'close') expect(writer.stats!.dropped, host).toBe(report.dropped)
      // The oldest are dropped by the sink, and only while it cannot write.
      if (host === 'winston' && overflow === 'drop-newest') expect(report.dropped).toBeGreaterThan(0)
    }
  })
)

type Ending = [NonNullable<WriterSettings['end']>, { code: number | null; signal: string | null }]

const endings: Ending[] = [
  ['close', { code: 0, signal: null }],
  ['natural', { code: 0, signal: null }],
  ['exit', { code: 0, signal: null }],
  ['exitDuringRotation', { code: 0, signal: null }],
  ['throw', { code: 1, signal: null }],
  ['reject', { code: 1, signal: null }],
  ['sigterm', { code: null, signal: 'SIGTERM' }]
]

describe.concurrent.each(hosts)(`${LINES} lines in one tick through %s are all on disk`, (host) => {
  test.for(endings)(
    'after the end by %s',
    togetherFor(async ([end, expectedExit]) => {
      const settings: WriterSettings = {
        host,
        count: LINES,
        oneTick: true,
        end,
        flushOnSignal: 'SIGTERM'
      } as never
      const { exit, report } = await run(settings, { maxBytes: 50 * KIB })
      expect(exit).toEqual(expectedExit)
      expect(report).toMatchObject({ ...exact, records: LINES })
    })
  )

  test(
    `after the end by process.exit, with ${LARGE_LINES / 100} MB and a small buffer`,
    together(async () => {
      const settings = {
        host,
        count: LARGE_LINES,
        oneTick: true,
        bytes: [10_000, 10_000] as [number, number],
        end: 'exit' as const
      }
      const { exit, report } = await run(settings, { maxBytes: 0, maxBufferBytes: '4m' })
      expect(exit).toEqual({ code: 0, signal: null })
      expect(report).toMatchObject({ lost: 0, duplicated: 0, damaged: [] })
    })
  )
})

test('several outputs with flushOnSignal are all written before the signal ends the process', async () => {
  const folder = createFolderOfDying()
  const child = await startProcess(`
    import { handleSignals, RotatingFile } from 'logboom'
    for (const name of ['a', 'b', 'c']) {
      const path = ${JSON.stringify(folder)} + '/' + name
      const file = new RotatingFile({ path, lock: ${lock}, flushInterval: '1h' })
      handleSignals(file, { flushOnSignal: 'SIGTERM' })
      file.write('line\\n')
    }
    setInterval(() => {}, 1000)
    console.log('ready')
  `)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([null, 'SIGTERM'])
  for (const name of ['a', 'b', 'c']) expect(readFileSync(join(folder, name), 'utf8')).toBe('line\n')
})

test.each(['class', 'pino', 'winston'] as const)(
  "what precedes a fatal record is on disk when a SIGKILL follows in the same tick, through %s with durability 'disk'",
  async (host) => {
    const path = join(createFolderOfDying(), 'app.log')
    const writer = startWriter({
      host,
      writer: 'a',
      options: { path, lock, durability: 'disk', maxBytes: 50 * KIB },
      count: 2_000,
      oneTick: true,
      end: 'fatalAndKill'
    })
    expect(await writer.exited).toEqual({ code: null, signal: 'SIGKILL' })
    expect(verify(path, { maxBytes: 50 * KIB, records: { a: 2_001 } })).toMatchObject({
      ...exact,
      records: 2_001
    })
  }
)
