// Power cuts under spool and binary file with durability 'disk': every acknowledged record is there afterwards.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { Spool } from '../../../src/core/spool/spool.ts'
import { native } from '../../../src/native/index.ts'
import { tally } from '../../helpers/counts.ts'
import { createPoweredDisk, powerUnavailable } from '../../helpers/power.ts'
import { random } from '../../helpers/random.ts'
import { built } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'
import { hiddenNames, publishedText } from '../../helpers/spool.ts'

const CUTS = sized(20, 2)

interface Subject {
  /** Code that writes numbered records for ever and prints the number of each that is acknowledged. */
  code(folder: string): string
  /** The numbers found after the restart. */
  read(folder: string): Promise<number[]>
}

async function readSpool(folder: string): Promise<number[]> {
  const spool = new Spool({ path: folder, fallback: false })
  await expect.poll(() => hiddenNames(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  await spool.close()
  return publishedText(folder).split('\n').filter(Boolean).map(Number.parseFloat)
}

const print =
  "import { writeSync } from 'node:fs'; const acknowledge = (number) => writeSync(1, number + '\\n');"
const filling = "' ' + 'x'.repeat((number * 37) % 3000)"

const subjects: Record<string, Subject> = {
  'spool, flush': {
    code: (path) => `${print}
      import { Spool } from ${built('index.js')}
      const spool = new Spool({ path: ${JSON.stringify(path)}, durability: 'disk', size: 8192, timeout: '60s' })
      for (let number = 0; ; number++) {
        await spool.write(number + ${filling} + '\\n')
        if (number % 5 === 4) { await spool.flush(); acknowledge(number) }
      }`,
    read: readSpool
  },
  'spool, lines of a transport': {
    code: (path) => `${print}
      import { SpoolLines } from ${built('core/spool/spool-lines.js')}
      const sink = new SpoolLines({ path: ${JSON.stringify(path)}, durability: 'disk', size: 8192, flushInterval: '1h' })
      for (let number = 0; ; number++) {
        if (!sink.commit(number + ${filling} + '\\n')) await sink.flushLines()
        acknowledge(number)
        if (number % 50 === 0) await new Promise(setImmediate)
      }`,
    read: readSpool
  },
  'binary file': {
    code: (path) => `${print}
      import { BinaryFile } from ${built('index.js')}
      const file = new BinaryFile({ path: ${JSON.stringify(join(path, 'events.bin'))}, maxBytes: 50_000, durability: 'disk' })
      for (let number = 0; ; number++) {
        file.write(number + ${filling})
        if (number % 5 === 4) { await file.flush(); acknowledge(number) }
      }`,
    async read(folder) {
      const path = join(folder, 'events.bin')
      // What was under way may be torn; the next writer deals with it.
      const file = new BinaryFile({ path, maxBytes: 50_000, fallback: false })
      file.write('-1')
      const numbers = [...file.read(path, { onCorrupt: 'skip-file' })].map(Number.parseFloat)
      await file.close()
      expect(existsSync(path)).toBe(true)
      return numbers.filter((number) => number >= 0)
    }
  }
}

for (const kind of ['ext4', 'xfs'] as const) {
  const reason = native.canLock ? powerUnavailable(kind) : 'needs kernel locks'
  describe.skipIf(reason !== undefined)(`on ${kind}${reason === undefined ? '' : ` (${reason})`}`, () => {
    test.each(Object.keys(subjects))('%s', { timeout: 300_000 }, async (name) => {
      const subject = subjects[name]
      for (let cut = 0; cut < CUTS; cut++) {
        const disk = createPoweredDisk(kind)
        const folder = join(disk.folder, 'log')
        const child = spawn(process.execPath, ['--input-type=module', '-e', subject.code(folder)], {
          stdio: ['ignore', 'pipe', 'ignore']
        })
        onTestFinished(() => {
          child.kill('SIGKILL')
        })
        let text = ''
        child.stdout.on('data', (data) => {
          text += data
        })
        await expect.poll(() => text.length, { timeout: 30_000 }).toBeGreaterThan(0)
        await delay(random() * 400)
        // Only what was acknowledged before counts. In a real power cut nothing is after it, while here the process
        // runs on for some milliseconds, and ext4 and XFS may answer a sync with success whose transaction the cut
        // has just thrown away.
        const before = text
        disk.cut()
        child.kill('SIGKILL')
        await once(child, 'close')
        disk.on()
        tally('power cuts')
        const acknowledged = Number(before.trimEnd().split('\n').at(-1))
        const found = await subject.read(folder)
        const missing = Array.from({ length: acknowledged + 1 }, (_, number) => number).filter(
          (number) => !found.includes(number)
        )
        expect(missing).toEqual([])
        expect(found.length, 'records twice').toBe(new Set(found).size)
      }
    })
  })
}
