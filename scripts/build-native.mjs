// Builds the addon into prebuilds/<platform>-<arch>/logboom.node with the compiler that is there. The Node-API
// headers come from a development dependency, so nothing is downloaded. Where there is no compiler the package
// works with its portable fallback, so that is only a notice; `--require` (CI, releases) makes it an error.
import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
const required = process.argv.includes('--require') || process.env.CI === 'true'
const sources = { linux: 'linux.c' }
const systemSource = sources[process.platform]

function give(reason) {
  console.error(`addon not built: ${reason}; the portable fallback will serve`)
  process.exit(required ? 1 : 0)
}

if (systemSource === undefined) give(`no native part for ${process.platform} yet`)

const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers')
const musl = process.report.getReport().header.glibcVersionRuntime === undefined
const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}${musl ? '-musl' : ''}`)
const output = join(folder, 'logboom.node')
const temporary = `${output}.${process.pid}`
mkdirSync(folder, { recursive: true })

const compiler = process.env.CC ?? 'cc'
const flags = [
  '-std=gnu11',
  '-O3',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-fPIC',
  '-pthread',
  '-shared',
  '-fvisibility=hidden'
]
if (process.arch === 'arm64') flags.push('-march=armv8-a+crc')
const files = [
  'addon.c',
  'checksum.c',
  'framing.c',
  'hashed-write.c',
  'json.c',
  'publish.c',
  'wal-scan.c',
  systemSource
].map((name) => join(root, 'src/native', name))
const build = spawnSync(compiler, [...flags, `-I${headers}`, '-o', temporary, ...files], { stdio: 'inherit' })
if (build.error !== undefined) give(`${compiler}: ${build.error.message}`)
if (build.status !== 0) process.exit(1)
// Renamed into place: a running process keeps the binary it has mapped.
renameSync(temporary, output)
