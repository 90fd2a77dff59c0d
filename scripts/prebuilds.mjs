// Builds the addon for every platform the package brings it for, on one machine, with one pinned compiler:
//   npm run prebuilds                what is not made from the present sources
//   npm run prebuilds -- --force     everything
//   npm run prebuilds -- --check     builds nothing, and fails if a binary is missing, not made from the present
//                                    sources or not what it must be
//   npm run prebuilds -- --compare   builds everything elsewhere and fails if a byte differs from what is there
// The compiler is zig, which brings the headers and libraries of all targets; it is installed as a Python package below
// node_modules/.cache. (`prebuild` would be npm's name for what runs before `build`.)
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { checkBinary } from './check-binary.mjs'
import { allSources, folderOfSources, sourcesFor } from './native-sources.mjs'

const root = dirname(import.meta.dirname)
const prebuilds = join(root, 'prebuilds')
const manifestPath = join(import.meta.dirname, 'prebuilds.json')
const ZIG = '0.17.1'
/** Two of libuv beside Node-API: descriptors on Windows are numbers of Node's own C library. */
const LIBUV_CALLS = ['uv_get_osfhandle', 'uv_fs_close']

const COMMON = [
  '-std=gnu11',
  '-O3',
  '-g0',
  '-s',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-shared',
  '-fPIC',
  '-fvisibility=hidden'
]
// Every arm64 processor that Node runs on has the checksum instruction.
const ARM64 = ['-mcpu=generic+crc']
// The name in the file must not be that of the folder it was built in.
const DARWIN = ['-undefined', 'dynamic_lookup', '-Wl,-install_name,@rpath/logboom.node']
const targets = {
  'linux-x64': { zig: 'x86_64-linux-gnu.2.17', flags: ['-pthread'] },
  'linux-x64-musl': { zig: 'x86_64-linux-musl', flags: ['-pthread'] },
  'linux-arm64': { zig: 'aarch64-linux-gnu.2.17', flags: ['-pthread', ...ARM64] },
  'linux-arm64-musl': { zig: 'aarch64-linux-musl', flags: ['-pthread', ...ARM64] },
  'darwin-x64': { zig: 'x86_64-macos.10.15', flags: DARWIN },
  'darwin-arm64': { zig: 'aarch64-macos.11.0', flags: [...DARWIN, ...ARM64] },
  'win32-x64': { zig: 'x86_64-windows-gnu', flags: [], machine: 'i386:x86-64' },
  'win32-arm64': { zig: 'aarch64-windows-gnu', flags: ARM64, machine: 'arm64' }
}

const { values: given } = parseArgs({
  options: { force: { type: 'boolean' }, check: { type: 'boolean' }, compare: { type: 'boolean' } }
})
const headers = createRequire(import.meta.url)('node-api-headers')
const recipe = sha256(
  JSON.stringify([ZIG, COMMON, LIBUV_CALLS, targets]),
  ...[...allSources(), ...headerFiles(), ...Object.values(headers.def_paths)].map((file) => [
    basename(file),
    readFileSync(file)
  ])
)

if (given.check) check()
else if (given.compare) compare()
else build()

function build() {
  const made = readManifest()
  const isCurrent = (target) =>
    !given.force && made.recipe === recipe && made.files[target] === hashOf(fileOf(prebuilds, target))
  const wanted = Object.keys(targets).filter((target) => !isCurrent(target))
  if (wanted.length > 0) buildInto(prebuilds, wanted)
  const files = Object.fromEntries(
    Object.keys(targets).map((target) => [target, hashOf(fileOf(prebuilds, target))])
  )
  writeFileSync(manifestPath, `${JSON.stringify({ zig: ZIG, recipe, files }, null, 2)}\n`)
  check()
}

function check() {
  const made = readManifest()
  const faults = Object.keys(targets).flatMap((target) => {
    const file = fileOf(prebuilds, target)
    if (!existsSync(file)) return [`${relative(root, file)} is missing`]
    const wrong = made.files[target] === hashOf(file) ? [] : ['is not the one that was built']
    return [...wrong, ...checkBinary(target, readFileSync(file))].map(
      (fault) => `${relative(root, file)} ${fault}`
    )
  })
  if (made.recipe !== recipe)
    faults.unshift('prebuilds/ is not made from the present sources: npm run prebuilds')
  end(
    faults,
    `${Object.keys(targets).length} binaries are made from the present sources and are what they must be`
  )
}

