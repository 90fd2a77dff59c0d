// The README's figures: a short table per suite from bench/results/*.json. The full ones, with the range of every
// figure, are in the .md files beside them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Markdown for all suites with a reference, or undefined if no results are there. */
export function benchTables(root) {
  const folder = join(root, 'bench/results')
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []
  const suites = names
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')))
    .filter((suite) => suite.reference !== undefined && suite.reference !== null)
  return suites.length === 0 ? undefined : suites.map(table).join('\n\n')
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
