// Joins the sources into the few files of dist/ that are loaded at run time. A module of its own for each of two hundred
// sources would cost an import a quarter of a second, and a descriptor for each file that is read at the same time,
// which a process with a low limit does not have. Entries keep the path of their source; what they share is in chunks.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
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
  'cli/help',
  'core/direct-file/flusher/flusher-thread',
  'core/lane/internals',
  'core/registry',
  'core/shared-file/claim',
  'core/sink/internals',
  'core/spool/spool-lines',
  'core/wal/write-ahead-log',
  'io/disk',
  'native/index',
  'readers/read-records',
  'transports/pool/pool-thread',
  'transports/winston/transport-options'
]

const commandName = 'cli/main'
const names = [...new Set([...published, ...internal])]
const dist = join(root, 'dist')

const bundle = await rolldown({
  input: Object.fromEntries(names.map((name) => [name, join(root, 'src', `${name}.ts`)])),
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/'),
  // Only CommonJS knows where a module of it is (src/base/package-root.ts).
  transform: { define: { 'import.meta.url': 'undefined' } },
  treeshake: true
})
// CommonJS is what every loader can load: Jest, hooks on `require`, older embedders. So that is the build, and what
// `import` loads are names for it: one copy of each class, whichever way a program gets it.
const { output } = await bundle.write({
  dir: dist,
  format: 'cjs',
  exports: 'named',
  entryFileNames: '[name].cjs',
  chunkFileNames: 'chunks/[name]-[hash].cjs'
})
await bundle.close()
const written = new Set(output.map(({ fileName }) => fileName))
for (const { isEntry, fileName, name, exports } of output) {
  if (isEntry !== true) continue
  const file = `${name}.js`
  writeFileSync(join(dist, file), moduleOf(fileName, exports))
  written.add(file)
}
for (const file of filesOf('.d.ts')) {
  const name = file.replace(/\.d\.ts$/, '')
  if (!existsSync(join(root, 'src', `${name}.ts`))) {
    rmSync(join(dist, file))
    continue
  }
  const types = commonJsTypes(readFileSync(join(dist, file), 'utf8'))
  writeFileSync(join(dist, `${name}.d.cts`), types)
  written.add(`${name}.d.cts`)
  // One declaration of each class, too.
  if (!names.includes(name)) rmSync(join(dist, file))
  else if (!/^export default /m.test(types))
    writeFileSync(join(dist, file), `export * from './${basename(name)}.cjs'\n`)
  else writeFileSync(join(dist, file), types)
}
// Only now, so that a program that runs meanwhile finds its files.
for (const file of [...filesOf('.js'), ...filesOf('.cjs'), ...filesOf('.d.cts')]) {
  if (!written.has(file)) rmSync(join(dist, file))
}

function filesOf(ending) {
  return readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith(ending))
}

/** An ES module that exports what the CommonJS module `fileName` does. */
function moduleOf(fileName, exports) {
  const shebang = fileName === `${commandName}.cjs` ? '#!/usr/bin/env node\n' : ''
  const from = `'./${basename(fileName)}'`
  if (exports.length === 0) return `${shebang}import ${from}\n`
  const named = exports.filter((each) => each !== 'default')
  const lines = [`import built from ${from}`]
  if (named.length > 0) lines.push(`export const { ${named.join(', ')} } = built`)
  if (named.length < exports.length) lines.push('export default built.default')
  return `${shebang}${lines.join('\n')}\n`
}

/**
 * Declarations as a CommonJS module has them, in words that TypeScript 5.4 knows: typed arrays became generic in 5.7,
 * and without `esModuleInterop` the class that a module is cannot be imported by `default`.
 */
function commonJsTypes(text) {
  return text
    .replace(/(from |import\()(['"])(\.\.?\/[^'"]+)\.ts\2/g, '$1$2$3.cjs$2')
    .replace(/\b(Buffer|Uint8Array|Int32Array|BigInt64Array|Uint32Array)<ArrayBuffer(Like)?>/g, '$1')
    .replace(/^import (\w+) from (['"]winston-transport['"]);?$/gm, 'import $1 = require($2);')
}
