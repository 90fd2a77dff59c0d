// The command of `onFinished` under kills, for files that are no backups: every segment of a write-ahead log was given to it
// before it was removed, and every published file of a spool was given to it.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { finishFailpoints } from '../../../src/io/failpoint.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { built, startProcess } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'
import { readLog } from '../../helpers/wal-log.ts'
import { noLocks } from '../../helpers/writers.ts'

const count = sized(300, 6)

/** Kills what `start` starts at random moments, and by the failpoints of commands, until there is enough; the last one lives, and writes nothing. */
async function liveAndDie(
  start: (trap: string, count: number) => ReturnType<typeof startProcess>,
  isEnough: () => boolean
): Promise<void> {
  for (let life = 0; life < 4 || !isEnough(); life++) {
    const trap = life % 3 === 0 ? `${finishFailpoints[life % 2]}:kill:${1 + (life % 4)}` : ''
    const child = await start(trap, Number.MAX_SAFE_INTEGER).catch(() => undefined)
    if (child === undefined) continue
    await sleep(random() * 400)
    child.kill('SIGKILL')
    await until(() => child.exitCode !== null || child.signalCode !== null)
  }
  await start('', 0)
}

/** Puts the file there under its name as a whole; the name of one that was there stays the same. */
const copyTo = (copies: string) =>
  `n="${copies}/\${LOGBOOM_FILE##*/}"; cp "$LOGBOOM_FILE" "$n.$$" && mv "$n.$$" "$n"`

describe.skipIf(noLocks || process.platform === 'win32')(
  'a command for each finished file (needs the locks of the addon)',
  () => {
    test(`${count} segments of a write-ahead log under kills: each was copied before a bound removed it`, {
      timeout: 900_000
    }, async () => {
      const folder = createMemoryFolder()
      const [walDir, copies, acked] = ['wal', 'copies', 'acked'].map((name) => join(folder, name))
      mkdirSync(copies)
      const options = {
        walDir,
        segmentBytes: 4096,
        maxRetainedBytes: 3 * 4096,
        onFinished: copyTo(copies),
        fallback: false
      }
      const copied = () => readdirSync(copies).filter((name) => name.endsWith('.wal'))
      await liveAndDie(
        (trap, records) =>
          startProcess(`process.env.LOGBOOM_FAILPOINT = ${JSON.stringify(trap)}
        const { WriteAheadLog } = await import(${built('index.js')})
        const { writeFileSync } = await import('node:fs')
        const log = await WriteAheadLog.open(${JSON.stringify(options)})
        console.log('open')
        setInterval(() => {}, 1000)
        for (let n = 0; n < ${records}; n++) {
          const { lastIndex } = await log.log([String(log.lastIndex + 1n) + ' ' + 'x'.repeat(300)])
          writeFileSync(${JSON.stringify(acked)}, String(lastIndex))
        }`),
        () => copied().length >= count
      )
      const segments = () =>
        readdirSync(walDir)
          .filter((name) => name.endsWith('.wal'))
          .sort()
      const isLastDone = () =>
        segments()
          .slice(0, -1)
          .every((name) => copied().includes(name))
      await until(isLastDone, { timeoutMs: 60_000 })
      const last = readFileSync(acked, 'utf8')
      // What was copied, and what is left, is the whole log.
      const whole = join(folder, 'whole')
      mkdirSync(whole)
      for (const name of segments()) copyFileSync(join(walDir, name), join(whole, name))
      for (const name of copied()) copyFileSync(join(copies, name), join(whole, name))
      const { entries } = readLog(whole)
      expect(entries.map(({ index }) => index)).toEqual(entries.map((_, at) => BigInt(at + 1)))
      for (const { index, text } of entries) expect(text.startsWith(`${index} `)).toBe(true)
      expect(entries.length).toBeGreaterThanOrEqual(Number(last))
      expect(entries.length).toBeGreaterThan(5 * count)
    })

    test(`${count} files of a spool under kills: each was copied`, { timeout: 900_000 }, async () => {
      const folder = createMemoryFolder()
      const [dir, copies] = ['spool', 'copies'].map((name) => join(folder, name))
      mkdirSync(copies)
      const options = { dir, maxBytes: 500, flushInterval: 5, onFinished: copyTo(copies), fallback: false }
      const published = () => readdirSync(dir).filter((name) => !name.startsWith('.'))
      await liveAndDie(
        (trap, records) =>
          startProcess(`process.env.LOGBOOM_FAILPOINT = ${JSON.stringify(trap)}
        const { Spool } = await import(${built('index.js')})
        const spool = new Spool(${JSON.stringify(options)})
        console.log('open')
        setInterval(() => {}, 1000)
        for (let n = 0; n < ${records}; n++) {
          await spool.write(n + ' ' + 'x'.repeat(100))
          await new Promise((resolve) => setTimeout(resolve, 10))
        }`),
        () => readdirSync(copies).length >= count
      )
      const before = published()
      await until(() => before.every((name) => existsSync(join(copies, name))), { timeoutMs: 300_000 })
      for (const name of before)
        expect(readFileSync(join(copies, name), 'utf8')).toBe(readFileSync(join(dir, name), 'utf8'))
    })
  }
)
