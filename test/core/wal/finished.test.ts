// Which segments and snapshots of a log are finished and which are removed, and the command that is run for them before.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { FinishedEvent, RemovedEvent } from '../../../src/core/sink/contract.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const isPosix = process.platform !== 'win32'
const segmentBytes = 4096

async function openLog(options: Partial<WriteAheadLogOptions> = {}) {
  const walDir = String(options.walDir ?? join(createFolder(), 'wal'))
  const log = new WriteAheadLog({ walDir, segmentBytes, fallback: false, ...options } as WriteAheadLogOptions)
  onTestFinished(() => log.close().catch(() => {}))
  const news = { finished: [] as FinishedEvent[], removed: [] as RemovedEvent[], warnings: [] as string[] }
  log.on('finished', (event) => news.finished.push(event))
  log.on('removed', (event) => news.removed.push(event))
  log.on('warning', ({ code, message }) => {
    if (code !== 'ERR_RETENTION') news.warnings.push(message)
  })
  await log.start()
  return { log, walDir, snapDir: join(walDir, '..', 'snap'), ...news }
}

async function fill(log: WriteAheadLog, segments: number): Promise<void> {
  for (let i = 0; i < segments * 10; i++) await log.log([`${log.lastIndex + 1n} ${'x'.repeat(400)}`])
}

const segmentsIn = (walDir: string) =>
  readdirSync(walDir)
    .filter((name) => name.endsWith('.wal'))
    .sort()
const linesOf = (path: string) =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
const namesOf = (events: { path: string }[]) => events.map(({ path }) => basename(path))
const isSnap = (name: string) => name.endsWith('.snap')
const isSegment = (name: string) => !isSnap(name)
/** Events come a tick later. */
const tick = () => new Promise((resolve) => setImmediate(resolve))

test('each segment is told of when it is complete, and when a bound removes it', async () => {
  const { log, walDir, finished, removed } = await openLog({ maxRetainedBytes: 4 * segmentBytes })
  await fill(log, 10)
  await log.close()
  await tick()
  const ended = finished.filter(({ path }) => isSegment(path))
  const gone = removed.filter(({ path }) => isSegment(path))
  expect(gone.length).toBeGreaterThan(3)
  expect(namesOf(ended).slice(gone.length)).toEqual(segmentsIn(walDir).slice(0, -1))
  expect(namesOf(gone)).toEqual(namesOf(ended).slice(0, gone.length))
  expect(new Set(gone.map(({ reason }) => reason))).toEqual(new Set(['maxRetainedBytes']))
  for (const { path, bytes } of ended.slice(gone.length)) expect(statSync(path).size).toBe(bytes)
  expect(gone.every(({ bytes }, at) => bytes === ended[at].bytes)).toBe(true)
})

test('what a released snapshot frees is told of, snapshot files, too', async () => {
  const { log, walDir, snapDir, finished, removed } = await openLog()
  for (let round = 0; round < 4; round++) {
    await fill(log, 2)
    await (await log.createSnapshot())?.release()
  }
  await log.close()
  await tick()
  const snaps = readdirSync(snapDir)
    .filter((name) => name.endsWith('.snap'))
    .sort()
  expect(snaps).toHaveLength(2)
  expect(namesOf(finished).filter(isSnap).slice(2)).toEqual(snaps)
  expect(namesOf(removed).filter(isSnap)).toEqual(namesOf(finished).filter(isSnap).slice(0, 2))
  const gone = namesOf(removed).filter((name) => !isSnap(name))
  expect(gone.length).toBeGreaterThan(3)
  expect([...gone, ...segmentsIn(walDir)]).toEqual([
    ...namesOf(finished).filter((name) => !isSnap(name)),
    segmentsIn(walDir).at(-1)
  ])
  expect(new Set(removed.map(({ reason }) => reason))).toEqual(new Set(['released']))
})

