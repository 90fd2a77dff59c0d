// What a suite found: a table on the terminal, and JSON, markdown and a chart in bench/results/.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { drawChart } from './chart.mjs'
import { judgeGoals } from './goals.mjs'
import { versionOf } from './peers.mjs'
import { summarize } from './summary.mjs'
import { header, markdownTable, rowsOf, textTable } from './table.mjs'

const resultsFolder = join(dirname(import.meta.dirname), 'results')

/** Prints the results and, with `save`, writes them; false when a contender of ours lost, tore or duplicated a line. */
export function report({ suite, results, skipped, machine, rounds, save }) {
  const summary = summarize(suite, results)
  const goals = judgeGoals(suite, summary)
  const rows = rowsOf(suite, summary, goals)
  const about = `${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, ${machine.fileSystem}, Node ${machine.node}`
  const verdicts = goals.map((goal) => goal.text)
  const notes = skipped.map(({ name, reason }) => `${name}: skipped, ${reason}`)
  console.log(
    `\n${suite.title}\n${about}; ${rounds} alternating rounds, medians; load before: ${machine.loadBefore}\n`
  )
  console.log(textTable([header(suite), ...rows]))
  for (const line of [...verdicts, ...notes]) console.log(`  ${line}`)
  if (save) {
    const document = {
      suite: suite.name,
      title: suite.title,
      machine,
      versions: versions(),
      rounds,
      reference: suite.reference,
      contenders: summary,
      goals,
      skipped
    }
    mkdirSync(resultsFolder, { recursive: true })
    const write = (extension, text) => writeFileSync(join(resultsFolder, `${suite.name}.${extension}`), text)
    write('json', `${JSON.stringify(document, null, 2)}\n`)
    write('svg', drawChart(suite, summary, about))
    write('md', markdown({ suite, rows, verdicts, notes, about, machine, rounds }))
    console.log(`  saved: bench/results/${suite.name}.json, .md, .svg`)
  }
  console.log()
  return summary.every((one) => !one.own || (one.failed === undefined && one.intact))
}

function markdown({ suite, rows, verdicts, notes, about, machine, rounds }) {
  const lines = [
    `**${suite.title}.** ${about}; ${machine.date.slice(0, 10)}; medians of ${rounds} alternating rounds.`,
    '',
    markdownTable([header(suite), ...rows]),
    '',
    ...[...verdicts, ...notes].map((line) => `- ${line}`)
  ]
  return `${lines.join('\n')}\n`
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
