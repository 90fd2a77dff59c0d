// The events 'finished' and 'removed', and the command that is run for each finished backup.
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { DirectFile } from '../../../src/core/direct-file/direct-file.ts'
import { LoggerManager } from '../../../src/core/event-files/logger-manager.ts'
import type { RotatingFileOptions } from '../../../src/core/rotating-file/options.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import type { FinishedEvent, RemovedEvent, Sink } from '../../../src/core/sink/contract.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const lock = native.canLock
const isPosix = process.platform !== 'win32'

function heard(sink: Sink): { finished: FinishedEvent[]; removed: RemovedEvent[]; warnings: string[] } {
  const news = { finished: [] as FinishedEvent[], removed: [] as RemovedEvent[], warnings: [] as string[] }
  sink.on('finished', (event) => news.finished.push(event))
  sink.on('removed', (event) => news.removed.push(event))
  sink.on('warning', ({ message }) => news.warnings.push(message))
  return news
}

const tick = () => new Promise((resolve) => setImmediate(resolve))

test.each([false, 'gzip'] as const)(
  'each backup is told of in its final form, with compress: %s',
  async (compress) => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const file = new RotatingFile({ path, maxBytes: 10, compress, maxBackups: 2, lock })
    const { finished, removed } = heard(file)
    for (let line = 0; line < 5; line++) {
      file.write(`line ${line}\n`)
      await file.flush()
      await until(() => finished.length >= line && removed.length >= Math.max(0, line - 2))
    }
    await file.close()
    await tick()
    const left = readdirSync(folder).filter((name) => name.startsWith('app.log.'))
    expect(finished.slice(2).map(({ path }) => path)).toEqual(left.sort().map((name) => join(folder, name)))
    expect(
      finished.every(({ path, bytes }) => bytes > 0 && path.endsWith('.gz') === (compress !== false))
    ).toBe(true)
    expect(removed.map(({ path, reason }) => [path, reason])).toEqual(
      finished.slice(0, 2).map(({ path }) => [path, 'maxBackups'])
    )
  }
)

const kinds: Record<string, (folder: string, options: object) => Sink & { rotate?(): Promise<unknown> }> = {
  'rotating-file': (folder, options) => new RotatingFile({ path: join(folder, 'app.log'), lock, ...options }),
  'binary-file': (folder, options) =>
    new BinaryFile({ path: join(folder, 'app.log'), maxBytes: 1_000_000, lock, ...options }),
  'direct-file': (folder, options) => new DirectFile({ path: join(folder, 'app.log'), ...options }),
  'event-files': (folder, options) =>
    new LoggerManager({
      dir: folder,
      defaultEvent: 'app',
      output: 'rotating-file',
      maxBytes: 30,
      lock,
      ...options
    }),
  'event-files, direct': (folder, options) =>
    new LoggerManager({
      dir: folder,
      defaultEvent: 'app',
      output: 'direct-file',
      maxBytes: '128k',
      ...options
    })
}

test.skipIf(!isPosix).each(Object.keys(kinds))(
  '%s runs the command with the path of the backup',
  async (kind) => {
    const folder = createFolder()
    const ran = join(createFolder(), 'ran')
    const sink = kinds[kind](folder, {
      onFinished: `echo "$LOGBOOM_FILE $LOGBOOM_LOG" >> '${ran}'`,
      fallback: false
    })
    const { finished, warnings } = heard(sink)
    for (let line = 0; line < 3; line++) {
      sink.write(`${'x'.repeat(kind.endsWith('direct') ? 70_000 : 20)}\n`)
      await sink.flush()
    }
    if (sink.rotate !== undefined) await sink.rotate()
    await until(() => finished.length > 0 && existsSync(ran))
    await sink.close()
    await tick()
    const lines = readFileSync(ran, 'utf8').split('\n').slice(0, -1).sort()
    const path = join(folder, 'app.log')
    expect(lines).toEqual(finished.map((event) => `${event.path} ${path}`).sort())
    expect(warnings).toEqual([])
  }
)

