// Faults against the peers: a kill, a full disk, a rename by logrotate, and several processes on one file. What is counted is
// what is in the files afterwards, against the calls that had returned.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { removeFolder, scenarios } from '../lib/faults-run.mjs'
import { nameMachine } from '../lib/machine.mjs'
import { versionOf } from '../lib/peers.mjs'
import { markdownTable, textTable } from '../lib/table.mjs'

const hosts = {
  'logboom (pino)': 'logboom',
  'logboom (winston)': 'logboom',
  'pino/file': 'pino',
  'pino-roll': 'pino-roll',
  'winston File': 'winston',
  'winston-daily-rotate-file': 'winston-daily-rotate-file',
  'rotating-file-stream': 'rotating-file-stream',
  log4js: 'log4js'
}
const resultsFolder = join(dirname(import.meta.dirname), 'results')

/** Runs all of it; true if ours lost nothing. `npm run bench -- faults` comes here. */
export async function main({ folder, rounds, only, save, machine }) {
  const chosen = Object.keys(hosts).filter((name) => only === undefined || only.includes(name))
  const results = []
  for (const [scenario, { title, needsRoot, run }] of Object.entries(scenarios)) {
    if (needsRoot && process.getuid?.() !== 0) {
      console.log(`${scenario}: skipped, needs root`)
      continue
    }
    for (const host of chosen) {
      const sum = {
        scenario,
        title,
        host,
        rounds: 0,
        logged: 0,
        lost: 0,
        doubled: 0,
        torn: 0,
        died: 0,
        deaf: 0
      }
      for (let round = 0; round < rounds; round++) {
        const own = join(folder, `${scenario}-${host}-${round}`.replaceAll(/[^a-z0-9-]/g, '-'))
        mkdirSync(own)
        const counts = await run(host, own)
        sum.rounds++
        for (const what of ['logged', 'lost', 'doubled', 'torn', 'died', 'deaf'])
          sum[what] += counts[what] ?? 0
        removeFolder(own)
      }
      console.log(describe(sum))
      results.push(sum)
    }
  }
  const rows = tableOf(results)
  console.log(`\n${textTable(rows)}`)
  if (save) {
    const versions = Object.fromEntries(Object.values(hosts).map((name) => [name, versionOf(name)]))
    const place = join(resultsFolder, nameMachine(machine))
    mkdirSync(place, { recursive: true })
    const write = (extension, text) => writeFileSync(join(place, `faults.${extension}`), text)
    write('json', `${JSON.stringify({ suite: 'faults', machine, versions, results }, undefined, 2)}\n`)
    write(
      'md',
      `**Faults.** ${machine.kernel}, ${machine.fileSystem}, Node ${machine.node}; ${machine.date.slice(0, 10)}.\n\n${markdownTable(rows)}\n`
    )
    console.log(`saved: bench/results/${nameMachine(machine)}/faults.json, .md`)
  }
  return results.every(({ host, lost, torn, doubled, died, deaf }) => {
    return !host.startsWith('logboom') || lost + torn + doubled + died + deaf === 0
  })
}

/** host × scenario, in words; also what docs/reliability.md shows. */
export function tableOf(results) {
  const names = [...new Set(results.map(({ scenario }) => scenario))]
  const rows = [...new Set(results.map(({ host }) => host))].map((host) => [
    host,
    ...names.map((scenario) => cell(results.find((one) => one.host === host && one.scenario === scenario)))
  ])
  return [['', ...names], ...rows]
}

function cell(sum) {
  if (sum === undefined) return '–'
  const found = []
  if (sum.died > 0) found.push(`process died (${sum.died} of ${sum.rounds})`)
  if (sum.deaf > 0)
    found.push(
      `${sum.scenario === 'rename' ? 'goes on in the old file' : 'does not go on'} (${sum.deaf} of ${sum.rounds})`
    )
  if (sum.lost > 0) found.push(`${sum.lost.toLocaleString('en')} of ${sum.logged.toLocaleString('en')} lost`)
  if (sum.torn > 0) found.push(`${sum.torn} torn`)
  if (sum.doubled > 0) found.push(`${sum.doubled} twice`)
  return found.length === 0 ? 'nothing lost' : found.join(', ')
}

function describe(sum) {
  return `${sum.scenario.padEnd(18)} ${sum.host.padEnd(26)} ${cell(sum)}`
}