function compare() {
  const folder = mkdtempSync(join(tmpdir(), 'logboom-prebuilds-'))
  try {
    buildInto(folder, Object.keys(targets))
    const faults = Object.keys(targets)
      .filter((target) => hashOf(fileOf(folder, target)) !== hashOf(fileOf(prebuilds, target)))
      .map((target) => `${target}: a second build differs`)
    end(faults, 'a second build gives the same bytes')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function end(faults, success) {
  for (const fault of faults) console.error(fault)
  if (faults.length === 0) console.log(success)
  process.exitCode = faults.length === 0 ? 0 : 1
}

function buildInto(folder, names) {
  const zig = compiler()
  for (const name of names) {
    const start = performance.now()
    const output = fileOf(folder, name)
    mkdirSync(dirname(output), { recursive: true })
    const scratch = mkdtempSync(join(tmpdir(), 'logboom-prebuild-'))
    try {
      compile(zig, name, scratch)
      // Renamed into place where that is possible: a running process keeps the binary it has mapped.
      writeFileSync(`${output}.new`, readFileSync(join(scratch, 'logboom.node')))
      renameSync(`${output}.new`, output)
    } finally {
      rmSync(scratch, { recursive: true })
    }
    console.log(`${name}: ${readFileSync(output).length} bytes, ${Math.round(performance.now() - start)} ms`)
  }
}

function compile(zig, name, scratch) {
  const { zig: target, flags, machine } = targets[name]
  const sources = sourcesFor(name.split('-')[0]).map((file) => basename(file))
  const libraries = machine === undefined ? [] : [importLibrary(zig, machine, scratch)]
  const output = join(scratch, 'logboom.node')
  const include = `-I${relative(folderOfSources, headers.include_dir)}`
  // Relative names, so that where the project lies leaves no trace.
  zig(['cc', '-target', target, ...COMMON, ...flags, include, '-o', output, ...sources, ...libraries])
}

/** What tells the linker that node.exe has the functions that are not in the addon. */
function importLibrary(zig, machine, scratch) {
  const names = Object.values(headers.def_paths).flatMap((file) =>
    readFileSync(file, 'utf8')
      .split(/\r?\n/)
      .filter((line) => /^napi_|^node_api_/.test(line))
  )
  const definition = join(scratch, 'node.def')
  const library = join(scratch, 'node.lib')
  writeFileSync(
    definition,
    `NAME node.exe\nEXPORTS\n${[...new Set([...names, ...LIBUV_CALLS])].join('\n')}\n`
  )
  zig(['dlltool', '-m', machine, '-d', definition, '-l', library, '-D', 'node.exe'])
  return library
}

/** Runs zig of the pinned version, which is installed where it is missing. */
function compiler() {
  const python = process.env.PYTHON ?? 'python3'
  const packages = join(root, `node_modules/.cache/ziglang-${ZIG}`)
  if (!existsSync(packages)) {
    const unfinished = `${packages}.${process.pid}`
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-deps']
    execFileSync(python, [...pip, '--target', unfinished, `ziglang==${ZIG}`], { stdio: 'inherit' })
    renameSync(unfinished, packages)
  }
  const env = { ...process.env, PYTHONPATH: packages, SOURCE_DATE_EPOCH: '0' }
  return (args) =>
    execFileSync(python, ['-m', 'ziglang', ...args], { cwd: folderOfSources, env, stdio: 'inherit' })
}

function readManifest() {
  return existsSync(manifestPath) ? JSON.parse(readFileSync(manifestPath, 'utf8')) : { files: {} }
}

function headerFiles() {
  return readdirSync(headers.include_dir)
    .sort()
    .map((name) => join(headers.include_dir, name))
}

function fileOf(folder, target) {
  return join(folder, target, 'logboom.node')
}

function hashOf(file) {
  return existsSync(file) ? sha256(['', readFileSync(file)]) : undefined
}

function sha256(...parts) {
  const hash = createHash('sha256')
  for (const part of parts.flat()) hash.update(part).update('\0')
  return hash.digest('hex')
}
