// What the native functions say of failures, and what they do about interruptions.
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { getSystemErrorMap } from 'node:util'
import { describe, expect, test } from 'vitest'
import { systemCode } from '../../src/base/errors.ts'
import { fallback } from '../../src/native/fallback.ts'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { built } from '../helpers/script.ts'

const backends = native.backend === 'fallback' ? [fallback] : [native, fallback]
const sources = join(import.meta.dirname, '../../src/native')

function codeOf(action: () => unknown): string | undefined {
  try {
    action()
  } catch (error) {
    return systemCode(error)
  }
  return undefined
}

describe.each(backends)('$backend', (backend) => {
  test('a file system that cannot reserve blocks says EOPNOTSUPP', (context) => {
    if (process.platform !== 'linux') context.skip('needs /proc')
    const fd = openSync('/proc/self/comm', 'r+')
    expect(codeOf(() => backend.fallocate(fd, 0, 4096))).toBe('EOPNOTSUPP')
    expect(backend.preallocate(fd, 0, 4096)).toBe(false)
    closeSync(fd)
  })

  test('frameLines refuses a target without room before it writes a byte', () => {
    const texts = ['abc\ndef\n', 'a\n\nb', '\n\n\n', '', 'x', `${'y'.repeat(3000)}\n${'\n'.repeat(300)}z`]
    for (const text of texts) {
      const source = Buffer.from(`?${text}?`)
      const lines = text.split('\n').filter((line) => line.length > 0)
      const needed = lines.reduce((sum, line) => sum + 4 + line.length, 0)
      for (const at of [0, 3]) {
        const enough = Buffer.alloc(at + needed)
        expect(backend.frameLines(source, 1, source.length - 1, enough, at)).toBe(needed)
        if (needed === 0) continue
        const tooSmall = Buffer.alloc(at + needed - 1, 7)
        expect(() => backend.frameLines(source, 1, source.length - 1, tooSmall, at)).toThrow(RangeError)
        expect(tooSmall.every((byte) => byte === 7)).toBe(true)
      }
    }
  })

  test('a path that the kernel would cut is refused, not followed', () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a'), '')
    expect(() => backend.renameNoReplace(`${folder}/a\0b`, `${folder}/c`)).toThrow()
    expect(() => backend.renameNoReplace(`${folder}/a`, `${folder}/c\0d`)).toThrow()
    expect(() => backend.renameNoReplace(`${folder}/a`, `${folder}/${'x'.repeat(5000)}`)).toThrow(
      'ENAMETOOLONG'
    )
    expect(readdirSync(folder)).toEqual(['a'])
  })

  test('errors of links and folders have their names', () => {
    const folder = createFolder()
    symlinkSync('loop', join(folder, 'loop'))
    expect(codeOf(() => backend.stat(join(folder, 'loop'), true, new BigInt64Array(7)))).toBe('ELOOP')
    mkdirSync(join(folder, 'full'))
    writeFileSync(join(folder, 'full', 'x'), '')
    expect(codeOf(() => backend.renameNoReplace(join(folder, 'none'), join(folder, 'full')))).toBe('ENOENT')
  })
})

test('every error that the system knows has its name, and an unknown one keeps its number', (context) => {
  const compiler = process.env.CC ?? 'cc'
  if (spawnSync(compiler, ['--version']).status !== 0) context.skip(`no ${compiler}`)
  const program = join(createFolder(), 'names')
  const main = `#include <stdio.h>
    #include "error-names.h"
    int main(void) {
      char name[ERROR_NAME_ROOM];
      for (int number = 1; number < 600; number++) { error_name(number, name); printf("%d %s\\n", number, name); }
    }`
  // Without what tests of a sanitized addon preload into every process.
  const env = { ...process.env, LD_PRELOAD: '' }
  const flags = ['-I', sources, '-o', program, join(sources, 'error-names.c'), '-x', 'c', '-']
  expect(spawnSync(compiler, flags, { input: main, env }).stderr.toString()).toBe('')
  const { stdout } = spawnSync(program, [], { encoding: 'utf8', env })
  const names = new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string])
  )
  const expected = Object.entries(constants.errno).filter(
    ([name]) => !['ENOTSUP', 'EWOULDBLOCK'].includes(name)
  )
  for (const [name, number] of expected) expect(names.get(String(number))).toBe(name)
  for (const [number, [name]] of getSystemErrorMap()) {
    const ours = names.get(String(-number))
    if (-number < 512) expect([name, 'EOPNOTSUPP', 'EREMOTEIO']).toContain(ours)
  }
  expect(names.get('599')).toBe('E599')
})

