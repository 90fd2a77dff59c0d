// Joins the sources into the few files of dist/ that are loaded at run time. A module of its own for each of two hundred
// sources would cost an import a quarter of a second, and a descriptor for each file that is read at the same time,
// which a process with a low limit does not have. Entries keep the path of their source; what they share is in chunks.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { rolldown } from 'rolldown'

const root = dirname(import.meta.dirname)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** What the package exports, and its command. */
const published = [...Object.values(manifest.exports), manifest.bin.logboom]
  .map((entry) => (typeof entry === 'string' ? entry : entry.default))
  .filter((file) => file.endsWith('.js'))
  .map((file) => file.replace(/^(\.\/)?dist\//, '').replace(/\.js$/, ''))

/** Threads, and what scripts and child processes of tests load. */
const internal = [
  'base/errors',
  'cli/commands',
  'cli/help',
  'core/direct-file/flusher/flusher-thread',
  'core/lane/internals',
  'core/registry',
  'core/sink/internals',
  'core/spool/spool-lines',
  'core/wal/write-ahead-log',
  'io/disk',
  'native/index',
  'readers/read-records',
  'transports/pool/pool-thread'
]

const names = [...new Set([...published, ...internal])]
const dist = join(root, 'dist')

const bundle = await rolldown({
  input: Object.fromEntries(names.map((name) => [name, join(root, 'src', `${name}.ts`)])),
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/'),
  treeshake: true
})
const { output } = await bundle.write({
  dir: dist,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js'
})
await bundle.close()
// Only now, so that a program that runs meanwhile finds its files.
const written = new Set(output.map(({ fileName }) => fileName))
for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (file.endsWith('.js') && !written.has(file)) rmSync(join(dist, file))
}
