// The fault campaigns: `npm run test:long -- [campaign…] [--seed N] [--minutes M] [--size S] [--list] [--sum]`. Without a
// campaign it is the whole project `long`. Each run says its seed and how to repeat it; of a failure it makes the shortest
// run that still fails. What was counted is printed, and written to build/campaigns/.
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { campaigns } from './catalog.mjs'
import { addCounts, describeCounts, readResults, sumResults } from './results.mjs'

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'build/campaigns')
const MOST_HALVINGS = 6
const MOST_SHORTENED = 2

const { flags, names } = readArguments(process.argv.slice(2))
if (flags.list) list()
else if (flags.sum) console.log(JSON.stringify(sumResults(readResults(folder)), undefined, 2))
else process.exitCode = run()

function readArguments(args) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        seed: { type: 'string' },
        minutes: { type: 'string' },
        size: { type: 'string' },
        list: { type: 'boolean', default: false },
        sum: { type: 'boolean', default: false },
        test: { type: 'string', short: 't' }
      }
    })
    const unknown = positionals.filter((name) => !Object.hasOwn(campaigns, name))
    if (unknown.length > 0) throw new Error(`there is no campaign '${unknown[0]}'; --list shows them`)
    const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
    if (!Number.isSafeInteger(seed) || seed < 0) throw new Error('--seed must be a whole number')
    const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
    if (minutes !== undefined && !(minutes > 0 && minutes <= 10_000))
      throw new Error('--minutes must be above 0')
    const size = values.size === undefined ? 1 : Number(values.size)
    if (!(size > 0 && size <= 1_000)) throw new Error('--size must be above 0 and at most 1000')
    return { flags: { ...values, seed, minutes, size }, names: positionals }
  } catch (error) {
    console.error(
      `${error.message}\nusage: npm run test:long -- [campaign…] [--seed N] [--minutes M] [--size S] [-t test] [--list] [--sum]`
    )
    process.exit(2)
  }
}

function list() {
  const width = Math.max(...Object.keys(campaigns).map((name) => name.length))
  for (const [name, { what }] of Object.entries(campaigns)) console.log(`${name.padEnd(width)}  ${what}`)
}

/** Runs the campaigns one after the other, and again with other seeds until the minutes are over. */
function run() {
  const chosen = names.length === 0 ? ['all'] : names
  const deadlineMs = performance.now() + (flags.minutes ?? 0) * 60_000
  let failed = 0
  let seed = flags.seed
  do {
    for (const name of chosen) failed += runOne(name, seed) ? 0 : 1
    seed++
  } while (performance.now() < deadlineMs && failed === 0)
  return failed === 0 ? 0 : 1
}

function runOne(name, seed) {
  const campaign = campaigns[name] ?? { files: [], project: 'long' }
  console.log(`\n== ${name}, seed ${seed}: ${replay(name, seed, flags.size, flags.test)}`)
  const outcome = vitest(campaign, { seed, size: flags.size, test: flags.test ?? campaign.only })
  const counts = describeCounts(outcome.counts)
  console.log(
    `== ${name}: ${outcome.passed} passed, ${outcome.failed.length} failed, ${outcome.skipped} skipped in ${outcome.seconds} s${counts === '' ? '' : `; ${counts}`}`
  )
  write(name, seed, outcome)
  for (const failure of outcome.failed.slice(0, MOST_SHORTENED)) shorten(name, campaign, seed, failure)
  return outcome.failed.length === 0 && outcome.status === 0
}

/** Half as many operations, as long as the same test still fails. */
function shorten(name, campaign, seed, failure) {
  // Counts in a name are those of the size.
  const test = `^${failure.name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/\d+/g, '\\d+')}$`
  const one = { ...campaign, files: [failure.file] }
  let shortest = flags.size
  for (let halving = 0; halving < MOST_HALVINGS; halving++) {
    const { failed } = vitest(one, { seed, size: shortest / 2, test, isQuiet: true })
    if (failed.length === 0) break
    shortest /= 2
  }
  console.log(`== ${failure.name}\n   fails with: ${replay(name, seed, shortest, test)}`)
}

function replay(name, seed, size, test) {
  const quoted = test === undefined ? '' : ` -t '${test.replaceAll("'", "'\\''")}'`
  return `npm run test:long --${name === 'all' ? '' : ` ${name}`} --seed ${seed}${size === 1 ? '' : ` --size ${size}`}${quoted}`
}

function vitest({ files, project, takesMinutes, env: own }, { seed, size, test, isQuiet = false }) {
  const scratch = mkdtempSync(join(tmpdir(), 'logboom-campaign-'))
  const counts = join(scratch, 'counts')
  const report = join(scratch, 'report.json')
  writeFileSync(counts, '')
  const args = ['run', ...files, ...(project === undefined ? [] : ['--project', project])]
  if (test !== undefined) args.push('-t', test)
  args.push(`--reporter=${isQuiet ? 'dot' : 'default'}`, '--reporter=json', `--outputFile.json=${report}`)
  const env = {
    ...process.env,
    ...own,
    LOGBOOM_LONG: '1',
    LOGBOOM_SEED: String(seed),
    LOGBOOM_SIZE: String(size),
    LOGBOOM_COUNTS: counts
  }
  if (takesMinutes !== undefined && flags.minutes !== undefined)
    env[takesMinutes] = String(flags.minutes * size)
  const start = performance.now()
  const program = join(root, 'node_modules/vitest/vitest.mjs')
  const { status } = spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    env,
    stdio: isQuiet ? 'ignore' : 'inherit'
  })
  const seconds = Math.round((performance.now() - start) / 1000)
  try {
    return { status, seconds, ...readReport(report), counts: addCounts(readFileSync(counts, 'utf8')) }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function readReport(path) {
  const outcome = { passed: 0, skipped: 0, failed: [] }
  let text
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return { ...outcome, failed: [{ file: '', name: 'vitest ended without a report' }] }
  }
  for (const { name: file, assertionResults, status, message } of JSON.parse(text).testResults) {
    if (assertionResults.length === 0 && status === 'failed')
      outcome.failed.push({ file: relative(root, file), name: message })
    for (const { status, fullName } of assertionResults) {
      if (status === 'passed') outcome.passed++
      else if (status === 'failed') outcome.failed.push({ file: relative(root, file), name: fullName })
      else outcome.skipped++
    }
  }
  return outcome
}

function write(name, seed, { status, ...outcome }) {
  mkdirSync(folder, { recursive: true })
  const result = {
    campaign: name,
    seed,
    size: flags.size,
    at: new Date().toISOString(),
    node: process.version,
    kernel: release(),
    ...outcome
  }
  writeFileSync(
    join(folder, `${name}-${seed}-${Date.now()}.json`),
    `${JSON.stringify(result, undefined, 2)}\n`
  )
}
