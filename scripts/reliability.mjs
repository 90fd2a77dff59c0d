// The tables of docs/reliability.md: from the promises, what campaigns have counted, and the safeguards that were taken out.
// Throws where a promise names a test or a campaign that is not there.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableOf } from '../bench/suites/faults.mjs'
import { campaigns } from '../test/campaigns/catalog.mjs'
import { promises } from '../test/campaigns/promises.mjs'
import { safeguards } from '../test/campaigns/safeguard-list.mjs'

/** promise → proof → runs → command */
export function promiseTable(root) {
  const sums = readJson(join(root, 'test/campaigns/results.json'))
  const rows = promises.map(({ promise, tests, campaign }) => {
    if (!Object.hasOwn(campaigns, campaign)) throw new Error(`no campaign is called ${campaign}`)
    const proofs = tests.map(([file, name]) => proof(root, file, name))
    return `| ${promise} | ${proofs.join(', ')} | ${counted(sums[campaign])} | \`npm run test:long -- ${campaign}\` |`
  })
  return ['| promise | shown by | counted so far | run it |', '|---|---|---|---|', ...rows].join('\n')
}

function proof(root, file, name) {
  const path = join(root, file)
  if (!existsSync(path)) throw new Error(`docs/reliability.md names a file that does not exist: ${file}`)
  // Names may be put together from parts, so that only a part of each is looked for.
  if (!readFileSync(path, 'utf8').includes(name))
    throw new Error(`${file} has no test with '${name}' in its name`)
  return `\`${file.replace('test/', '')}\``
}

function counted(sum) {
  if (sum === undefined) return ''
  const counts = Object.entries(sum.counts).filter(([, times]) => times > 0)
  if (counts.length === 0) return `${sum.passed.toLocaleString('en')} tests`
  return counts.map(([what, times]) => `${times.toLocaleString('en')} ${what}`).join(', ')
}

/** safeguard → what fails without it */
export function safeguardTable(root) {
  const outcomes = readJson(join(root, 'test/campaigns/safeguards.json'))
  const rows = Object.entries(safeguards).flatMap(([name, { what }]) => {
    const outcome = outcomes[name]
    if (outcome === undefined) return []
    const first = outcome.first.replaceAll('|', '\\|').replace(/^test\//, '')
    return `| ${what} | \`${name}\` | ${outcome.passed} tests pass | ${first} |`
  })
  return ['| safeguard | | with it | without it, the first that fails |', '|---|---|---|---|', ...rows].join(
    '\n'
  )
}

/** host × scenario: what others keep */
export function peerTable(root) {
  const folder = join(root, 'bench/results')
  const measured = readdirSync(folder)
    .map((place) => readJson(join(folder, place, 'faults.json')))
    .filter(({ machine }) => machine !== undefined)
    .sort((a, b) => b.machine.date.localeCompare(a.machine.date))
  if (measured.length === 0) return 'Not measured yet: `npm run bench -- faults`.'
  const { results, versions, machine } = measured[0]
  const [head, ...rows] = tableOf(results)
  const line = (cells) => `| ${cells.join(' | ')} |`
  const known = Object.entries(versions).filter(([name]) => name !== 'logboom')
  const about = known.map(([name, version]) => `${name} ${version}`).join(', ')
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n\n${results[0].rounds} rounds each, ${machine.date.slice(0, 10)}, Node ${machine.node}; ${about}.`
}

function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
}
