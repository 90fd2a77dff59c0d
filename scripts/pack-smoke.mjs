// Packs the package, installs the tarball in an empty folder with scripts disabled, and uses it from there the
// ways an application does: import, require, pino target, winston transport, command, TypeScript types.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const { files: binaries } = JSON.parse(readFileSync(join(root, 'scripts/prebuilds.json'), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'logboom-pack-'))
const application = join(folder, 'application')

function run(command, args, cwd) {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', timeout: 120_000 })
  } catch (error) {
    console.error(`${command} ${args.join(' ')}\n${error.stdout ?? ''}${error.stderr ?? ''}`)
    throw error
  }
}

const allowed = [
  /^dist\/(.+\.(js|d\.ts)|cjs\/package\.json)$/,
  /^prebuilds\/[a-z0-9]+-[a-z0-9]+(-musl)?\/logboom\.node$/,
  /^docs\/.+\.(md|svg|png)$/,
  /^docs\/monitoring\/.+\.(yml|json)$/,
  /^(completions\/_?logboom(\.bash|\.fish)?|man\/logboom\.1)$/,
  /^bench\/results\/.+\.(md|svg)$/,
  /^examples\/.+\.[cm]js$/,
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md)$/
]

function pack() {
  const [result] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root)
  )
  const files = result.files.map((file) => file.path)
  const unexpected = files.filter((file) => !allowed.some((pattern) => pattern.test(file)))
  assert.deepEqual(unexpected, [], 'the tarball has files that are not meant to be in it')
  for (const file of files.filter(
    (name) => name.startsWith('dist/') && !/^dist\/cjs\/(chunks\/|package\.json$)/.test(name)
  )) {
    const source = file.replace(/^dist\/(cjs\/)?/, 'src/').replace(/(\.d\.ts|\.js)$/, '.ts')
    assert.ok(
      existsSync(join(root, source)),
      `${file} is left over from an earlier build: remove dist and build again`
    )
  }
  const needed = [
    ...filesOf(manifest.exports),
    ...Object.values(manifest.bin),
    ...Object.keys(binaries).map((target) => `prebuilds/${target}/logboom.node`),
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'SECURITY.md',
    'docs/README.md'
  ]
  for (const file of needed) assert.ok(files.includes(file), `${file} is missing in the tarball`)
  return { tarball: join(folder, result.filename), count: files.length, bytes: result.size }
}

