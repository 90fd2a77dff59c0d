// Writes the parts of the docs that come from the code, so that they cannot disagree with it: the option tables
// of docs/<kind>.md and docs/reading.md, docs/errors.md, docs/cli.md, and the README's figures from bench/results. Usage: npm run docs
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errorTable } from '../dist/base/errors.js'
import { commands } from '../dist/cli/commands.js'
import { commandHelp, generalHelp } from '../dist/cli/help.js'
import { sinks } from '../dist/core/registry.js'
import { readOptions } from '../dist/readers/read-records.js'
import { benchTables } from './bench-tables.mjs'

const root = dirname(import.meta.dirname)

function update(file, change) {
  const path = join(root, file)
  const before = existsSync(path) ? readFileSync(path, 'utf8') : ''
  const after = change(before)
  if (after === before) return
  writeFileSync(path, after)
  console.log(`wrote ${file}`)
}

/** Replaces what stands between `<!-- name:start -->` and `<!-- name:end -->`. */
function fill(file, name, content) {
  const [start, end] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`]
  update(file, (text) => {
    const [from, to] = [text.indexOf(start), text.indexOf(end)]
    if (from === -1 || to < from) throw new Error(`${file} has no pair of marks ${start} and ${end}`)
    return `${text.slice(0, from + start.length)}\n\n${content.trim()}\n\n${text.slice(to)}`
  })
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

function optionTable(specs) {
  const rows = Object.entries(specs).map(([name, spec]) => {
    const names = [name, ...(spec.aliases ?? [])].map((each) => `\`${each}\``)
    return `| ${names.join(', also ')} | ${cell(spec.type)} | ${cell(spec.default)} | ${cell(spec.description)} |`
  })
  return ['| option | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n')
}

function cliPage() {
  const sections = commands.map((command) => {
    // The exit codes are the same for all and stand at the top.
    const text = commandHelp(command, []).split('\nExit codes')[0]
    return `## ${command.name}\n\n\`\`\`\n${text.trim()}\n\`\`\`\n`
  })
  return `<!-- Generated from src/cli/ by \`npm run docs\`; do not edit. -->
# The command

\`npx logboom\` in a project that has the package, \`logboom\` where it is installed globally.

\`\`\`
${generalHelp(commands).trim()}
\`\`\`

${sections.join('\n')}`
}

function errorPage() {
  const sections = Object.entries(errorTable)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { what, safe, action }]) => {
      return `## ${code}\n\n**What happened.** ${what}\n\n**Is data safe?** ${safe}\n\n**What to do.** ${action}\n`
    })
  return `<!-- Generated from src/base/errors.ts by \`npm run docs\`; do not edit. -->
# Errors

Every error of the package is a \`LogboomError\` with a \`code\` from this page, the \`path\` it is about, and the
system's error as \`cause\` where there is one. The code also stands at the end of the message, in brackets, because
only the message of an error reaches the application from the thread a transport runs in.

Failing I/O is not thrown: sinks keep the records, try again, and say so by the events \`degraded\` and
\`recovered\`. [faults.md](faults.md) tells what happens when.

${sections.join('\n')}`
}

for (const [kind, { options }] of Object.entries(sinks))
  fill(`docs/${kind}.md`, 'options', optionTable(options))
update('docs/errors.md', errorPage)
fill('docs/reading.md', 'options', optionTable(readOptions))
update('docs/cli.md', cliPage)
fill(
  'README.md',
  'bench',
  benchTables(root) ?? 'No results are committed yet; `npm run bench` measures on your machine.'
)