describe.skipIf(native.backend === 'fallback')('with the addon', () => {
  /** Runs `code` while the first `call` of each thread is interrupted. */
  function interrupted(call: string, code: string): string {
    const trace = [
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-e',
      `trace=${call}`,
      '-e',
      `inject=${call}:error=EINTR:when=1`
    ]
    const script = `import { native } from ${built('native/index.js')}\n${code}`
    const command = [...trace, process.execPath, '--input-type=module', '-e', script]
    const { stdout, stderr } = spawnSync('strace', command, { encoding: 'utf8', timeout: 30_000 })
    return stdout + stderr
  }

  const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0

  test.skipIf(!canTrace)('a write that a signal interrupts is made again (needs strace)', () => {
    const path = join(createFolder(), 'file')
    const open = `import { openSync } from 'node:fs'; const fd = openSync(${JSON.stringify(path)}, 'w+')`
    expect(
      interrupted('pwritev2', `${open}; console.log(native.writeSynced(fd, Buffer.from('abc'), 0, 3, 0))`)
    ).toBe('3\n')
    expect(readFileSync(path, 'utf8')).toBe('abc')
    const hashed = `console.log(native.writevHashed(fd, [Buffer.from('defg')], 0, new Uint32Array(1)))`
    expect(interrupted('pwritev', `${open}; ${hashed.replace('1))', '1), undefined)')}`)).toBe('4\n')
    expect(readFileSync(path, 'utf8')).toBe('defg')
  })

  test.skipIf(process.platform !== 'linux')('the thread that publishes gets no signal', () => {
    const folder = createFolder()
    const code = `
    import { readdirSync, readFileSync } from 'node:fs'
    import { native } from ${built('native/index.js')}
    // SIGINT, SIGUSR2, SIGTERM and SIGWINCH, as the bits of a mask.
    const wanted = (1n << 1n) | (1n << 11n) | (1n << 14n) | (1n << 27n)
    const deaf = () => readdirSync('/proc/self/task').filter((task) => {
      const [, mask] = /SigBlk:\\s*(\\w+)/.exec(readFileSync('/proc/self/task/' + task + '/status', 'utf8'))
      return (BigInt('0x' + mask) & wanted) === wanted
    }).length
    const before = deaf()
    native.publishFile(${JSON.stringify(join(folder, 't'))}, ${JSON.stringify(join(folder, 'f'))}, 0o600, Buffer.from('x'), 1, () => {
      console.log(deaf() - before)
    })`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      encoding: 'utf8'
    })
    expect([stdout, stderr]).toEqual(['1\n', ''])
  })

  test('cancelReplace of what is cancelled, or is no handle, does no harm', () => {
    const words = new Int32Array(new SharedArrayBuffer(4))
    const handle = native.replaceAtExit(words, 0, 0, 1)
    native.cancelReplace(handle)
    native.cancelReplace(handle)
    expect(() => native.cancelReplace({})).toThrow(TypeError)
    expect(() => native.cancelReplace(undefined)).toThrow(TypeError)
    expect(() => native.replaceAtExit(words, 1, 0, 1)).toThrow('EINVAL')
  })

  test('wrong arguments of every function are refused', () => {
    const wrong = [undefined, null, 'text', {}, Symbol('s'), new Uint16Array(4), -1, Number.NaN, 10n]
    const calls = native as unknown as Record<string, (...values: unknown[]) => unknown>
    // One takes none.
    const names = Object.keys(fallback).filter(
      (name) => typeof calls[name] === 'function' && name !== 'laneAvailable'
    )
    for (const name of names) {
      expect(() => calls[name](), name).toThrow()
      // Descriptor -1 and wild types only: nothing here may reach a file, and nothing may crash.
      for (const value of wrong) codeOf(() => calls[name](...new Array(6).fill(value)))
    }
  })
})
