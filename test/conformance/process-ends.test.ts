// The ends of a process, with each sink: what was logged in the last moment is in the files. All subjects at the same
// time, because the processes mostly wait.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createFolder } from '../helpers/folder.ts'
import { isRecord, nameOf, type Subject } from './subject.ts'
import { subjects } from './subjects/index.ts'

const program = fileURLToPath(new URL('ending-process.mjs', import.meta.url))
const LINES = 60
const STOPPED_MS = 3_000
/** Exit handlers give up before the ten seconds that hosts allow. */
const EXIT_MS = 20_000

describe.concurrent('what was logged in the last moment is in the files after', { timeout: 60_000 }, () => {
  for (const subject of subjects) {
    for (const end of ['process.exit', 'the natural end', 'an uncaught exception']) {
      it(`${end}, ${nameOf(subject)}`, async () => {
        const { child, folder, exited } = start(subject, end)
        expect(await exited).toBe(end === 'an uncaught exception' ? 1 : 0)
        expect(child.killed).toBe(false)
        expect(subject.read(folder).filter(isRecord)).toEqual(lines(subject))
      })
    }

    it(`a close during which the process was stopped for a while, ${nameOf(subject)}`, async () => {
      const { child, folder, exited } = start(subject, 'close')
      await once(child.stdout, 'data')
      child.kill('SIGSTOP')
      await delay(STOPPED_MS)
      child.kill('SIGCONT')
      expect(await exited).toBe(7)
      expect(subject.read(folder).filter(isRecord)).toEqual(lines(subject))
    })
  }
})

describe.concurrent('an exit on a disk that stays full', { timeout: 60_000 }, () => {
  for (const subject of subjects) {
    it(`ends in time and tells on stderr how many records are lost, ${nameOf(subject)}`, async () => {
      const { child, exited, folder } = start(subject, 'exit on a full disk', 'stderr')
      let told = ''
      child.stderr.on('data', (text) => {
        told += text
      })
      const startMs = performance.now()
      await exited
      expect(performance.now() - startMs).toBeLessThan(EXIT_MS)
      const lost = [...told.matchAll(/(\d+) records [^\n]*ERR_LOST/g)].reduce(
        (sum, found) => sum + Number(found[1]),
        0
      )
      const kept = (subject.readStored ?? subject.read)(folder).filter(isRecord).length
      expect(lost + kept, told).toBe(LINES)
    })
  }
})

function start(subject: Subject, end: string, fallback: false | 'stderr' = false) {
  const folder = createFolder()
  mkdirSync(join(folder, 'log'))
  const linesPath = join(folder, 'lines')
  writeFileSync(
    linesPath,
    lines(subject)
      .map((line) => `${line}\n`)
      .join('')
  )
  const options = { ...subject.options(join(folder, 'log')), fallback, flushInterval: 60_000 }
  const argument = JSON.stringify({ kind: subject.kind, options, linesPath, end })
  const child = spawn(process.execPath, [program, argument], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.resume()
  child.stderr.resume()
  onTestFinished(() => void child.kill('SIGKILL'))
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal)
  return { child, folder: join(folder, 'log'), exited }
}

function lines(subject: Subject): string[] {
  return Array.from({ length: LINES }, (_, index) => subject.line(index))
}
