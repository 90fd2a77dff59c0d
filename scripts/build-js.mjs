// Joins the sources into the few files of dist/ that are loaded at run time. A module of its own for each of two hundred
// sources would cost an import a quarter of a second, and a descriptor for each file that is read at the same time,
// which a process with a low limit does not have. Entries keep the path of their source; what they share is in chunks.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, posix } from 'node:path'
import { rolldown } from 'rolldown'

const root = dirname(import.meta.dirname)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** What the package exports, and its command. */
const published = [
  ...Object.values(manifest.exports).flatMap((entry) => entry.import?.default ?? []),
  manifest.bin.logboom
].map((file) => file.replace(/^(\.\/)?dist\//, '').replace(/\.js$/, ''))

/** Threads, and what scripts and child processes of tests load. */
const internal = [
  'base/errors',
  'cli/commands',
  'cli/completions',
  'cli/help',
  'cli/man-page',
  'core/direct-file/flusher/flusher-thread',
  'core/lane/internals',
  'core/registry',
  'core/shared-file/claim',
  'core/sink/internals',
  'core/spool/spool-lines',
  'core/wal/write-ahead-log',
  'io/disk',
  'native/index',
  'readers/read-options',
  'ship/options',
  'transports/pino/pino-options',
  'transports/pool/pool-thread',
  'transports/winston/transport-options'
]

const commandName = 'cli/main'

/** Parts of Node that its start has loaded before us. Others cost up to 10 ms of CPU, for what most programs never do. */
const earlyBuiltins = ['buffer', 'events', 'fs', 'path', 'url', 'util'].map((name) => `node:${name}`)
const lateDependencies = ['croner', 'thread-stream']

/**
 * Modules of a class or function that is published, and little else: what they work with is loaded when one of them is
 * first used, all of it at once, so that nothing is left to load in the middle of the work. `import` loads only these.
 */
const faces = [
  'core/binary-file/binary-file',
  'core/direct-file/direct-file',
  'core/event-files/event-files',
  'core/event-files/logger-manager',
  'core/rotating-file/rotating-file',
  'core/shared-file/shared-file-sink',
  'core/signals',
  'core/sink/pumped-sink',
  'core/spool/spool',
  'core/wal/wal-consumer',
  'core/wal/write-ahead-log',
  'readers/read-records',
  'ship/folder-shipper',
  'ship/kafka/client',
  'ship/kafka/kafkajs',
  'ship/kafka/platformatic',
  'ship/shipper',
  'ship/target',
  'ship/targets/elasticsearch',
  'ship/targets/jetstream',
  'ship/targets/kafka',
  'ship/targets/loki',
  'ship/targets/otlp',
  'ship/targets/s3',
  'transports/pino/target',
  'transports/winston/index',
  'transports/winston/log-stream',
  'transports/winston/query',
  'transports/winston/sink-transport',
  'transports/worker-stream'
]

/** Of these each import is loaded by itself, when it is first used. */
const lists = ['core/file-kinds', 'core/registry']

const names = [...new Set([...published, ...internal])]
const dist = join(root, 'dist')
/** Where files are CommonJS, as the package.json there says. */
const cjs = join(dist, 'cjs')

const source = (name) => join(root, 'src', `${name}.ts`)
const faceSources = new Set(faces.map(source))
const listSources = new Set(lists.map(source))

/** How rolldown imports from another of its files, and how it speaks of what is there. */
const PART = /^const (require_[\w$]+) = (require\("\.[^"]+"\));\n/gm
const USE = /(?<![\w$])(require_[\w$]+)\./g

const bundle = await rolldown({
  input: Object.fromEntries([...names, ...faces, ...lists].map((name) => [name, source(name)])),
  preserveEntrySignatures: 'allow-extension',
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/'),
  // Only CommonJS knows where a module of it is (src/base/package-root.ts).
  transform: { define: { 'import.meta.url': 'undefined' } },
  treeshake: true,
  plugins: [{ name: 'late', renderChunk: (code, { moduleIds }) => loadLate(code, moduleIds) }]
})
// CommonJS is what every loader can load: Jest, hooks on `require`, older embedders. So that is the build, and what
// `import` loads are names for it: one copy of each class, whichever way a program gets it.
const { output } = await bundle.write({
  dir: cjs,
  format: 'cjs',
  exports: 'named',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
  codeSplitting: {
    includeDependenciesRecursively: false,
    groups: [{ name: faceName, debugName: 'faces', test: (id) => faceSources.has(id) || listSources.has(id) }]
  },
  // They are in the sources; here they would be a quarter of what is read at each start.
  comments: { legal: true, annotation: true, jsdoc: false }
})
await bundle.close()
const written = new Set(output.map(({ fileName }) => `cjs/${fileName}`))
write('cjs/package.json', '{ "type": "commonjs" }\n')
for (const { isEntry, name, exports } of output) {
  if (isEntry === true) write(`${name}.js`, moduleOf(name, exports))
}
for (const file of filesOf('.d.ts').filter((each) => each.startsWith('cjs/'))) {
  const name = file.replace(/^cjs\//, '').replace(/\.d\.ts$/, '')
  if (!existsSync(join(root, 'src', `${name}.ts`))) continue
  const types = commonJsTypes(readFileSync(join(dist, file), 'utf8'))
  write(file, types)
  // One declaration of each class, too.
  if (names.includes(name)) write(`${name}.d.ts`, moduleTypes(name, types))
}
// Only now, so that a program that runs meanwhile finds its files.
for (const file of filesOf('.js', '.cjs', '.d.ts', '.d.cts')) {
  if (!written.has(file)) rmSync(join(dist, file))
}

function write(file, text) {
  mkdirSync(dirname(join(dist, file)), { recursive: true })
  writeFileSync(join(dist, file), text)
  written.add(file)
}

function filesOf(...endings) {
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' })
  return files.filter((file) => endings.some((ending) => file.endsWith(ending)))
}

/** Faces of shipping are few lines each. */
function faceName(id) {
  return id.startsWith(join(root, 'src/ship/')) ? 'ship-faces' : `${basename(id, '.ts')}-face`
}

function loadLate(code, moduleIds) {
  const are = (sources) => moduleIds.length > 0 && moduleIds.every((id) => sources.has(id))
  // No source is imported for what its evaluation does (`sideEffects` of package.json).
  const own = code.replace(/^require\("\.[^"]+"\);\n/gm, '')
  if (are(listSources)) return own.replace(PART, (_, name, load) => late(name, load)).replace(USE, '$1.late.')
  return loadBuiltinsLate(are(faceSources) ? loadPartsLate(own) : own)
}

/** `code` of a face with all that it imports loaded at the first use of any, but for what its classes extend. */
function loadPartsLate(code) {
  const parts = new Map()
  const kept = code.replace(PART, (line, name, load) => {
    if (code.includes(`extends ${name}.`) || name === 'require_rolldown_runtime') return line
    parts.set(name, load)
    return ''
  })
  const list = [...parts].map(([name, load]) => `${name}: ${load}`).join(', ')
  const uses = kept.replace(USE, (use, name) => {
    return parts.has(name) ? `parts$.late.${use}` : use
  })
  return `${late('parts$', `{ ${list} }`)}${uses}`
}

/**
 * `code` with parts of Node, and some dependencies, loaded when they are first used. Those of Node by `process`, because
 * that works for ever, in whatever state the process is: a test runner refuses a late `require`.
 */
function loadBuiltinsLate(code) {
  let text = code
  for (const [line, name, id] of code.matchAll(/^let (\w+) = require\("([^"]+)"\);\n/gm)) {
    const isOfNode = id.startsWith('node:')
    if (isOfNode ? earlyBuiltins.includes(id) : !lateDependencies.includes(id)) continue
    const interop = new RegExp(`^${name} = (\\w+\\.__toESM)\\(${name}, 1\\);\n`, 'm').exec(text)
    const own = isOfNode ? `process.getBuiltinModule("${id}")` : `require("${id}")`
    const loaded = interop === null || isOfNode ? own : `${interop[1]}(${own}, 1)`
    const at = text.indexOf(line)
    const rest = text.slice(at + line.length).replace(interop?.[0] ?? '', '')
    // What is imported by `default` is the part of Node itself, too.
    const use = new RegExp(`\\b${name}\\b(?!\\$)${isOfNode ? '(\\.default\\b)?' : ''}`, 'g')
    text = `${text.slice(0, at)}${late(name, loaded)}${rest.replace(use, `${name}.late`)}`
  }
  return text
}

/** Declares `name` so that `name.late` is what `expression` gives, evaluated at the first use. */
function late(name, expression) {
  return `const ${name} = { get late() { return Object.defineProperty(this, "late", { value: ${expression} }).late; } };\n`
}

/** The CommonJS module `name`, seen from the ES module of that name. */
function commonJsOf(name) {
  return `${'../'.repeat(name.split('/').length - 1) || './'}cjs/${name}.js`
}

/** An ES module that exports what the CommonJS module `name` does. */
function moduleOf(name, exports) {
  const shebang = name === commandName ? '#!/usr/bin/env node\n' : ''
  const from = `'${commonJsOf(name)}'`
  if (exports.length === 0) return `${shebang}import ${from}\n`
  const named = exports.filter((each) => each !== 'default')
  const lines = [`import built from ${from}`]
  if (named.length > 0) lines.push(`export const { ${named.join(', ')} } = built`)
  if (named.length < exports.length) lines.push('export default built.default')
  return `${shebang}${lines.join('\n')}\n`
}

/** Its declarations. What is exported by `default` is said anew: it is a property of what CommonJS exports. */
function moduleTypes(name, types) {
  if (!/^export default /m.test(types)) return `export * from '${commonJsOf(name)}'\n`
  return types.replace(/(import\(|from )(['"])(\.\.?\/[^'"]+)\.js\2/g, (_, word, quote, path) => {
    return `${word}${quote}${commonJsFrom(name, path)}${quote}`
  })
}

function commonJsFrom(name, path) {
  return `${'../'.repeat(name.split('/').length - 1)}cjs/${posix.join(dirname(name), path)}.js`
}

/**
 * Declarations as a CommonJS module has them, in words that TypeScript 5.4 knows: typed arrays became generic in 5.7,
 * and without `esModuleInterop` the class that a module is cannot be imported by `default`.
 */
function commonJsTypes(text) {
  return text
    .replace(/(from |import\()(['"])(\.\.?\/[^'"]+)\.ts\2/g, '$1$2$3.js$2')
    .replace(/\b(Buffer|Uint8Array|Int32Array|BigInt64Array|Uint32Array)<ArrayBuffer(Like)?>/g, '$1')
    .replace(/^import (type )?(\w+) from (['"]winston-transport['"]);?$/gm, 'import $1$2 = require($3);')
}
