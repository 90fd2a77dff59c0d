// Other programs move, remove, copy and truncate the log while four processes write to it.
import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createFolder } from '../../helpers/folder.ts'
import { sized } from '../../helpers/sized.ts'
import { exact, type Report, verify } from '../../helpers/verify.ts'
import { noLocks, startWriter, type Writer, type WriterSettings } from '../../helpers/writers.ts'

const actions = sized(60, 10)
const PAUSE_MS = 150

/** Four processes write; `act` is called again and again. Gives how many records each writer logged. */
async function whileFourWrite(
  path: string,
  act: (n: number) => void | Promise<void>,
  options: Partial<WriterSettings['options']> = {}
): Promise<Record<string, number>> {
  const hosts = ['class', 'pino', 'winston', 'class'] as const
  const writers = hosts.map((host, i) =>
    startWriter({
      host,
      writer: `w${i}`,
      options: { path, maxBytes: 0, ...options },
      bytes: [60, 1_000],
      perTick: 20,
      tickMs: 5,
      acknowledge: true
    })
  )
  await Promise.all(writers.map((writer) => writer.until(() => writer.acked > 0)))
  for (let n = 0; n < actions; n++) {
    await act(n)
    await sleep(PAUSE_MS)
  }
  await Promise.all(writers.map(stop))
  return Object.fromEntries(writers.map(({ name, sent }) => [name, sent]))
}

async function stop(writer: Writer): Promise<void> {
  writer.tell('stop')
  const { code } = await writer.exited
  expect(writer.stderr).toBe('')
  expect(code).toBe(0)
  expect(writer.events.filter(({ event }) => event === 'error')).toEqual([])
}

/** Files that must not grow any more some time after they were removed or moved away. */
class Left {
  readonly #sizes = new Map<string, number>()

  async note(file: string): Promise<void> {
    await sleep(PAUSE_MS)
    this.#sizes.set(file, statSync(file).size)
  }

