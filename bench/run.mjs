// The bench: `npm run bench -- <suite…> [--runs 5] [--quick] [--only name,…] [--dir folder] [--compare old.json]`. Every
// contender runs in a process of its own, in alternating order, and what it wrote is counted after every run. Suites are
// in suites/.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine } from './lib/machine.mjs'
import { installPeers } from './lib/peers.mjs'
import { report } from './lib/report.mjs'
import { runSuite } from './lib/rounds.mjs'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
    compare: { type: 'string' }
  }
})

const known = readdirSync(join(import.meta.dirname, 'suites')).map((file) => file.replace('.mjs', ''))
const older = readOlder(flags.compare)
const wanted = positionals.length > 0 ? positionals : older === undefined ? known : [older.suite]
const unknown = wanted.filter((name) => !known.includes(name))
const rounds = flags.quick ? 2 : Number(flags.runs)
if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  console.error(
    `usage: npm run bench -- [${known.join('|')}]… [--runs 5] [--quick] [--only name,…] [--dir folder] [--compare old.json]`
  )
  process.exit(1)
}

installPeers()
const folder = mkdtempSync(join(flags.dir, 'logboom-bench-'))
// Makes ext4 spread the folders in it over the disk, away from what an earlier bench has just deleted (lib/rounds.mjs).
// Other file systems refuse, and have no need of it.
spawnSync('chattr', ['+T', folder])
process.on('SIGINT', () => process.exit(130))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

let intact = true
for (const name of wanted) {
  const { suite, main } = await import(`./suites/${name}.mjs`)
  const machine = describeMachine(folder)
  const only = flags.only?.split(',')
  if (main !== undefined) {
    // One that measures no speed, and counts by itself.
    const save = !flags.quick && only === undefined
    intact = (await main({ folder, rounds: flags.quick ? 1 : rounds, only, save, machine })) && intact
    continue
  }
  const { results, skipped } = await runSuite(suite, { folder, rounds, quick: flags.quick, only })
  // Only a whole run at full length is worth keeping.
  const save = !flags.quick && only === undefined && rounds >= 5
  intact = report({ suite, results, skipped, machine, rounds, save, older: olderOf(name) }) && intact
}
process.exitCode = intact ? 0 : 1

function olderOf(suite) {
  return older?.suite === suite ? older : undefined
}

/** A result of an earlier run, or undefined when none is named; ends the process when it is none. */
function readOlder(path) {
  if (path === undefined) return undefined
  try {
    const document = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof document.suite === 'string' && Array.isArray(document.contenders)) return document
    console.error(`${path} is no result of the bench`)
  } catch (error) {
    console.error(`cannot read ${path}: ${error.message}`)
  }
  process.exit(1)
}
