// Others at work in the folder: files that are removed, moved, replaced or truncated, and files of others where ours
// should be. What is acknowledged afterwards can be read; nobody else's file is touched.
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { native } from '../../src/native/index.ts'
import { together } from '../helpers/at-test-end.ts'
import { Acknowledged, Bed, numbersOf } from './bed.ts'
import type { Subject } from './subject.ts'

const PATIENCE_MS = 1_500
const STALL_MS = 2_000
const FOREIGN = 'a file of somebody else, longer than the sixty-four bytes that a lock file of ours has.\n'

/** Each makes the live file something else. */
const disturbances: Record<string, (path: string, bed: Bed) => void> = {
  removed: (path) => rmSync(path, { recursive: true }),
  'moved away': (path, bed) => renameSync(path, join(bed.folder, 'moved')),
  'replaced by an empty file': (path) => {
    rmSync(path, { recursive: true })
    writeFileSync(path, '')
  },
  'replaced by a folder': (path) => {
    rmSync(path, { recursive: true })
    mkdirSync(path)
  },
  'replaced by a link': (path, bed) => {
    writeFileSync(join(bed.folder, 'victim'), FOREIGN)
    rmSync(path, { recursive: true })
    symlinkSync(join(bed.folder, 'victim'), path)
  },
  'removed with its folder': (path) => rmSync(dirname(path), { recursive: true }),
  truncated: (path) => {
    if (!existsSync(path) || !isFile(path)) return
    truncateSync(path, 0)
  }
}

export function outsideTests(subject: Subject): void {
  const { livePath, lockPath } = subject
  if (livePath !== undefined) {
    // At the same time: each waits for what cannot be written.
    describe.concurrent('when its live file is', () => {
      for (const [how, disturb] of Object.entries(disturbances)) {
        it(
          `${how}, acknowledges only what can be read`,
          together(async () => {
            const bed = new Bed({ ...subject, options: () => subject.options(join(bed.folder, 'logs')) })
            const sink = bed.create({ flushInterval: 1 }, STALL_MS)
            const place = join(bed.folder, 'logs')
            bed.log(sink, 8)
            await sink.flush()
            disturb(livePath(place), bed)
            const host = new Acknowledged(sink)
            const acknowledged: number[] = []
            for (let index = 8; index < 28; index++) {
              const isAcknowledged = host.write(`${bed.line(index)}\n`)
              if (isAcknowledged || (await within(host.drained(), PATIENCE_MS))) acknowledged.push(index)
              else break
            }
            const found = new Set(numbersOf(subject.read(place)))
            // What can never be written may be given up, and is counted then.
            const missing = acknowledged.filter((index) => !found.has(index))
            expect(missing.length, `missing: ${missing}`).toBeLessThanOrEqual(sink.stats().dropped)
            if (existsSync(join(bed.folder, 'victim'))) {
              expect(readFileSync(join(bed.folder, 'victim'), 'utf8')).toBe(FOREIGN)
            }
            // Once the obstacle is gone everything that waits is written, or its loss is told.
            if (acknowledged.length < 20 && existsSync(livePath(place))) {
              rmSync(livePath(place), { recursive: true, force: true })
            }
            await sink.close().catch(() => {})
            const after = new Set(numbersOf(subject.read(place)))
            const last = Math.min(27, (acknowledged.at(-1) ?? 7) + 1)
            const gone = [8, last].filter((index) => !after.has(index))
            expect(gone.length, `gone: ${gone}`).toBeLessThanOrEqual(sink.stats().dropped)
          })
        )
      }
    })
  }

  if (lockPath !== undefined && native.canLock) {
    describe('a file of somebody else where the lock should be', () => {
      const plant = {
        'as a file': (path: string) => writeFileSync(path, FOREIGN),
        'as a hard link to a file': (path: string, victim: string) => linkSync(victim, path),
        'as a symbolic link': (path: string, victim: string) => symlinkSync(victim, path)
      }
      for (const [how, put] of Object.entries(plant)) {
        it(`${how} is left as it is, and the sink refuses`, async () => {
          const bed = new Bed(subject)
          const victim = join(bed.folder, 'victim')
          writeFileSync(victim, FOREIGN)
          const path = lockPath(bed.folder)
          mkdirSync(dirname(path), { recursive: true })
          put(path, victim)
          let code: string | undefined
          try {
            const sink = bed.create()
            bed.log(sink, 1)
            await within(sink.flush(), 300)
          } catch (error) {
            code = (error as { code?: string }).code
          }
          expect(readFileSync(path, 'utf8')).toBe(FOREIGN)
          expect(readFileSync(victim, 'utf8')).toBe(FOREIGN)
          expect(code).toMatch(/^ERR_(NOT_FILE|SYMLINK|FOREIGN|FORMAT)/)
        })
      }
    })
  }
}

function isFile(path: string): boolean {
  try {
    readFileSync(path)
    return true
  } catch {
    return false
  }
}

/** Whether `work` resolves in time. */
async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const done = work.then(() => true)
  done.catch(() => {})
  return Promise.race([done, late]).finally(() => clearTimeout(timer))
}
