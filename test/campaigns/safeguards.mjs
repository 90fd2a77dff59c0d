// Takes each safeguard out of a copy of the sources, builds that, and shows that the tests which are to watch over it fail:
// `node test/campaigns/safeguards.mjs [name…] [--save]`. With `--save` the outcome goes to safeguards.json, from which
// docs/reliability.md gets its table.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { safeguards } from './safeguard-list.mjs'

const root = join(import.meta.dirname, '../..')
const copied = [
  'src',
  'scripts',
  'test',
  'prebuilds',
  'build/native',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'vitest.config.ts'
]
const SEED = '1'
const TIME_LIMIT_MS = 600_000
/** Without a safeguard a test may wait for what never comes; three that fail are enough. */
const LOST_MS = 20_000

const args = process.argv.slice(2)
const isSaving = args.includes('--save')
const asked = args.filter((arg) => arg !== '--save')
const unknown = asked.filter((name) => !Object.hasOwn(safeguards, name))
if (unknown.length > 0) {
  console.error(`there is no safeguard '${unknown[0]}'; there are: ${Object.keys(safeguards).join(', ')}`)
  process.exit(2)
}

const copy = mkdtempSync(join(tmpdir(), 'logboom-safeguards-'))
process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
for (const name of copied)
  if (existsSync(join(root, name))) cpSync(join(root, name), join(copy, name), { recursive: true })
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))

let isWatched = true
for (const [name, safeguard] of Object.entries(safeguards)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  const outcome = takeOut(safeguard)
  const good =
    outcome.before.failed.length === 0 && outcome.before.passed > 0 && outcome.without.failed.length > 0
  isWatched &&= good
  if (isSaving && good) save({ [name]: { what: safeguard.what, ...outcome } })
  console.log(
    `${good ? 'watched    ' : 'NOT WATCHED'}  ${name}: ${outcome.before.passed} passed with it; without it ${outcome.without.failed.length} failed before it was stopped`
  )
  for (const test of outcome.without.failed.slice(0, 3)) console.log(`               ${test}`)
  for (const test of outcome.before.failed.slice(0, 3)) console.log(`   with it:    ${test}`)
}
process.exitCode = isWatched ? 0 : 1

/** The tests with the safeguard, and then without it. */
function takeOut({ changes, tests, only }) {
  build()
  const before = run(tests, only)
  const texts = new Map()
  for (const { file, from, to } of changes) {
    const path = join(copy, file)
    const text = readFileSync(path, 'utf8')
    if (!texts.has(path)) texts.set(path, text)
    // What is not there any more would be taken out without anybody noticing.
    if (text.split(from).length !== 2) throw new Error(`${file} has this not exactly once: ${from}`)
    writeFileSync(
      path,
      text.replace(from, () => to)
    )
  }
  try {
    build()
    return { before, without: run(tests, only, ['--bail=3', `--testTimeout=${LOST_MS}`]) }
  } finally {
    for (const [path, text] of texts) writeFileSync(path, text)
  }
}

function build() {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/build-js.mjs'], {
    cwd: copy,
    encoding: 'utf8'
  })
  if (status !== 0) throw new Error(stderr)
}

function run(tests, only, more = []) {
  const report = join(copy, 'report.json')
  rmSync(report, { force: true })
  const pattern = only === undefined ? [] : ['-t', only]
  const program = join(root, 'node_modules/vitest/vitest.mjs')
  spawnSync(
    process.execPath,
    [program, 'run', ...tests, ...pattern, ...more, '--reporter=json', `--outputFile.json=${report}`],
    { cwd: copy, stdio: 'ignore', timeout: TIME_LIMIT_MS, env: { ...process.env, LOGBOOM_SEED: SEED } }
  )
  if (!existsSync(report)) throw new Error(`vitest ended without a report: ${tests}`)
  const results = JSON.parse(readFileSync(report, 'utf8')).testResults
  const all = results.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ status, fullName }) => ({ status, test: `${relative(copy, name)}: ${fullName}` }))
  )
  return {
    passed: all.filter(({ status }) => status === 'passed').length,
    failed: all.filter(({ status }) => status === 'failed').map(({ test }) => test)
  }
}

/** Keeps what is known of the others. */
function save(found) {
  const path = join(import.meta.dirname, 'safeguards.json')
  const known = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
  for (const [name, { what, before, without }] of Object.entries(found)) {
    known[name] = {
      what,
      passed: before.passed,
      failed: without.failed.length,
      first: without.failed[0] ?? ''
    }
  }
  const kept = Object.keys(safeguards).filter((name) => known[name] !== undefined)
  const all = Object.fromEntries(kept.map((name) => [name, known[name]]))
  writeFileSync(path, `${JSON.stringify(all, undefined, 2)}\n`)
}
