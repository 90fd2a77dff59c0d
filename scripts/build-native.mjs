// Builds the addon for this machine, with the compiler that is there, into build/native/<platform>-<arch>/logboom.node,
// which is preferred to what prebuilds/ has. The Node-API headers come from a development dependency, so nothing is
// downloaded. Where there is no compiler prebuilds/ or the portable fallback serves, so that is only a notice;
// `--require` (CI, releases) makes it an error.
// `--sanitize=address,undefined` builds one that ends the process at its first mistake, into build/sanitized, for tests
// (see test/campaigns/native). `--syntax` builds nothing and looks whether another compiler ($CC) takes the sources.
import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { sourcesFor } from './native-sources.mjs'

const root = dirname(import.meta.dirname)
const { values: given } = parseArgs({
  options: {
    require: { type: 'boolean', default: false },
    sanitize: { type: 'string' },
    syntax: { type: 'boolean' }
  }
})
const required = given.require || given.sanitize !== undefined || process.env.CI === 'true'
function give(reason) {
  console.error(`addon not built: ${reason}; what is in prebuilds/, or the portable fallback, will serve`)
  process.exit(required ? 1 : 0)
}

// Its compilers know neither these flags nor Node's library; prebuilds.mjs has what it takes.
if (process.platform === 'win32') give('not on Windows')

const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers')
const header = process.report.getReport().header
const musl = process.platform === 'linux' && header.glibcVersionRuntime === undefined
const target = `${process.platform}-${process.arch}${musl ? '-musl' : ''}`
const folder = join(root, 'build', given.sanitize === undefined ? 'native' : 'sanitized', target)
const output = join(folder, 'logboom.node')
const temporary = `${output}.${process.pid}`
mkdirSync(folder, { recursive: true })

const compiler = process.env.CC ?? 'cc'
const flags = [
  '-std=gnu11',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-fPIC',
  '-pthread',
  '-shared',
  '-fvisibility=hidden'
]
if (process.platform === 'darwin') flags.push('-undefined', 'dynamic_lookup')
if (process.arch === 'arm64') flags.push('-march=armv8-a+crc')
if (given.sanitize === undefined) flags.push('-O3')
else
  flags.push(
    '-O1',
    '-g',
    '-fno-omit-frame-pointer',
    `-fsanitize=${given.sanitize}`,
    '-fno-sanitize-recover=all'
  )
const files = sourcesFor(process.platform)
if (given.syntax) flags.push('-fsyntax-only')
const build = spawnSync(compiler, [...flags, `-I${headers}`, '-o', temporary, ...files], { stdio: 'inherit' })
if (build.error !== undefined) give(`${compiler}: ${build.error.message}`)
if (build.status !== 0) process.exit(1)
if (given.syntax) process.exit(0)
// Renamed into place: a running process keeps the binary it has mapped.
renameSync(temporary, output)