test.skipIf(!isPosix)(
  'the command is run for each of them, and for what an earlier process left',
  async () => {
    const ran = join(createFolder(), 'ran')
    const first = await openLog()
    await fill(first.log, 3)
    await first.log.close()
    const { walDir } = first
    const onFinished = `echo "$LOGBOOM_LOG $LOGBOOM_FILE" >> '${ran}'`
    const { log, snapDir, warnings } = await openLog({ walDir, onFinished })
    await until(() => linesOf(ran).length === segmentsIn(walDir).length - 1)
    await fill(log, 3)
    await (await log.createSnapshot())?.release()
    const count = first.finished.length + 3 + 1
    await until(() => linesOf(ran).length >= count)
    await log.close()
    const snaps = readdirSync(snapDir).map((name) => join(snapDir, name))
    expect(linesOf(ran).every((line) => line.startsWith(`${walDir} `))).toBe(true)
    const files = linesOf(ran).map((line) => line.slice(walDir.length + 1))
    expect(files.slice(-1)).toEqual(snaps)
    expect(new Set(files).size).toBe(files.length)
    expect(warnings).toEqual([])
    // What was dealt with is known after a restart.
    const again = await openLog({ walDir, onFinished })
    await fill(again.log, 1)
    await until(() => linesOf(ran).length > files.length)
    await again.log.close()
    expect(new Set(linesOf(ran)).size).toBe(linesOf(ran).length)
  }
)

test.skipIf(!isPosix)('nothing is removed before its command has ended well', async () => {
  const folder = createFolder()
  const gate = join(folder, 'gate')
  const ran = join(folder, 'ran')
  const onFinished = `test -e '${gate}' || exit 3; test -e "$LOGBOOM_FILE" && echo "$LOGBOOM_FILE" >> '${ran}'`
  const options = { maxRetainedBytes: 2 * segmentBytes, onFinished } as const
  const { log, walDir, finished, removed, warnings } = await openLog(options)
  await fill(log, 6)
  for (let round = 0; round < 4; round++) {
    await fill(log, 1)
    await (await log.createSnapshot())?.release()
  }
  await until(() => warnings.length > 0)
  expect(warnings[0]).toMatch(/onFinished.*ended with 3/)
  expect(removed).toEqual([])
  expect(segmentsIn(walDir).length).toBeGreaterThan(8)
  writeFileSync(gate, '')
  await until(() => linesOf(ran).length === finished.length && removed.length > 8)
  await log.close()
  expect(segmentsIn(walDir).length).toBeLessThanOrEqual(3)
  const order = linesOf(ran)
  for (const { path } of removed) expect(order).toContain(path)
})

test.skipIf(!isPosix)('a segment is kept no longer than finishedWait for its command', async () => {
  let laterMs = 0
  const options = { maxRetainedBytes: 2 * segmentBytes, onFinished: 'exit 1', finishedWait: '1h' } as const
  const opened = withInternals({ now: () => Date.now() + laterMs }, () => openLog(options))
  const { log, removed } = await opened
  await fill(log, 4)
  await tick()
  expect(removed).toEqual([])
  laterMs = 7_200_000
  await until(async () => {
    await fill(log, 1)
    return removed.length > 2
  })
  await log.close()
})

test.skipIf(!isPosix)(
  'a note that cannot be read or written is told of, and nothing is removed before',
  async () => {
    const walDir = join(createFolder(), 'wal')
    mkdirSync(join(walDir, '.finished'), { recursive: true })
    const options = { walDir, maxRetainedBytes: 2 * segmentBytes, onFinished: 'true' } as const
    const { log, removed, warnings } = await openLog(options)
    await fill(log, 6)
    await until(() => warnings.some((message) => message.includes('.finished')))
    expect(removed).toEqual([])
    // Once, however many files are finished.
    expect(warnings).toHaveLength(1)
    await log.close()
  }
)

test('a log without a command removes what it may, whatever a note says', async () => {
  const walDir = join(createFolder(), 'wal')
  mkdirSync(walDir, { recursive: true })
  writeFileSync(join(walDir, '.finished'), 'logboom finished 1 3600000\n')
  const { log, removed } = await openLog({ walDir, maxRetainedBytes: 2 * segmentBytes })
  await fill(log, 6)
  await until(() => removed.length > 2)
  await log.close()
})