  check(): void {
    for (const [file, size] of this.#sizes) expect(statSync(file).size, file).toBe(size)
  }
}

/** Like `rm -rf`, again when a writer has put a new file into the folder meanwhile. */
function removeFolder(folder: string): void {
  for (let tries = 1; ; tries++) {
    try {
      rmSync(folder, { recursive: true })
      return
    } catch (error) {
      if (tries === 1_000) throw error
    }
  }
}

/** In how many places records of a writer are missing. */
function gaps({ found }: Report): number {
  const perWriter = [...found.values()].map((numbers) => {
    const sorted = numbers.toSorted((a, b) => a - b)
    return sorted.filter((n, i) => n !== (i === 0 ? 1 : sorted[i - 1] + 1)).length
  })
  return Math.max(...perWriter)
}

describe.skipIf(noLocks)(
  'while four processes write (needs the locks of the addon)',
  { timeout: 120_000 },
  () => {
    test('`mv` of the log loses nothing, and nothing is written to the moved file a little later', async () => {
      const path = join(createFolder(), 'app.log')
      const left = new Left()
      const more: string[] = []
      const records = await whileFourWrite(path, async (n) => {
        more.push(`${path}.moved-${n}`)
        renameSync(path, more[n])
        await left.note(more[n])
      })
      left.check()
      expect(verify(path, { records, more })).toMatchObject(exact)
    })

    test('`mv` loses nothing while the log rotates, too', async () => {
      const path = join(createFolder(), 'app.log')
      const more: string[] = []
      const move = (n: number): void => {
        // The log is missing for a moment whenever it rotates.
        if (!existsSync(path)) return
        try {
          renameSync(path, `${path}.moved-${n}`)
          more.push(`${path}.moved-${n}`)
        } catch {
          // It rotated just now.
        }
      }
      const records = await whileFourWrite(path, move, { maxBytes: 50_000 })
      expect(more.length).toBeGreaterThan(actions / 2)
      expect(verify(path, { maxBytes: 50_000, records, more })).toMatchObject(exact)
    })

    test('`rm` of the log loses what was in it, and nothing is written to it a little later', async () => {
      const path = join(createFolder(), 'app.log')
      const left = new Left()
      const more: string[] = []
      const records = await whileFourWrite(path, async (n) => {
        // A second name shows what a file that is gone still gets.
        more.push(`${path}.removed-${n}`)
        linkSync(path, more[n])
        unlinkSync(path)
        await left.note(more[n])
      })
      left.check()
      expect(verify(path, { records, more })).toMatchObject(exact)
    })

    test('`rm -rf` of the folder is followed by a new folder', async () => {
      const path = join(createFolder(), 'logs', 'app.log')
      const left = new Left()
      const kept: string[] = []
      const records = await whileFourWrite(path, async (n) => {
        kept.push(join(dirname(path), '..', `removed-${n}`))
        linkSync(path, kept[n])
        removeFolder(dirname(path))
        await left.note(kept[n])
        for (let waited = 0; !existsSync(path); waited += 10) {
          expect(waited).toBeLessThan(1_000)
          await sleep(10)
        }
      })
      left.check()
      const report = verify(path, { records, more: kept })
      expect(report).toMatchObject({ duplicated: 0, damaged: [] })
      // Files that were made and removed within one `rm -rf` are gone; all else is there.
      expect(gaps(report)).toBeLessThanOrEqual(actions)
    })

    test('copying and truncating leaves no hole and loses only what was written in between', async () => {
      const path = join(createFolder(), 'app.log')
      const more: string[] = []
      let betweenMs = 0
      const records = await whileFourWrite(path, (n) => {
        more.push(`${path}.copy-${n}`)
        copyFileSync(path, more[n])
        const copied = performance.now()
        truncateSync(path, 0)
        betweenMs += performance.now() - copied
      })
      expectCopies(path, records, more, `copied and truncated ${betweenMs.toFixed(1)} ms apart in all`)
    })

    /** A copy may end in the middle of a line that was just being written; otherwise nothing may be damaged. */
    function expectCopies(path: string, records: Record<string, number>, more: string[], what: string): void {
      for (const file of more) {
        const text = readFileSync(file)
        writeFileSync(file, text.subarray(0, text.lastIndexOf(10) + 1))
      }
      const report = verify(path, { records, more })
      const sent = Object.values(records).reduce((sum, count) => sum + count)
      console.log(`${what}: ${report.lost} of ${sent} records lost`)
      expect(report).toMatchObject({ duplicated: 0, damaged: [] })
      expect(gaps(report)).toBeLessThanOrEqual(actions)
      expect(report.lost).toBeLessThan(sent / 4)
    }

    const noLogrotate = spawnSync('logrotate', ['--version']).error !== undefined

    describe.skipIf(noLogrotate)('logrotate (Debian package)', () => {
      function logrotate(path: string, mode: string): () => void {
        const folder = join(dirname(path), '..', 'logrotate')
        mkdirSync(folder)
        const config = join(folder, 'config')
        writeFileSync(config, `${path} {\n  rotate 100\n  nocompress\n  ${mode}\n}\n`, { mode: 0o600 })
        return () => {
          execFileSync('logrotate', ['-f', '-s', join(folder, 'state'), config], { stdio: 'pipe' })
        }
      }

      const others = (path: string): string[] =>
        readdirSync(dirname(path))
          .filter((name) => name.startsWith('app.log') && name !== 'app.log')
          .map((name) => join(dirname(path), name))

      test('with `create` loses nothing', async () => {
        const path = join(createFolder(), 'logs', 'app.log')
        mkdirSync(dirname(path), { mode: 0o755 })
        const records = await whileFourWrite(path, logrotate(path, 'create 0640'))
        const more = others(path)
        expect(more.length).toBeGreaterThanOrEqual(actions)
        expect(verify(path, { records, more })).toMatchObject(exact)
      })

      test('with `copytruncate` leaves no hole and loses only what was written in between', async () => {
        const path = join(createFolder(), 'logs', 'app.log')
        mkdirSync(dirname(path), { mode: 0o755 })
        const records = await whileFourWrite(path, logrotate(path, 'copytruncate'))
        expectCopies(path, records, others(path), `logrotate copytruncate, ${actions} times`)
      })
    })
  }
)
