// Renaming without replacing where the kernel cannot: nothing is left behind that grows with each attempt.
import { spawnSync } from 'node:child_process'
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { RotatingFile } from '../../dist/index.js'
import { renameNoReplace } from '../../src/native/rename.ts'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

const real = process.platform

afterEach(() => {
  Object.defineProperty(process, 'platform', { value: real, configurable: true, enumerable: true })
})

function codeOf(run: () => void): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

/** A folder that takes new names and lets none go; undefined where that cannot be had. */
function appendOnlyFolder(): { folder: string; allow: () => void } | undefined {
  const folder = createFolder()
  const chattr = (flag: string): boolean => spawnSync('chattr', [flag, folder]).status === 0
  onTestFinished(() => void chattr('-a'))
  if (!chattr('+a') || codeOf(() => writeFileSync(join(folder, 'probe'), '')) !== undefined) return undefined
  if (codeOf(() => rmSync(join(folder, 'probe'))) === undefined) return undefined
  chattr('-a')
  rmSync(join(folder, 'probe'))
  chattr('+a')
  return { folder, allow: () => void chattr('-a') }
}

describe.each(['linux', 'win32'])('as on %s', (platform) => {
  test('a free name is taken and a used one is not', () => {
    const folder = createFolder()
    const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder, name))
    writeFileSync(a, 'one')
    writeFileSync(b, 'two')
    Object.defineProperty(process, 'platform', { value: platform, configurable: true, enumerable: true })
    expect(codeOf(() => renameNoReplace(a, b))).toBe('EEXIST')
    expect(codeOf(() => renameNoReplace(join(folder, 'none'), c))).toBe('ENOENT')
    renameNoReplace(a, c)
    expect(readdirSync(folder)).toEqual(['b', 'c'])
    expect([readFileSync(b, 'utf8'), readFileSync(c, 'utf8')]).toEqual(['two', 'one'])
  })
})

test.runIf(real !== 'win32')(
  'the second name that one who died between link and unlink has left goes, and no other name of the file',
  () => {
    const folder = createFolder()
    const [log, left, copy, other, next] = [
      'app.log',
      'app.log.20260101-000000.2',
      'app.log.copy',
      'app.log.20260101-000000.1',
      'app.log.20260101-000001.0'
    ].map((name) => join(folder, name))
    writeFileSync(log, 'text')
    for (const second of [left, copy]) linkSync(log, second)
    writeFileSync(other, 'other')
    renameNoReplace(log, next)
    expect(readdirSync(folder)).toEqual([
      'app.log.20260101-000000.1',
      'app.log.20260101-000001.0',
      'app.log.copy'
    ])
    expect(readFileSync(next, 'utf8')).toBe('text')
  }
)

describe('in a folder that lets no name go', () => {
  test('attempts to new names make at most one of them, and the next success takes it back', (context) => {
    const made = appendOnlyFolder()
    if (made === undefined) return context.skip('no folder can be made append-only here (chattr +a)')
    const { folder, allow } = made
    const from = join(folder, 'app.log')
    writeFileSync(from, 'text')
    for (let i = 0; i < 20; i++) {
      expect(codeOf(() => renameNoReplace(from, join(folder, `app.log.${i}`)))).toBe('EPERM')
    }
    expect(readdirSync(folder).sort()).toEqual(['app.log', 'app.log.0'])
    allow()
    renameNoReplace(from, join(folder, 'app.log.20'))
    expect(readdirSync(folder)).toEqual(['app.log.20'])
    expect(readFileSync(join(folder, 'app.log.20'), 'utf8')).toBe('text')
  })

  test('a second name that has become another file is not removed', (context) => {
    const made = appendOnlyFolder()
    if (made === undefined) return context.skip('no folder can be made append-only here (chattr +a)')
    const { folder, allow } = made
    const from = join(folder, 'app.log')
    writeFileSync(from, 'text')
    expect(codeOf(() => renameNoReplace(from, join(folder, 'app.log.0')))).toBe('EPERM')
    allow()
    rmSync(join(folder, 'app.log.0'))
    writeFileSync(join(folder, 'app.log.0'), "somebody else's")
    renameNoReplace(from, join(folder, 'app.log.1'))
    expect(readFileSync(join(folder, 'app.log.0'), 'utf8')).toBe("somebody else's")
  })

  test('a hard link that others made is no obstacle and stays', () => {
    const folder = createFolder()
    const from = join(folder, 'app.log')
    writeFileSync(from, 'text')
    mkdirSync(join(folder, 'backup'))
    linkSync(from, join(folder, 'backup/copy'))
    renameNoReplace(from, join(folder, 'app.log.0'))
    expect(statSync(join(folder, 'backup/copy')).nlink).toBe(2)
  })

  test('a sink is degraded, tries again with pauses, and loses nothing', async (context) => {
    const made = appendOnlyFolder()
    if (made === undefined) return context.skip('no folder can be made append-only here (chattr +a)')
    const { folder, allow } = made
    const file = new RotatingFile({
      path: join(folder, 'app.log'),
      maxBytes: 1000,
      lock: false,
      fallback: false
    })
    const degraded = vi.fn()
    file.on('degraded', degraded)
    for (let i = 0; i < 30; i++) file.write(`${String(i).padStart(99, '0')}\n`)
    await until(() => degraded.mock.calls.length > 0)
    // Long enough for several attempts.
    await new Promise((resolve) => setTimeout(resolve, 1200))
    const names = readdirSync(folder).filter((name) => name.startsWith('app.log'))
    const files = new Set(names.map((name) => statSync(join(folder, name)).ino))
    expect(names.length).toBeLessThanOrEqual(files.size + 1)
    expect(degraded).toHaveBeenCalledTimes(1)
    allow()
    await file.close()
    const lines = readdirSync(folder)
      .filter((name) => name.startsWith('app.log'))
      .flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))
    expect(lines.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i))
  })
})
