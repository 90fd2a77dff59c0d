// What a suite found: a table on the terminal, and JSON, markdown and a chart in a folder of this machine's own in
// bench/results/.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { drawChart } from './chart.mjs'
import { compareResults, comparisonText } from './compare.mjs'
import { judgeGoals } from './goals.mjs'
import { nameMachine } from './machine.mjs'
import { versionOf } from './peers.mjs'
import { referenceOf, summarize } from './summary.mjs'
import { header, markdownTable, rowsOf, textTable, withoutEmptyColumns } from './table.mjs'

const resultsFolder = join(dirname(import.meta.dirname), 'results')

/**
 * Prints the results, and how they differ from those of `older`; with `save`, writes them. False when a contender of
 * ours failed or damaged its output.
 */
export function report({ suite, results, skipped, machine, rounds, save, older }) {
  const summary = summarize(suite, results)
  const goals = judgeGoals(suite, summary)
  const reference = referenceOf(suite, summary)?.name
  const rows = withoutEmptyColumns([header(suite, reference), ...rowsOf(suite, summary, goals, reference)])
  const about = `${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, ${machine.fileSystem}, Node ${machine.node}`
  const notes = [
    ...goals.map((goal) => goal.text),
    ...skipped.map(({ name, reason }) => `${name}: skipped, ${reason}`),
    ...summary
      .filter((one) => one.failed !== undefined)
      .map(({ name, failed }) => `${name}: failed, ${failed}`)
  ]
  console.log(
    `\n${suite.title}\n${about}; ${rounds} alternating rounds, medians; load before ${machine.loadBefore}\n`
  )
  console.log(textTable(rows))
  for (const note of notes) console.log(`  ${note}`)
  const document = {
    suite: suite.name,
    title: suite.title,
    machine,
    versions: versions(),
    rounds,
    reference,
    contenders: summary,
    goals,
    skipped
  }
  if (older !== undefined) printComparison(suite, older, document)
  if (save) {
    const folder = join(resultsFolder, nameMachine(machine))
    mkdirSync(folder, { recursive: true })
    const write = (extension, text) => writeFileSync(join(folder, `${suite.name}.${extension}`), text)
    write('json', `${JSON.stringify(document, null, 2)}\n`)
    write('svg', drawChart({ suite, summary, about, reference }))
    write('md', markdown({ suite, rows, notes, about, machine, rounds }))
    console.log(`  saved: bench/results/${nameMachine(machine)}/${suite.name}.json, .md, .svg`)
  }
  console.log()
  return summary.every((one) => !one.own || (one.failed === undefined && one.intact))
}

function printComparison(suite, older, newer) {
  const compared = compareResults(suite, older, newer)
  const [first] = compared
  console.log(
    first === undefined
      ? '  nothing to compare: the two results have no contender in common'
      : `  against the older result, ratios to ${first.reference}, with intervals of 95 %:`
  )
  for (const line of comparisonText(compared)) console.log(`    ${line}`)
}

function markdown({ suite, rows, notes, about, machine, rounds }) {
  const title = `**${suite.title}.** ${about}; ${machine.date.slice(0, 10)}; medians of ${rounds} alternating rounds.`
  return `${[title, '', markdownTable(rows), '', ...notes.map((note) => `- ${note}`)].join('\n')}\n`
}

function versions() {
  const names = [
    'logboom',
    'pino',
    'pino-roll',
    'rotating-file-stream',
    'winston',
    'winston-daily-rotate-file',
    'log4js'
  ]
  return Object.fromEntries(names.map((name) => [name, versionOf(name)]))
}
