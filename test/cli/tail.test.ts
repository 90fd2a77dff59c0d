// logboom tail -f in front of another program: what is written comes through a pipe at once, whatever the kind of the log,
// also where it is made, rotated or made anew while it is followed.
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { DirectFile } from '../../src/core/direct-file/direct-file.ts'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { Spool } from '../../src/core/spool/spool.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { cliPath } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

interface Following {
  readonly child: ChildProcess
  /** What the program behind the pipe has got. */
  out(): string
}

/** `logboom tail -f … | reader`, with a pipe as shells make it. */
function follow(args: readonly string[], reader: string): Following {
  const script = `"$@" | ${reader}`
  const command = [process.execPath, cliPath, 'tail', '-f', ...args]
  const child = spawn('/bin/sh', ['-c', script, 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true
  })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  onTestFinished(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // Gone already.
    }
  })
  return { child, out: () => out }
}

interface Sink {
  write(line: string): unknown
  flush(level: 'os'): Promise<void>
  close(): Promise<void>
}

const kinds: Record<string, (folder: string) => { path: string; sink: () => Sink }> = {
  'rotating-file': (folder) => {
    const path = join(folder, 'logs', 'app.log')
    return { path, sink: () => new RotatingFile({ path }) }
  },
  'binary-file': (folder) => {
    const path = join(folder, 'logs', 'app.bin')
    return { path, sink: () => new BinaryFile({ path, maxBytes: '1m' }) }
  },
  'direct-file': (folder) => {
    const path = join(folder, 'logs', 'app.log')
    return { path, sink: () => new DirectFile({ path }) }
  },
  wal: (folder) => {
    const path = join(folder, 'wal')
    return { path, sink: () => new WriteAheadLog({ walDir: path, durability: 'os' }) as unknown as Sink }
  }
}

test.each(Object.keys(kinds))(
  '%s: each record comes at once, from before the log is there, and after it was made anew',
  async (kind) => {
    const { path, sink } = kinds[kind](createFolder())
    const { out } = follow([path], 'cat')
    let expected = ''
    for (const round of [1, 2]) {
      const log = sink()
      for (const record of ['a', 'b']) {
        const line = `${record}${round}\n`
        log.write(line)
        await log.flush('os')
        expected += line
        await until(() => out().length >= expected.length, { what: `${line}got ${JSON.stringify(out())}` })
      }
      await log.close()
      if (round === 1) rmSync(kind === 'wal' ? path : dirname(path), { recursive: true })
    }
    expect(out()).toBe(expected)
  }
)

test('spool: what is published comes', async () => {
  const path = join(createFolder(), 'spool')
  const { out } = follow([path], 'cat')
  const spool = new Spool({ path, size: 1000 })
  for (let i = 0; i < 3; i++) {
    spool.write(`${i}\n`)
    await spool.flush('os')
    await until(() => out().length === 2 * (i + 1), { what: `${i}: ${JSON.stringify(out())}` })
  }
  await spool.close()
  expect(out().split('\n').sort()).toEqual(['', '0', '1', '2'])
})

test('a reader that stops for a while gets everything, once and in order', async () => {
  const path = join(createFolder(), 'app.log')
  writeFileSync(path, '')
  // More than a pipe holds.
  const { out } = follow([path], '(read first; echo "$first"; sleep 1; cat)')
  const text = (from: number): string =>
    Array.from({ length: 20_000 }, (_, at) => `${from + at} ${'x'.repeat(40)}\n`).join('')
  appendFileSync(path, 'first\n')
  await until(() => out() === 'first\n')
  appendFileSync(path, text(0))
  appendFileSync(path, text(20_000))
  const expected = `first\n${text(0)}${text(20_000)}`
  await until(() => out().length >= expected.length, { timeoutMs: 30_000 })
  expect(out() === expected).toBe(true)
})

test('what one of several logs has comes at once, whatever the others do', async () => {
  const folder = createFolder()
  const names = ['a.log', 'b.log', 'none.log'].map((name) => join(folder, name))
  writeFileSync(names[0], 'a\n')
  const { out } = follow(names, 'cat')
  await until(() => out() === 'a\n')
  for (const line of ['b\n', 'c\n']) {
    appendFileSync(names[1], line)
    await until(() => out().endsWith(line))
  }
})
