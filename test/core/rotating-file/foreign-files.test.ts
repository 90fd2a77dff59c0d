// Whatever pattern backups are named by: files of others beside them are neither removed, compressed nor given to the command
// of `onFinished`, however like the names of backups theirs are.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { BackupPattern, faultOfPattern } from '../../../src/formats/backup-pattern.ts'
import { native } from '../../../src/native/index.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'

const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]
const UNITS = ['%Y', '%m', '%d', '%H', '%M', '%S']

function drawPattern(): string {
  for (;;) {
    const [head, tail] = pick([
      ['{stem}', '{ext}'],
      ['{name}', ''],
      ['{name}', '.old']
    ])
    const between = pick(['', '-', '.', '_', '0', '%%'])
    const time = UNITS.slice(0, Math.floor(random() * 7)).join(between)
    const parts = random() < 0.5 ? ['%i', time] : [time, '%i']
    const pattern = `${head}${pick(['-', '.', '_', 'x', '('])}${parts.join(pick(['.', '-']))}${tail}`
    if (faultOfPattern(pattern) === undefined) return pattern
  }
}

/** Names like that of a backup, which are none. */
function likeBackups(pattern: string, base: string, count: number): string[] {
  const names = new BackupPattern(pattern, base)
  const found = new Set<string>()
  for (let turn = 0; found.size < count && turn < 1_000; turn++) {
    const stamp = Math.floor(random() * 4e9)
    const name = names.format(stamp, Math.floor(random() * 30), pick(['', 'gz', 'br', 'zst']))
    const at = Math.floor(random() * name.length)
    const changed = pick([
      name.slice(0, at) + pick(['0', '9', 'x', '.', '-', ' ']) + name.slice(at + 1),
      name.slice(0, at) + name.slice(at + 1),
      name.slice(0, at) + pick(['0', '7', 'a', '.']) + name.slice(at),
      `${name}.bak`,
      `${name}~`,
      `x${name}`,
      new BackupPattern(pattern, pick(['app2.log', 'app', 'app.log.log', 'ap.log'])).format(stamp, 3)
    ])
    const isOurs = names.parse(changed) !== undefined || changed.startsWith('.') || changed === base
    if (!isOurs && changed !== '') found.add(changed)
  }
  return [...found]
}

test.skipIf(process.platform === 'win32')(
  'no file of another name is touched, whatever the pattern',
  async () => {
    for (let run = 0; run < sized(300, 6); run++) {
      const folder = createMemoryFolder()
      const away = join(folder, 'away')
      mkdirSync(away)
      const base = pick(['app.log', 'app', 'a.b.c', 'app-1.log', '2026.log'])
      const pattern = drawPattern()
      const foreign = likeBackups(pattern, base, 30)
      for (const name of foreign) writeFileSync(join(folder, name), `foreign ${name}\n`)
      const ran = join(away, 'ran')
      const isInFolder = random() < 0.7
      let now = Date.UTC(2026, 0, 1)
      const options = {
        path: join(folder, base),
        maxBytes: 10,
        backupName: pattern,
        maxBackups: 1,
        maxAge: '1d',
        compress: pick([false, 'gzip'] as const),
        onFinished: ['sh', '-c', `echo "$LOGBOOM_FILE" >> '${ran}'`],
        lock: native.canLock,
        ...(isInFolder ? {} : { backupDir: away })
      }
      const file = withInternals({ now: () => now }, () => new RotatingFile(options))
      const removed: string[] = []
      file.on('removed', ({ path }) => removed.push(basename(path)))
      for (let line = 0; line < 5; line++) {
        file.write(`line ${line} .\n`)
        await file.flush()
        now += 40_000_000
      }
      const told = { pattern, base, run }
      await until(() => removed.length === 3)
      await file.close()
      const names = new BackupPattern(pattern, base)
      for (const name of foreign)
        expect({ ...told, text: readFileSync(join(folder, name), 'utf8') }).toEqual({
          ...told,
          text: `foreign ${name}\n`
        })
      const given = readFileSync(ran, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((path) => basename(path))
      expect({ ...told, given: given.filter((name) => names.parse(name) === undefined) }).toEqual({
        ...told,
        given: []
      })
      expect({ ...told, given: [...removed, ...given].filter((name) => foreign.includes(name)) }).toEqual({
        ...told,
        given: []
      })
      expect(existsSync(options.path)).toBe(true)
      const left = readdirSync(isInFolder ? folder : away).filter((name) => names.parse(name) !== undefined)
      expect({ ...told, left: left.length }).toEqual({ ...told, left: 1 })
    }
  }
)
