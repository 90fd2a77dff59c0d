// The figures in README.md and docs/benchmarks.md, from bench/results/<machine>/<suite>.json. The full ones, with the
// range of every figure, are in the .md files beside them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = 'bench/results'
/** The README shows these, the page of the benchmarks all. */
const SHOWN = ['pino', 'winston', 'multiprocess']

/** Markdown for the suites the README shows, each from where it was measured last, or undefined without results. */
export function benchTables(root) {
  const all = readResults(root)
  const newest = SHOWN.map((suite) =>
    all
      .filter((each) => each.suite === suite)
      .toSorted((a, b) => b.machine.date.localeCompare(a.machine.date))
  )
    .map(([first]) => first)
    .filter((each) => each !== undefined)
  if (newest.length === 0) return undefined
  return `${newest.map(table).join('\n\n')}\n\nThe other suites and machines, with the goals that are not reached: [docs/benchmarks.md](docs/benchmarks.md#results).`
}

/** Markdown for every suite: each contender's ratios to the reference on each machine, side by side, and the goals. */
export function machineTables(root) {
  const all = readResults(root)
  const suites = [...new Set(all.map(({ suite }) => suite))].toSorted()
  return suites.map((suite) => sideBySide(all.filter((each) => each.suite === suite))).join('\n\n')
}

function readResults(root) {
  const folder = join(root, FOLDER)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .toSorted()
    .flatMap((place) =>
      readdirSync(join(folder, place))
        // What is kept under faults has a page of its own (reliability.mjs).
        .filter((file) => file.endsWith('.json') && file !== 'faults.json')
        .map((file) => ({ ...JSON.parse(readFileSync(join(folder, place, file), 'utf8')), place }))
    )
}

function table({ suite, place, title, machine, rounds, reference, contenders }) {
  const rows = contenders
    .filter((one) => one.failed === undefined)
    .map((one) => {
      const cells = [
        nameOf(one),
        rate(one.rate),
        times(one.rateRatio),
        times(one.cpuRatio),
        intact(one),
        size(one)
      ]
      return `| ${cells.join(' | ')} |`
    })
  return [
    `**${title}** (reference: ${reference})`,
    '',
    '| | per second | vs reference | CPU vs reference | lost or torn | largest file |',
    '|---|--:|--:|--:|--:|--:|',
    ...rows,
    '',
    `<sub>${aboutMachine(machine)}; medians of ${rounds} alternating rounds. ` +
      `[All figures](${FOLDER}/${place}/${suite}.md), [chart](${FOLDER}/${place}/${suite}.svg)</sub>`
  ].join('\n')
}

function sideBySide(results) {
  const [{ suite, title }] = results
  const names = [...new Set(results.flatMap(({ contenders }) => contenders.map(({ name }) => name)))]
  const rows = names.map((name) => {
    const cells = results.map(({ contenders }) => pair(contenders.find((one) => one.name === name)))
    const isOwn = results.some(({ contenders }) => contenders.find((one) => one.name === name)?.own)
    return `| ${nameOf({ name, own: isOwn })} | ${cells.join(' | ')} |`
  })
  const heads = results.map(
    ({ place, reference }) => `${place}${reference === undefined ? '' : `, against ${reference}`}`
  )
  return [
    `### ${suite}: ${title}`,
    '',
    'Rate and CPU, each as a ratio to the reference of the same run; without a reference, the rate.',
    '',
    `| | ${heads.join(' | ')} |`,
    `|---|${results.map(() => '--:').join('|')}|`,
    ...rows,
    '',
    ...results.flatMap((result) => [
      `- **${result.place}**: ${aboutMachine(result.machine)}; ${result.rounds} rounds, load before ${result.machine.loadBefore}. ` +
        `[Figures](../${FOLDER}/${result.place}/${suite}.md), [chart](../${FOLDER}/${result.place}/${suite}.svg)`,
      ...result.goals.map(({ text }) => `  - ${text.replaceAll('|', '/')}`),
      ...result.skipped.map(({ name, reason }) => `  - ${name} was skipped: ${reason}`)
    ])
  ].join('\n')
}

function pair(one) {
  if (one === undefined) return '–'
  if (one.failed !== undefined) return 'failed'
  const harm = Number(intact(one)) > 0 ? `, ${intact(one)} lost or torn` : ''
  return one.rateRatio === undefined
    ? `${rate(one.rate)}/s${harm}`
    : `${times(one.rateRatio)}, ${times(one.cpuRatio)}${harm}`
}

function nameOf({ name, own }) {
  return own ? `**${name}**` : name
}

function aboutMachine({ cpu, cores, kernel, fileSystem, node, date }) {
  return `${cpu}, ${cores} cores, ${kernel}, ${fileSystem}, Node ${node}, ${date.slice(0, 10)}`
}

function rate(value) {
  return value >= 10_000 ? `${Math.round(value / 1000)} k` : value.toFixed(0)
}

function times(ratio) {
  return ratio === undefined ? '–' : `${ratio.toFixed(2)}×`
}

function intact({ lost, duplicated, torn }) {
  if (lost === undefined) return '–'
  return String(lost + (duplicated ?? 0) + torn)
}

function size({ largestBytes, maxBytes }) {
  if (largestBytes === undefined || maxBytes === undefined) return '–'
  return largestBytes <= maxBytes ? 'within limit' : `${(largestBytes / maxBytes).toFixed(2)}× the limit`
}
