// The ends of a process, with each sink: what was logged in the last moment is in the files.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect } from 'vitest'
import { allAtOnce } from './all-at-once.ts'
import { numbersOf } from './bed.ts'
import { isRecord, type Subject } from './subject.ts'

const program = fileURLToPath(new URL('ending-process.mjs', import.meta.url))
const LINES = 60
const STOPPED_MS = 3_000
/** Exit handlers give up before the ten seconds that hosts allow; the rest is for many processes on few cores. */
const EXIT_MS = 25_000
const TIMEOUT_MS = 60_000
const MOST_PROCESSES = 12

const all = Array.from({ length: LINES }, (_, index) => index)

interface Started {
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  readonly folder: string
  /** Exit code or signal. */
  readonly exited: Promise<number | string>
  /** What it wrote to stderr so far. */
  readonly told: () => string
}

// All of them at once, as some only wait; but not all processes.
describe.concurrent('at the end of a process', () => {
  for (const end of ['process.exit', 'the natural end', 'an uncaught exception']) {
    allAtOnce(`what was logged in the last moment is in the files after ${end}:`, TIMEOUT_MS, (subject) =>
      withProcess(subject, end, async ({ folder, exited, told }) => {
        expect(await exited, told()).toBe(end === 'an uncaught exception' ? 1 : 0)
        expect(numbersIn(subject, folder), told()).toEqual(all)
      })
    )
  }

  allAtOnce('what a later handler of exit logs is in the files, too:', TIMEOUT_MS, (subject) =>
    withProcess(subject, 'a handler of exit', async ({ folder, exited, told }) => {
      expect(await exited, told()).toBe(0)
      expect(numbersIn(subject, folder), told()).toEqual(all)
    })
  )

  allAtOnce(
    'close writes everything, though the process was stopped for a while meanwhile:',
    TIMEOUT_MS,
    (subject) =>
      withProcess(subject, 'close', async ({ child, folder, exited, told }) => {
        await once(child.stdout, 'data')
        child.kill('SIGSTOP')
        await delay(STOPPED_MS)
        child.kill('SIGCONT')
        expect(await exited, told()).toBe(7)
        expect(numbersIn(subject, folder), told()).toEqual(all)
      })
  )

  allAtOnce(
    'an exit on a disk that stays full ends in time and tells how many records are lost:',
    TIMEOUT_MS,
    (subject) =>
      withProcess(subject, 'exit on a full disk', async ({ folder, exited, told }) => {
        const startMs = performance.now()
        await exited
        expect(performance.now() - startMs).toBeLessThan(EXIT_MS)
        const lost = [...told().matchAll(/(\d+) records [^\n]*ERR_LOST/g)]
        const kept = numbersIn({ ...subject, read: subject.readStored ?? subject.read }, folder)
        const sum = lost.reduce((total, found) => total + Number(found[1]), 0) + kept.length
        expect(sum, told()).toBe(LINES)
      })
  )
})

let running = 0
const waiting: (() => void)[] = []

async function withProcess(
  subject: Subject,
  end: string,
  work: (started: Started) => Promise<void>
): Promise<void> {
  if (running >= MOST_PROCESSES) await new Promise<void>((resolve) => waiting.push(resolve))
  else running++
  try {
    await runProcess(subject, end, work)
  } finally {
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
}

async function runProcess(
  subject: Subject,
  end: string,
  work: (started: Started) => Promise<void>
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'logboom-test-'))
  const folder = join(root, 'log')
  const linesPath = join(root, 'lines')
  mkdirSync(folder)
  writeFileSync(linesPath, all.map((index) => `${subject.line(index)}\n`).join(''))
  const fallback = end === 'exit on a full disk' ? 'stderr' : false
  const options = { ...subject.options(folder), fallback, flushInterval: 60_000 }
  const argument = JSON.stringify({ kind: subject.kind, options, linesPath, end })
  const child = spawn(process.execPath, [program, argument], { stdio: ['ignore', 'pipe', 'pipe'] })
  let told = ''
  child.stdout.resume()
  child.stderr.on('data', (text) => {
    told += text
  })
  const exited = once(child, 'close').then(([code, signal]) => code ?? signal)
  try {
    await work({ child, folder, exited, told: () => told })
  } finally {
    child.kill('SIGKILL')
    await exited
    rmSync(root, { recursive: true, force: true })
  }
}

function numbersIn(subject: Subject, folder: string): number[] {
  return numbersOf(subject.read(folder).filter(isRecord))
}
