// Whether this checkout is slower than the commit before it: `npm run bench:check [-- --base <commit>]`. Both builds run
// short loads in alternating processes of one hour and one machine; what is compared is the least CPU time each of them
// needed, which other work on the machine can only raise. Exits with 1 when a load costs over 15 % more than before. What
// cannot be compared, or not within the time there is, is said and is no error.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { loads } from './lib/check-loads.mjs'

const MOST_RATIO = 1.15
/** After so many rounds the least times are compared; a load is dearer only if it still is after the last. */
const LOOKS = [3, 6, 10, 16]
const RUN_LIMIT_MS = 60_000
/** Of all loads. The older build comes before. */
const LIMIT_MS = 50_000
/** What the builds are made of. */
const BUILT = ['src', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json']

const root = dirname(import.meta.dirname)
const { values: flags } = parseArgs({
  options: { base: { type: 'string', default: 'HEAD^' }, only: { type: 'string' } }
})

const base = git(['rev-parse', '--verify', '--quiet', `${flags.base}^{commit}`])
if (base === undefined) {
  console.log(`skipped: there is no commit ${flags.base} to compare with`)
  process.exit(0)
}
if (git(['diff', '--quiet', base, '--', ...BUILT]) !== undefined) {
  console.log(`skipped: nothing that is built has changed since ${flags.base}`)
  process.exit(0)
}
const names = flags.only?.split(',') ?? Object.keys(loads)
const unknown = names.filter((name) => loads[name] === undefined)
if (unknown.length > 0) {
  console.error(`unknown load ${unknown.join(', ')}; there are ${Object.keys(loads).join(', ')}`)
  process.exit(1)
}

const parent = mkdtempSync(join(tmpdir(), 'logboom-check-'))
const before = join(parent, 'before')
let status = 0
try {
  const fault = buildBefore()
  const endMs = performance.now() + LIMIT_MS
  if (fault !== undefined) console.log(`skipped: ${flags.base} cannot be built here: ${fault}`)
  else {
    for (const [done, name] of names.entries()) {
      const shareMs = Math.max(0, endMs - performance.now()) / (names.length - done)
      if (!compare(name, shareMs)) status = 1
    }
  }
} finally {
  rmSync(parent, { recursive: true, force: true })
}
process.exitCode = status

/**
 * With the dependencies of this checkout, and its addon where the addon's sources are the same. Returns why there is no
 * such build.
 */
function buildBefore() {
  const isSameAddon = git(['diff', '--quiet', base, '--', 'src/native']) !== undefined
  const hasAddon = existsSync(join(root, 'build/native'))
  return (
    run('git', ['clone', '--quiet', '--shared', root, before]) ??
    run('git', ['checkout', '--quiet', base], before) ??
    link() ??
    run('npm', ['run', '--silent', 'build:ts'], before) ??
    (isSameAddon && hasAddon ? copyAddon() : run('npm', ['run', '--silent', 'build:native'], before))
  )
}

function link() {
  symlinkSync(join(root, 'node_modules'), join(before, 'node_modules'))
}

function copyAddon() {
  cpSync(join(root, 'build/native'), join(before, 'build/native'), { recursive: true })
}

/**
 * False when the load is dearer now. One that the older build cannot run is passed over, and one that seems dearer when
 * its time, `limitMs`, is over is not decided; that is said.
 */
function compare(name, limitMs) {
  if (limitMs === 0) return say(name, 'not tried: the time is over')
  const endMs = performance.now() + limitMs
  const least = { before: Number.POSITIVE_INFINITY, now: Number.POSITIVE_INFINITY }
  for (let round = 1; ; round++) {
    for (const side of round % 2 === 0 ? ['before', 'now'] : ['now', 'before']) {
      const cpuMs = measure(name, side)
      if (cpuMs === undefined && side === 'before') return say(name, 'skipped: the older build cannot run it')
      if (cpuMs === undefined) throw new Error(`the load ${name} failed`)
      least[side] = Math.min(least[side], cpuMs)
    }
    const ratio = least.now / least.before
    const isOver = performance.now() > endMs
    if (!isOver && !LOOKS.includes(round)) continue
    const ms = `${least.before.toFixed(0)} → ${least.now.toFixed(0)} ms of CPU`
    const figures = `${ms}, ${ratio.toFixed(2)}×, least of ${round} alternating runs`
    if (ratio <= MOST_RATIO) return say(name, figures)
    if (round === LOOKS.at(-1)) return !say(name, `FAILED: ${figures}`)
    if (isOver) return say(name, `not decided in ${(limitMs / 1000).toFixed(0)} s: ${figures}`)
  }
}

function say(name, text) {
  console.log(`${name.padEnd(16)} ${text}`)
  return true
}

function measure(name, side) {
  const folder = mkdtempSync(join(parent, 'run-'))
  const script = join(import.meta.dirname, 'lib/check-loads.mjs')
  const build = side === 'now' ? root : before
  const {
    status: code,
    stdout,
    stderr
  } = spawnSync(process.execPath, [script, name, build, folder], {
    encoding: 'utf8',
    timeout: RUN_LIMIT_MS,
    env: { ...process.env, NODE_ENV: 'production' }
  })
  rmSync(folder, { recursive: true, force: true })
  if (code === 0) return JSON.parse(stdout).cpuMs
  if (side === 'now') console.error(stderr)
  return undefined
}

function git(args) {
  const { status: code, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  return code === 0 ? stdout.trim() : undefined
}

/** Returns what it said if it failed. */
function run(program, args, cwd = root) {
  const { status: code, stderr, stdout } = spawnSync(program, args, { cwd, encoding: 'utf8' })
  return code === 0 ? undefined : `${program} ${args.join(' ')} failed: ${stderr || stdout}`
}