test.skipIf(!isPosix)(
  'a command that fails is run again, and meanwhile its backup is not removed',
  async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const gate = join(createFolder(), 'gate')
    const ran = `${gate}.ran`
    const command = `test -e '${gate}' || { echo closed >&2; exit 3; }; cat "$LOGBOOM_FILE" >> '${ran}'`
    const file = new RotatingFile({
      path,
      maxBytes: 10,
      maxBackups: 1,
      onFinished: command,
      lock,
      fallback: false
    })
    const { removed, warnings } = heard(file)
    for (let line = 0; line < 4; line++) file.write(`line ${line}\n`)
    await file.flush()
    await until(() => warnings.length === 3)
    expect(warnings[0]).toMatch(/onFinished.*ended with 3: closed/)
    expect(removed).toEqual([])
    writeFileSync(gate, '')
    // The newest is removed by nothing: the retry of its command can come after the removal of the others.
    const lines = () => (existsSync(ran) ? readFileSync(ran, 'utf8') : '')
    await until(() => removed.length === 2 && lines().includes('line 2'))
    await file.close()
    expect(lines()).toBe('line 0\nline 1\nline 2\n')
  }
)

test.skipIf(!isPosix)('a backup is kept no longer than finishedWait for its command', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  writeFileSync(`${path}.20200101-000000.0`, 'old\n')
  const options = { path, maxBytes: 10, maxBackups: 1, onFinished: 'exit 1', lock, fallback: false } as const
  const file = new RotatingFile({ ...options, finishedWait: '1h' })
  const { removed } = heard(file)
  for (let line = 0; line < 3; line++) file.write(`line ${line}\n`)
  await file.flush()
  await until(() => removed.length === 1)
  await file.close()
  expect(removed[0].path).toContain('20200101')
  // A writer that knows no command keeps the others for those that do.
  const other = new RotatingFile({ path, maxBackups: 1, lock })
  await other.close()
  expect(readdirSync(folder).filter((name) => name.startsWith('app.log.'))).toHaveLength(2)
})

test.skipIf(!isPosix)(
  'what was dealt with is known after a restart, and a name that was forgotten is done again',
  async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const ran = join(createFolder(), 'ran')
    const options = { path, onFinished: ['sh', '-c', `echo "$LOGBOOM_FILE" >> '${ran}'`], lock } as const
    const runs = () => (existsSync(ran) ? readFileSync(ran, 'utf8').split('\n').length - 1 : 0)
    for (let start = 0; start < 2; start++) {
      const file = new RotatingFile(options)
      if (start === 0) {
        file.write('one\n')
        await file.rotate()
      }
      await until(() => runs() === 1)
      await sleep(50)
      await file.close()
      expect(runs()).toBe(1)
    }
    const note = join(folder, '.app.log.finished')
    expect(readFileSync(note, 'utf8')).toMatch(/^logboom finished 1 3600000\n"app\.log\.\d{8}-\d{6}\.0"\n$/)
    writeFileSync(note, 'logboom fin')
    const file = new RotatingFile(options)
    await until(() => runs() === 2)
    await file.close()
    appendFileSync(path, '')
  }
)

test('what was put in the place of the note keeps writers without a command from nothing', async () => {
  const folder = createFolder()
  mkdirSync(join(folder, '.app.log.finished'))
  const file = new RotatingFile({ path: join(folder, 'app.log'), maxBytes: 10, maxBackups: 1, lock })
  const { removed, warnings } = heard(file)
  for (let line = 0; line < 4; line++) file.write(`line ${line}\n`)
  await file.flush()
  await until(() => removed.length === 2)
  await file.close()
  expect(warnings).toEqual([])
})

test.skipIf(!isPosix)(
  'a file of somebody else in the place of the note is left alone, which is told',
  async () => {
    const folder = createFolder()
    const note = join(folder, '.app.log.finished')
    const other = 'somebody else needs this\n'
    writeFileSync(note, other)
    const options = { maxBytes: 10, maxBackups: 1, onFinished: 'true', lock, fallback: false }
    const file = new RotatingFile({ path: join(folder, 'app.log'), ...options } as RotatingFileOptions)
    const { warnings } = heard(file)
    for (let line = 0; line < 4; line++) file.write(`line ${line}\n`)
    await file.flush()
    await until(() => warnings.some((text) => text.includes('is left alone')))
    await file.close()
    expect(readFileSync(note, 'utf8')).toBe(other)
  }
)

test('a command of another type is refused', () => {
  const path = join(createFolder(), 'app.log')
  for (const onFinished of ['', ' ', [], [''], ['ls', 5], 5, {}, 'a\0b']) {
    expect(() => new RotatingFile({ path, onFinished: onFinished as string })).toThrow(
      /onFinished.*must be a command/
    )
  }
})
