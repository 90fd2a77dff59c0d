// Writes what comes from the code, so that it cannot disagree with it: the option tables of docs/<kind>.md and
// docs/reading.md, docs/shipping.md, docs/errors.md, docs/cli.md, docs/operators.md, docs/reliability.md, completions/, man/, the README's
// figures; and from the registry of sinks their pino targets, winston transports and package exports. Usage: npm run docs
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errorTable } from '../dist/base/errors.js'
import { commands } from '../dist/cli/commands.js'
import { bashCompletion, fishCompletion, zshCompletion } from '../dist/cli/completions.js'
import { commandHelp, generalHelp } from '../dist/cli/help.js'
import { manPage } from '../dist/cli/man-page.js'
import { sinks } from '../dist/core/registry.js'
import { readOptions } from '../dist/readers/read-options.js'
import { shipperOptions } from '../dist/ship/options.js'
import { pinoOptions } from '../dist/transports/pino/pino-options.js'
import { transportOptions } from '../dist/transports/winston/transport-options.js'
import { benchTables, machineTables } from './bench-tables.mjs'
import { operatorExamples } from './operator-page.mjs'
import { peerTable, promiseTable, safeguardTable } from './reliability.mjs'

const root = dirname(import.meta.dirname)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

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

function pinoTarget({ kind }) {
  const name = kind.replace(/-(.)/g, (_, letter) => letter.toUpperCase())
  return `// Generated from the registry of sinks by \`npm run docs\`: pino target \`logboom/${kind}\`, also the worker of our own
// transports.
import { ${name} } from '../../core/${kind}/kind.ts'
import { createTarget } from './create-target.ts'

export default createTarget(${name})
`
}

function takesNoOptions(check) {
  try {
    check({})
    return true
  } catch {
    return false
  }
}

function winstonTransports(kinds) {
  const imports = kinds
    .map(({ kind, check }) => `import { ${check.name} } from '../../core/${kind}/options.ts'`)
    .concat(`import type { KindOptions } from '../../core/registry.ts'`)
    .sort((a, b) => (a.split("'")[1] < b.split("'")[1] ? -1 : 1))
  const classes = kinds.map(({ kind, stem, summary, check }) => {
    const isFree = takesNoOptions(check)
    return `export type ${stem}TransportOptions = KindOptions['${kind}'] & WinstonOptions

/** ${summary} */
export class ${stem}Transport extends SinkTransport<'${kind}'> {
  constructor(options: ${stem}TransportOptions${isFree ? ' = {}' : ''}) {
    super('${kind}', ${check.name}, options)
  }
}
`
  })
  return `// Generated from the registry of sinks by \`npm run docs\`: \`logboom/winston\`, the winston transports.
${imports.join('\n')}
import type { QueryOptions, StreamOptions } from './query-options.ts'
import { SinkTransport } from './sink-transport.ts'
import type { WinstonOptions } from './transport-options.ts'

export type { QueryOptions, StreamOptions, WinstonOptions }

${classes.join('\n')}`
}

function packageExports(text, kinds) {
  const manifest = JSON.parse(text)
  const entry = (file) => ({
    import: { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` },
    // pino resolves its targets by `require.resolve`, and so do most tools.
    require: { types: `./dist/cjs/${file}.d.ts`, default: `./dist/cjs/${file}.js` },
    default: `./dist/cjs/${file}.js`
  })
  // What reads no `exports`: TypeScript with `moduleResolution: node10`, and old bundlers.
  const subpaths = [
    ...kinds.map(({ kind }) => [kind, `transports/pino/${kind}`]),
    ['winston', 'transports/winston/index'],
    ['metrics', 'metrics/index']
  ]
  manifest.main = './dist/cjs/index.js'
  manifest.types = './dist/cjs/index.d.ts'
  manifest.typesVersions = {
    '*': Object.fromEntries(subpaths.map(([name, file]) => [name, [`./dist/cjs/${file}.d.ts`]]))
  }
  manifest.exports = {
    '.': entry('index'),
    ...Object.fromEntries(kinds.map(({ kind }) => [`./${kind}`, entry(`transports/pino/${kind}`)])),
    './winston': entry('transports/winston/index'),
    './metrics': entry('metrics/index'),
    './package.json': './package.json'
  }
  return `${JSON.stringify(manifest, undefined, 2)}\n`
}

const kinds = Object.values(sinks)
for (const kind of kinds) update(`src/transports/pino/${kind.kind}.ts`, () => pinoTarget(kind))
update('src/transports/winston/index.ts', () => winstonTransports(kinds))
update('package.json', (text) => packageExports(text, kinds))

for (const [kind, { options }] of Object.entries(sinks))
  fill(`docs/${kind}.md`, 'options', optionTable(options))
update('docs/errors.md', errorPage)
fill('docs/reading.md', 'options', optionTable(readOptions))
fill('docs/shipping.md', 'options', optionTable(shipperOptions))
fill('docs/pino.md', 'options', optionTable(pinoOptions))
fill('docs/winston.md', 'options', optionTable(transportOptions))
update('docs/cli.md', cliPage)
for (const [name, examples] of Object.entries(await operatorExamples()))
  fill('docs/operators.md', name, examples)
fill('docs/reliability.md', 'promises', promiseTable(root))
fill('docs/reliability.md', 'safeguards', safeguardTable(root))
fill('docs/reliability.md', 'peers', peerTable(root))
update('completions/logboom.bash', () => bashCompletion(commands))
update('completions/_logboom', () => zshCompletion(commands))
update('completions/logboom.fish', () => fishCompletion(commands))
update('man/logboom.1', () => manPage(commands, manifest.version))
fill(
  'README.md',
  'bench',
  benchTables(root) ?? 'No results are committed yet; `npm run bench` measures on your machine.'
)
fill('docs/benchmarks.md', 'results', machineTables(root))
