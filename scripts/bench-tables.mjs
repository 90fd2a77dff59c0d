// The README's figures: a short table per suite from bench/results/*.json. The full ones, with the range of every
// figure, are in the .md files beside them.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The others are in bench/results, which the README points to. */
const SHOWN = ['pino', 'winston', 'multiprocess']

/** Markdown for the suites the README shows, or undefined if no results are there. */
export function benchTables(root) {
  const folder = join(root, 'bench/results')
  const suites = SHOWN.map((name) => join(folder, `${name}.json`))
    .filter((path) => existsSync(path))
    .map((path) => JSON.parse(readFileSync(path, 'utf8')))
  if (suites.length === 0) return undefined
  return `${suites.map(table).join('\n\n')}\n\nThe other suites, with the goals that are not reached yet: [bench/results](bench/results).`
}

function table({ suite, title, machine, rounds, reference, contenders }) {
  const rows = contenders
    .filter((one) => one.failed === undefined)
    .map((one) => {
      const name = one.own ? `**${one.name}**` : one.name
      const cells = [name, rate(one.rate), times(one.rateRatio), times(one.cpuRatio), intact(one), size(one)]
      return `| ${cells.join(' | ')} |`
    })
  return [
    `**${title}** (reference: ${reference})`,
    '',
    '| | per second | vs reference | CPU vs reference | lost or torn | largest file |',
    '|---|--:|--:|--:|--:|--:|',
    ...rows,
    '',
    `<sub>${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, ${machine.fileSystem}, Node ${machine.node}, ` +
      `${machine.date.slice(0, 10)}; medians of ${rounds} alternating rounds. ` +
      `[All figures](bench/results/${suite}.md), [chart](bench/results/${suite}.svg)</sub>`
  ].join('\n')
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
