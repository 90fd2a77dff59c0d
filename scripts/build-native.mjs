// Builds the addon into prebuilds/<platform>-<arch>/logboom.node with the compiler that is there. The Node-API
// headers come from a development dependency, so nothing is downloaded. Where there is no compiler the package
// works with its portable fallback, so that is only a notice; `--require` (CI, releases) makes it an error.
// `--sanitize=address,undefined` builds one that ends the process at its first mistake, into build/sanitized, for tests
// (see test/campaigns/native).
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

const root = dirname(import.meta.dirname)
const { values: given } = parseArgs({
  options: { require: { type: 'boolean', default: false }, sanitize: { type: 'string' } }
})
const required = given.require || given.sanitize !== undefined || process.env.CI === 'true'
/** The files that hold the system calls of each platform; all others are for every platform. */
const systemSources = { linux: 'linux.c' }
const systemSource = systemSources[process.platform]

function give(reason) {
  console.error(`addon not built: ${reason}; the portable fallback will serve`)
  process.exit(required ? 1 : 0)
}

if (systemSource === undefined) give(`no native part for ${process.platform} yet`)

const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers')
const musl = process.report.getReport().header.glibcVersionRuntime === undefined
const target = `${process.platform}-${process.arch}${musl ? '-musl' : ''}`
const folder = join(root, given.sanitize === undefined ? 'prebuilds' : 'build/sanitized', target)
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
const folderOfSources = join(root, 'src/native')
const files = readdirSync(folderOfSources)
  .filter((name) => name.endsWith('.c'))
  .filter((name) => name === systemSource || !Object.values(systemSources).includes(name))
  .map((name) => join(folderOfSources, name))
const build = spawnSync(compiler, [...flags, `-I${headers}`, '-o', temporary, ...files], { stdio: 'inherit' })
if (build.error !== undefined) give(`${compiler}: ${build.error.message}`)
if (build.status !== 0) process.exit(1)
// Renamed into place: a running process keeps the binary it has mapped.
renameSync(temporary, output)
