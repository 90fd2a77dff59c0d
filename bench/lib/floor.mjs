// Builds bench/floor.c with the compiler that is there.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

const bench = dirname(import.meta.dirname)
export const floorProgram = join(bench, 'bin', 'floor')

/** Builds it; gives the reason where that is not possible. */
export function buildFloor() {
  const compiler = process.env.CC ?? 'cc'
  mkdirSync(dirname(floorProgram), { recursive: true })
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-o', floorProgram, join(bench, 'floor.c')]
  const build = spawnSync(compiler, flags, { encoding: 'utf8' })
  if (build.error !== undefined) return `no C compiler (${compiler})`
  return build.status === 0 ? undefined : `${compiler}: ${build.stderr.trim().split('\n')[0]}`
}