/** The files that `exports` names, whatever the conditions. */
function filesOf(entry) {
  return typeof entry === 'string' ? [entry.replace(/^\.\//, '')] : Object.values(entry).flatMap(filesOf)
}

function checkManifest() {
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
    assert.equal(manifest.scripts[script], undefined, `script ${script} would run at installation`)
  }
  assert.ok(!existsSync(join(root, 'binding.gyp')), 'npm would invent an install script for binding.gyp')
  for (const [name, entry] of Object.entries(manifest.exports)) {
    if (typeof entry === 'string') continue
    assert.deepEqual(Object.keys(entry), ['import', 'require', 'default'], name)
  }
}

function install(tarball) {
  mkdirSync(application)
  writeFileSync(join(application, 'package.json'), '{ "name": "application", "private": true }')
  const hosts = ['pino', 'winston'].map((name) => `${name}@${manifest.devDependencies[name]}`)
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', tarball, ...hosts], application)
}

const classUse = `
async function main () {
  const file = new RotatingFile({ path: 'class.log', maxBytes: 16000 })
  for (let i = 0; i < 1000; i++) file.write(JSON.stringify({ i, text: 'from the class' }) + '\\n')
  await file.close()
  assert.throws(() => new RotatingFile({ path: 'class.log', maxByte: 1 }),
    (error) => error instanceof LogboomError && error.code === 'ERR_OPTION')
  const addon = process.report.getReport().sharedObjects.find((name) => name.endsWith('logboom.node'))
  assert.ok(addon?.startsWith(process.argv[2]), 'the addon of the tarball is not loaded')
}
main()`

const pinoUse = `
const logger = pino({ transport: { target: 'logboom/rotating-file', options: { path: 'pino.log', maxBytes: 16000 } } })
for (let i = 0; i < 1000; i++) logger.info({ i }, 'from pino')`

const winstonUse = `
const transport = new RotatingFileTransport({ path: 'winston.log', maxBytes: 16000 })
const logger = winston.createLogger({ transports: [transport] })
for (let i = 0; i < 1000; i++) logger.info('from winston', { i })
logger.end()`

const programs = {
  'class.mjs': `import assert from 'node:assert/strict'
import { LogboomError, RotatingFile } from 'logboom'${classUse}`,
  'class.cjs': `const assert = require('node:assert/strict')
const { LogboomError, RotatingFile } = require('logboom')${classUse}`,
  'pino.mjs': `import pino from 'pino'${pinoUse}`,
  'pino.cjs': `const pino = require('pino')${pinoUse}`,
  'winston.mjs': `import winston from 'winston'
import { RotatingFileTransport } from 'logboom/winston'${winstonUse}`,
  'winston.cjs': `const winston = require('winston')
const { RotatingFileTransport } = require('logboom/winston')${winstonUse}`
}

/** Runs a program that lies beside node_modules, like an application; what it writes goes to a folder of its own. */
function useFrom(program) {
  const cwd = join(folder, program.replace('.', '-'))
  mkdirSync(cwd)
  writeFileSync(join(application, program), programs[program])
  run(
    process.execPath,
    [join(application, program), join(realpathSync(application), 'node_modules/logboom/')],
    cwd
  )
  const files = readdirSync(cwd).filter((name) => !name.startsWith('.'))
  assert.ok(files.length > 1, 'no rotation')
  const lines = files.flatMap((name) => {
    const text = readFileSync(join(cwd, name), 'utf8')
    assert.ok(text.length <= 16_000, `${name} is over the limit`)
    return text.trimEnd().split('\n')
  })
  const ids = lines.map((line) => JSON.parse(line).i).sort((a, b) => a - b)
  assert.deepEqual(
    ids,
    Array.from({ length: 1000 }, (_, i) => i)
  )
}

function useCommand() {
  const command = join(application, 'node_modules/.bin/logboom')
  assert.ok(run(command, ['--version'], application).includes(manifest.version))
  const log = join(folder, 'pino-mjs/pino.log')
  assert.ok(run(command, ['cat', log], application).endsWith(readFileSync(log, 'utf8')))
}

const consumer = `
import { LogboomError, RotatingFile, type RotatingFileOptions, target } from 'logboom'
import { RotatingFileTransport } from 'logboom/winston'
import { pino } from 'pino'
import winston from 'winston'

const options: RotatingFileOptions = { path: 'app.log', maxBytes: '10m', maxBackups: 5, durability: 'disk' }
const file = new RotatingFile(options)
const accepted: boolean = file.write('line\\n')
export const done: Promise<void> = file.flush('disk').then(() => file.close())
export const records: number = file.stats().records
export const first = pino({ transport: target('rotating-file', options) })
export const second = winston.createLogger({ transports: [new RotatingFileTransport(options)] })
export const isOurs = (error: unknown) => error instanceof LogboomError && error.code === 'ERR_IO' && accepted
// @ts-expect-error an option that does not exist
new RotatingFile({ path: 'app.log', maxByte: 1 })
// @ts-expect-error a value that does not exist
target('rotating-file', { path: 'app.log', durability: 'disc' })
`

function compileTypes() {
  writeFileSync(join(application, 'consumer.mts'), consumer)
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')]
  }
  writeFileSync(
    join(application, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['consumer.mts'] })
  )
  run(join(root, 'node_modules/.bin/tsc'), ['-p', application], application)
}

const targetOptions = {
  'rotating-file': { path: 'rotating/app.log' },
  'direct-file': { path: 'direct/app.log' },
  'event-files': { dir: 'events' },
  'binary-file': { path: 'binary/app.bin', maxBytes: '1m' },
  spool: { path: 'spool' },
  wal: { walDir: 'log/wal' }
}

/** Every pino target of the tarball writes, and `readRecords` reads it back. */
function useTargets() {
  const targets = Object.keys(manifest.exports).filter((name) => !/^\.$|winston|metrics|json/.test(name))
  assert.deepEqual(targets.map((name) => name.slice(2)).sort(), Object.keys(targetOptions).sort())
  const cwd = join(folder, 'targets')
  mkdirSync(cwd)
  const write = `import pino from 'pino'
for (const [kind, options] of Object.entries(${JSON.stringify(targetOptions)})) {
  const logger = pino({ transport: { target: 'logboom/' + kind, options } })
  for (let i = 0; i < 10; i++) logger.info({ kind, i })
}`
  const read = `import { readRecords } from 'logboom'
for (const [kind, options] of Object.entries(${JSON.stringify(targetOptions)})) {
  const ids = []
  for await (const { data } of readRecords(Object.values(options)[0])) ids.push(JSON.parse(data).i)
  if (ids.sort().join('') !== '0123456789') throw new Error(kind + ': ' + ids)
}`
  for (const [name, code] of Object.entries({ 'write.mjs': write, 'read.mjs': read })) {
    writeFileSync(join(application, name), code)
    run(process.execPath, [join(application, name)], cwd)
  }
}

function step(name, action) {
  action()
  console.log(`ok  ${name}`)
}

try {
  checkManifest()
  const { tarball, count, bytes } = pack()
  console.log(`ok  tarball: ${count} files, ${(bytes / 1024).toFixed(0)} KiB`)
  step('installs with scripts disabled', () => install(tarball))
  for (const program of Object.keys(programs)) step(program, () => useFrom(program))
  step('all pino targets', useTargets)
  step('command', useCommand)
  step('types', compileTypes)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
