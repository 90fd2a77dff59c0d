// SIGKILL at each step of upkeep, for every kind of file with backups: the next process goes on where it was, within
// the limits, and no record is lost or read twice.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../../src/native/index.ts'
import type { ReadOptions } from '../../../src/readers/read-options.ts'
import { createFolder } from '../../helpers/folder.ts'
import { collect } from '../../helpers/read.ts'
import { built } from '../../helpers/script.ts'

const COUNT = 120
/** Compressing happens in the background: enough of it must be done before the writer ends. */
const PAUSE_MS = 10
const MAX_BACKUPS = 3

interface Kind {
  /** Makes `sink` for `path`, which takes `sink.write(text)`. */
  readonly create: string
  readonly file: string
  readonly format: ReadOptions['format']
  /** With some records for each file. */
  readonly maxBytes: number
  readonly recordBytes: number
  /** Which of the names beside the file are backups. */
  readonly backup: RegExp
  readonly needsLocks: boolean
}

const stamped = /\.\d{8}-\d{6}\.\d+(\.gz)?$/
const small = { maxBytes: 2_000, recordBytes: 300 }
const kinds: Record<string, Kind> = {
  'rotating-file': {
    create: 'const sink = new RotatingFile({ path, ...options })',
    file: 'app.log',
    format: 'text',
    ...small,
    backup: stamped,
    needsLocks: true
  },
  'binary-file': {
    create: 'const sink = new BinaryFile({ path, ...options })',
    file: 'app.bin',
    format: 'binary-file',
    ...small,
    backup: /\.\d+\.bin(\.gz)?$/,
    needsLocks: true
  },
  'direct-file': {
    create: 'const sink = new DirectFile({ path, ...options })',
    file: 'app.log',
    format: 'direct-file',
    maxBytes: 128 * 1024,
    recordBytes: 12_000,
    backup: stamped,
    needsLocks: false
  }
}

/** Writes records `<writer>:<number>` and rotates now and then; at the end waits for its upkeep. */
const script = (kind: Kind, path: string, writer: string, options: object): string => `
  import { setTimeout as delay } from 'node:timers/promises'
  import { BinaryFile, DirectFile, RotatingFile } from ${built('index.js')}
  const path = ${JSON.stringify(path)}
  const options = ${JSON.stringify(options)}
  ${kind.create}
  for (let number = 0; number < ${COUNT}; number++) {
    sink.write('${writer}:' + number + ':' + 'x'.repeat(${kind.recordBytes}) + '\\n')
    if (number % 10 !== 9) continue
    await sink.flush()
    await delay(${PAUSE_MS})
  }
  await sink.close()`

async function run(code: string, env: Record<string, string> = {}): Promise<string | number | null> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env }
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const [exitCode, signal] = await once(child, 'close')
  return signal ?? exitCode
}

async function numbersOf(path: string, kind: Kind, writer: string): Promise<number[]> {
  const { lines, error } = await collect(path, { format: kind.format })
  expect(error).toBeUndefined()
  return lines.flatMap((line) => {
    const match = new RegExp(`^${writer}:(\\d+):x{${kind.recordBytes}}\\n?$`).exec(line)
    return match === null ? [] : [Number(match[1])]
  })
}

const backupsIn = (folder: string, kind: Kind): string[] =>
  readdirSync(folder)
    .filter((name) => kind.backup.test(name))
    .sort()

const points = ['compress', 'compressed', 'published', 'remove']

describe.each(Object.entries(kinds))('%s', (_name, kind) => {
  const options = { maxBytes: kind.maxBytes, compress: 'gzip', fallback: false }

  test.skipIf(kind.needsLocks && !native.canLock).each(points)('killed at `%s`', async (point) => {
    const folder = join(createFolder(), 'logs')
    mkdirSync(folder)
    const path = join(folder, kind.file)
    const env = { LOGBOOM_FAILPOINT: `${point}:kill:2` }
    expect(await run(script(kind, path, 'dead', options), env)).toBe('SIGKILL')
    const found = await numbersOf(path, kind, 'dead')
    expect(found).toEqual(found.map((_number, index) => index))
    expect(await run(script(kind, path, 'next', options))).toBe(0)
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
    const backups = backupsIn(folder, kind)
    expect(backups.filter((name) => !name.endsWith('.gz'))).toEqual([])
    expect(await numbersOf(path, kind, 'dead')).toEqual(found)
    expect(await numbersOf(path, kind, 'next')).toEqual(Array.from({ length: COUNT }, (_, index) => index))
    // Stricter limits hold from the next start on.
    expect(await run(script(kind, path, 'last', { ...options, maxBackups: MAX_BACKUPS }))).toBe(0)
    const kept = backupsIn(folder, kind)
    expect(kept).toHaveLength(MAX_BACKUPS)
    const last = await numbersOf(path, kind, 'last')
    expect(last).toEqual(last.map((_number, index) => COUNT - last.length + index))
  })
})
