// Every kind of log, through pino and winston, and every way in which a process or a thread can end: what was logged is in the
// files, with a lane after the next start. Without the addon that is so of the ends that leave time for it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readRecords, workerStream } from 'logboom'
import { describe, expect, test } from 'vitest'
import type { Kind } from '../../../src/core/registry.ts'
import { native } from '../../../src/native/index.ts'
import { atTestEnd, togetherFor } from '../../helpers/at-test-end.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { isLong, sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const program = fileURLToPath(new URL('ending-logger.mjs', import.meta.url))
const COUNT = sized(2_000, 1_200)

const outputs: [kind: Kind, output?: string][] = [
  ['rotating-file'],
  ['binary-file'],
  ['direct-file'],
  ['wal'],
  ['spool'],
  ['event-files', 'rotating-file'],
  ['event-files', 'binary-file'],
  ['event-files', 'direct-file'],
  ['event-files', 'wal']
]
/** docs/lane.md: the last records may be there twice after the death of the process. */
const mayRepeat: readonly Kind[] = ['direct-file', 'event-files', 'spool']

/** With the exit code or signal of the process. */
const orderly: [end: string, exit: number | string][] = [
  ['natural end', 0],
  ['exit', 0],
  ['exception', 1],
  ['rejection', 1],
  ['exit, with handlers that log', 0],
  ['exit while it flushes', 0],
  ['exit while it rotates', 0],
  ['exit while it closes', 0],
  ['in a thread, natural end', 0],
  ['in a thread, exit', 0],
  ['in a thread, exception', 0],
  ['in a thread, exit, with handlers that log', 0]
]
const deaths: [end: string, exit: number | string][] = [
  ['SIGTERM', 'SIGTERM'],
  ['SIGKILL', 'SIGKILL'],
  ['SIGKILL while it rotates', 'SIGKILL'],
  ['SIGKILL while it closes', 'SIGKILL'],
  ['abort', 'SIGABRT'],
  ['in a thread, terminated', 0],
  ['in a thread, exit of the process', 0]
]

const all = outputs.flatMap((output) =>
  (['pino', 'winston'] as const).flatMap((host) =>
    [...orderly, ...deaths].map((end) => ({ output, host, end, isDeath: deaths.includes(end) }))
  )
)
// In the normal run each kind with one or two ends.
const some = all.filter((_, index) => index % 29 === 0)
const cases = isLong ? all : some

function optionsOf([kind, output]: (typeof outputs)[number]) {
  const folder = createFolder()
  const path = join(folder, 'log')
  const isFolder = kind === 'wal' || kind === 'spool' || kind === 'event-files'
  const isFramed = kind === 'binary-file' || output === 'binary-file'
  const maxBytes = kind === 'rotating-file' || isFramed ? { maxBytes: 60_000 } : {}
  return { path, options: { [isFolder ? 'dir' : 'path']: path, ...(output && { output }), ...maxBytes } }
}

/** In the order of each file; for event files one file after the other. */
async function idsIn(kind: Kind, path: string): Promise<number[][]> {
  const events =
    kind === 'event-files' ? readdirSync(path).filter((name) => /^e\d(\.[a-z]+)?$/.test(name)) : []
  const paths = kind === 'event-files' ? events.map((name) => join(path, name)) : [path]
  const files: number[][] = []
  for (const each of paths) {
    const ids: number[] = []
    for await (const { data } of readRecords(each)) ids.push(JSON.parse(data.toString()).id)
    files.push(ids)
  }
  return files
}

async function end(
  settings: { kind: Kind; host: string; end: string; options: object },
  env: NodeJS.ProcessEnv
): Promise<{ exit: number | string; stderr: string }> {
  const child = spawn(process.execPath, [program, JSON.stringify({ ...settings, count: COUNT })], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env }
  })
  atTestEnd(() => void child.kill('SIGKILL'))
  let stderr = ''
  child.stderr.on('data', (text) => {
    stderr += text
  })
  const [code, signal] = await once(child, 'close')
  return { exit: code ?? signal, stderr }
}

const namesOf = ({ output, host, end: [how] }: (typeof all)[number]): string =>
  `${output.join(' over ').replace('event-files over', 'event-files of')} through ${host}: ${how}`

describe.skipIf(!native.laneAvailable() || memoryRoot === undefined)('with a lane', () => {
  test.concurrent.for(cases.map((each) => [namesOf(each), each] as const))(
    '%s',
    { timeout: 120_000 },
    togetherFor(
      async ([
        ,
        {
          output,
          host,
          end: [how, exit],
          isDeath
        }
      ]) => {
        const [kind] = output
        const { path, options } = optionsOf(output)
        const dir = join(createFolder(memoryRoot), 'lane')
        const settings = { kind, host, end: how, options: { ...options, lane: { dir } } }
        const ended = await end(settings, {})
        expect(ended.exit, ended.stderr).toBe(exit)
        expect(ended.stderr).not.toMatch(/ERR_/)
        if (!isDeath && existsSync(dir)) expect(readdirSync(dir)).toEqual([])
        const next = workerStream(kind, settings.options as never)
        await next.flush()
        // Those of its own are there.
        await until(() => readdirSync(dir).length <= 2, { timeoutMs: 60_000 })
        await next.close()
        expect(readdirSync(dir)).toEqual([])
        const files = await idsIn(kind, path)
        expect(new Set(files.flat()).size).toBe(COUNT)
        if (isDeath && mayRepeat.includes(kind)) return
        expect(files.flat()).toHaveLength(COUNT)
        for (const ids of files) expect(ids).toEqual(ids.toSorted((a, b) => a - b))
      }
    )
  )
})

describe('without the addon', () => {
  const ends = cases.filter(({ isDeath }) => !isDeath)
  test.concurrent.for(ends.map((each) => [namesOf(each), each] as const))(
    '%s',
    { timeout: 120_000 },
    togetherFor(
      async ([
        ,
        {
          output,
          host,
          end: [how, exit]
        }
      ]) => {
        const [kind] = output
        const { path, options } = optionsOf(output)
        const ended = await end({ kind, host, end: how, options }, { LOGBOOM_NATIVE: '0' })
        expect(ended.exit, ended.stderr).toBe(exit)
        expect(ended.stderr).not.toMatch(/ERR_LOST/)
        const files = await idsIn(kind, path)
        expect(files.flat()).toHaveLength(COUNT)
        for (const ids of files) expect(ids).toEqual(ids.toSorted((a, b) => a - b))
      }
    )
  )
})
