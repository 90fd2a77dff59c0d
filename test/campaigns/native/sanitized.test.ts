// Tests of the native functions once more with an addon that ends the process at its first read or write outside an
// object, use after free or undefined operation.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { expect, test } from 'vitest'
import { seed } from '../../helpers/random.ts'
import { built } from '../../helpers/script.ts'
import { isLong, sized } from '../../helpers/sized.ts'

const root = join(import.meta.dirname, '../../..')
const compiler = process.env.CC ?? 'cc'

/** The library that has to be loaded before everything else, or undefined where this compiler has none. */
function runtime(): string | undefined {
  const asked = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' })
  const path = asked.stdout?.trim()
  return path !== undefined && isAbsolute(path) && existsSync(path) ? path : undefined
}

/** Why there is no such run here, or undefined. */
function obstacle(): string | undefined {
  if (process.env.LOGBOOM_NATIVE !== undefined) return 'LOGBOOM_NATIVE is set'
  if (process.platform !== 'linux') return `no sanitizer is known for ${process.platform}`
  return runtime() === undefined ? `${compiler} has no libasan.so` : undefined
}

/** Runs these tests with such an addon, and expects them to pass without a word of a sanitizer. */
function expectClean(tests: readonly string[]): void {
  const build = [join(root, 'scripts/build-native.mjs'), '--sanitize=address,undefined']
  const compiled = spawnSync(process.execPath, build, { encoding: 'utf8' })
  expect([compiled.status, compiled.stderr]).toEqual([0, ''])
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  const libc = header.glibcVersionRuntime === undefined ? '-musl' : ''
  const binary = join(root, 'build/sanitized', `linux-${process.arch}${libc}`, 'logboom.node')
  const env = {
    ...process.env,
    LOGBOOM_NATIVE: binary,
    LD_PRELOAD: runtime(),
    // What Node itself leaves to the end of the process is no leak of ours.
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:exitcode=99:detect_odr_violation=0',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1'
  }
  // One that does not load would leave everything to the portable code, in which no sanitizer finds anything.
  const loads = `import(${built('native/index.js')}).then(({ addonFile }) => console.log(addonFile))`
  const loaded = spawnSync(process.execPath, ['-e', loads], { env, encoding: 'utf8' })
  expect(loaded.stdout.trim()).toBe(binary)
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const run = spawnSync(process.execPath, [vitest, 'run', ...tests, '--testTimeout=120000'], {
    cwd: root,
    env,
    encoding: 'utf8'
  })
  const report = run.stdout + run.stderr
  expect(report).not.toMatch(/AddressSanitizer|runtime error:/)
  expect(run.status, report.slice(-4000)).toBe(0)
}

test('mapped rings make no mistake that a sanitizer can see', { timeout: 300_000 }, (context) => {
  const reason = obstacle()
  if (reason !== undefined) return context.skip(reason)
  expectClean([
    'test/native/lane.test.ts',
    'test/core/lane/damaged-ring.test.ts',
    'test/core/lane/golden.test.ts'
  ])
})

test('rings in memory of exactly their size are used in any order, and changed meanwhile', (context) => {
  if (process.platform !== 'linux' || runtime() === undefined) return context.skip('no sanitizer here')
  mkdirSync(join(root, 'build/sanitized'), { recursive: true })
  const program = join(root, 'build/sanitized/lane-fuzz')
  const sources = [
    join(import.meta.dirname, 'lane-fuzz.c'),
    `-I${join(root, 'src/native')}`,
    join(root, 'src/native/checksum.c')
  ]
  const flags = [
    '-std=gnu11',
    '-O1',
    '-g',
    '-fsanitize=address,undefined',
    '-fno-sanitize-recover=all',
    '-pthread'
  ]
  const build = spawnSync(compiler, [...flags, '-o', program, ...sources], { encoding: 'utf8' })
  expect([build.status, build.stderr]).toEqual([0, ''])
  const episodes = String(sized(100_000, 3_000))
  const run = spawnSync(program, [String(seed), episodes], { encoding: 'utf8' })
  expect([run.status, run.stderr, run.stdout], `seed ${seed}`).toEqual([0, '', `${episodes} episodes\n`])
})

test('the addon makes no mistake that a sanitizer can see', { timeout: 600_000 }, (context) => {
  if (!isLong) context.skip('only in the long suite: npm run test:long')
  const reason = obstacle()
  if (reason !== undefined) return context.skip(reason)
  expectClean(['test/native', 'test/core/lane/ring.test.ts', 'test/core/lane/lane-folder.test.ts'])
})

test('a mistake would be seen', { timeout: 120_000 }, (context) => {
  const library = runtime()
  if (!isLong) context.skip('only in the long suite: npm run test:long')
  if (process.platform !== 'linux' || library === undefined) return context.skip('no sanitizer here')
  // Memory that does not belong to the addon, given by a caller who lies about it: the sanitizer has to stop this.
  const code = `#include <stdlib.h>
    int main(void) { volatile char *bytes = malloc(8); free((void *)bytes); return bytes[3]; }`
  mkdirSync(join(root, 'build/sanitized'), { recursive: true })
  const program = join(root, 'build/sanitized/mistake')
  const flags = ['-x', 'c', '-fsanitize=address', '-Wno-use-after-free', '-o', program, '-']
  expect(spawnSync(compiler, flags, { input: code }).status).toBe(0)
  expect(spawnSync(program, [], { encoding: 'utf8' }).stderr).toMatch(/heap-use-after-free/)
})
