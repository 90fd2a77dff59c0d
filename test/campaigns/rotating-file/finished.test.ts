// The command of `onFinished` under kills: every backup that was ever made was given to it before it was removed, so that
// what it copied, and what is left, is the whole log.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { finishFailpoints } from '../../../src/io/failpoint.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'
import { noLocks, startWriter, type Writer, type WriterSettings } from '../../helpers/writers.ts'

const rotations = sized(1_000, 12)

function namesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('app.log.'))
}

describe.skipIf(noLocks || process.platform === 'win32')(
  'a command for each finished backup (needs the locks of the addon)',
  () => {
    test(`${rotations} rotations with kills: each was copied before it was removed`, {
      timeout: 3_600_000
    }, async () => {
      const folder = createMemoryFolder()
      const copies = join(folder, 'copies')
      mkdirSync(copies)
      const path = join(folder, 'app.log')
      const settings = (writer: string): WriterSettings => ({
        host: 'class',
        writer,
        options: {
          path,
          maxBytes: 4_000,
          maxBackups: 3,
          flushInterval: 0,
          // Not there as a whole before it has its name; the name of one that was copied before stays the same.
          onFinished: `n="${copies}/\${LOGBOOM_FILE##*/}"; cp "$LOGBOOM_FILE" "$n.$$" && mv "$n.$$" "$n"`
        },
        bytes: [100, 300],
        perTick: 10,
        tickMs: 20,
        acknowledge: true
      })
      const writers: Writer[] = []
      const alive: Writer[] = []
      const copied = () => readdirSync(copies).filter((name) => /\.\d+-\d+\.\d+$/.test(name))
      while (copied().length < rotations) {
        while (alive.length < 2) {
          const index = writers.length
          const trap = index % 3 === 0 ? `${finishFailpoints[index % 2]}:kill:${1 + (index % 4)}` : ''
          const writer = startWriter(settings(`w${index}`), { env: { LOGBOOM_FAILPOINT: trap } })
          writers.push(writer)
          alive.push(writer)
        }
        // One that dies of a failpoint may do so before.
        await alive[0].until(() => alive[0].acked > 0).catch(() => {})
        // Longer lives in the long run, which has many rotations to see.
        await sleep(random() * sized(500, 150))
        const victim = alive.splice(Math.floor(random() * alive.length), 1)[0]
        victim.child.kill('SIGKILL')
        await victim.exited
      }
      for (const writer of alive) writer.tell('stop')
      for (const { exited } of alive) await exited
      // Whoever comes next does what is left.
      const last = startWriter({ ...settings('last'), count: 1, end: 'stay' })
      await until(
        () => namesIn(folder).length <= 3 && namesIn(folder).every((name) => copied().includes(name)),
        {
          timeoutMs: 60_000
        }
      )
      last.child.kill('SIGKILL')
      await last.exited
      const texts = [
        ...copied().map((name) => readFileSync(join(copies, name), 'utf8')),
        readFileSync(path, 'utf8')
      ]
      const lines = new Set(texts.flatMap((text) => text.split('\n')))
      for (const { name, acked } of writers) {
        const found = [...lines].filter((line) => line.startsWith(`#${name}:`)).length
        expect(found, name).toBeGreaterThanOrEqual(acked)
      }
      expect(copied().length).toBeGreaterThanOrEqual(rotations)
    })
  }
)
