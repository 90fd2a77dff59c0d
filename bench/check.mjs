// Whether this checkout is slower than the commit before it: `npm run bench:check [-- --base <commit>]`. Both builds run
// short loads in alternating processes of one hour and one machine; what is compared is the least CPU time each of them
// needed, which other work on the machine can only raise. Exits with 1 when a load costs over 15 % more than before.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { loads } from './lib/check-loads.mjs'

const MOST_RATIO = 1.15
/** Rounds of each attempt: a load is dearer only if it is in every one of them. */
const ATTEMPTS = [5, 9, 15]
const RUN_LIMIT_MS = 60_000

const root = dirname(import.meta.dirname)
const { values: flags } = parseArgs({
  options: { base: { type: 'string', default: 'HEAD^' }, only: { type: 'string' } }
})

const base = git(['rev-parse', '--verify', '--quiet', `${flags.base}^{commit}`])
if (base === undefined) {
  console.log(`skipped: there is no commit ${flags.base} to compare with`)
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
  must('git', ['clone', '--quiet', '--shared', root, before])
  must('git', ['checkout', '--quiet', base], before)
  buildBefore()
  for (const name of names) if (!compare(name)) status = 1
} finally {
  rmSync(parent, { recursive: true, force: true })
}
process.exitCode = status

/** With the dependencies of this checkout, and its addon where the addon's sources are the same. */
function buildBefore() {
  symlinkSync(join(root, 'node_modules'), join(before, 'node_modules'))
  must('npm', ['run', '--silent', 'build:ts'], before)
  const isSameAddon = git(['diff', '--quiet', base, '--', 'src/native']) !== undefined
  if (isSameAddon && existsSync(join(root, 'build/native'))) {
    cpSync(join(root, 'build/native'), join(before, 'build/native'), { recursive: true })
  } else must('npm', ['run', '--silent', 'build:native'], before)
}

/** False when the load is dearer now. One that the older build cannot run is passed over, and that is said. */
function compare(name) {
  let ratio = 0
  for (const rounds of ATTEMPTS) {
    const least = { before: Number.POSITIVE_INFINITY, now: Number.POSITIVE_INFINITY }
    for (let round = 0; round < rounds; round++) {
      for (const side of round % 2 === 0 ? ['before', 'now'] : ['now', 'before']) {
        const cpuMs = measure(name, side)
        if (cpuMs === undefined && side === 'before') {
          console.log(`${name.padEnd(16)} skipped: the older build cannot run it`)
          return true
        }
        if (cpuMs === undefined) throw new Error(`the load ${name} failed`)
        least[side] = Math.min(least[side], cpuMs)
      }
    }
    ratio = least.now / least.before
    const figures = `${least.before.toFixed(0)} → ${least.now.toFixed(0)} ms of CPU, ${ratio.toFixed(2)}×`
    console.log(`${name.padEnd(16)} ${figures}, least of ${rounds} alternating runs`)
    if (ratio <= MOST_RATIO) return true
  }
  console.log(`${name.padEnd(16)} FAILED: over ${MOST_RATIO.toFixed(2)}× the CPU time of ${flags.base}`)
  return false
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

function must(program, args, cwd = root) {
  const { status: code, stderr, stdout } = spawnSync(program, args, { cwd, encoding: 'utf8' })
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${stderr || stdout}`)
}
