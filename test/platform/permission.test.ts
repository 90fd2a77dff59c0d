// Node's permission model: files are written, rotated and synced with the flags that docs/platforms.md names, and what
// cannot be had without them is said once.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { built } from '../helpers/script.ts'
import { isLong } from '../helpers/sized.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const hasAddon = native.backend === 'addon'

const program = `
import { createInterface } from 'node:readline'
import { sinks } from ${built('core/registry.js')}
const [folder, lock] = process.argv.slice(2)
process.umask(0o077)
const durability = lock === 'true' ? 'disk' : 'os'
const each = {
  'rotating-file': { path: folder + '/rotating/app.log', maxBytes: 1000, mode: 0o644, durability, lock: lock === 'true' },
  'binary-file': { path: folder + '/binary/app.log', maxBytes: 1000, mode: 0o644, durability, lock: lock === 'true' },
  'direct-file': { path: folder + '/direct/app.log', maxBytes: 131072, bufferSize: 65536, numShards: 1, mode: 0o644 },
  spool: { path: folder + '/spool', size: 1000, mode: 0o444, durability },
  wal: { walDir: folder + '/wal/wal', segmentBytes: 4096, durability },
  'event-files': { dir: folder + '/events', output: 'rotating-file', maxBytes: 1000, mode: 0o644, durability, lock: lock === 'true' }
}
if (lock !== 'true') delete each['direct-file']
const result = {}
for (const [kind, options] of Object.entries(each)) {
  const said = []
  const sink = sinks[kind].create({ ...options, fallback: false })
  sink.on('degraded', ({ code, message }) => said.push('degraded ' + code + ' ' + message))
  sink.on('warning', ({ code, message }) => said.push('warning ' + code + ' ' + message))
  sink.on('error', (error) => said.push('error ' + error.message))
  for (let i = 0; i < 40; i++) {
    sink.write(JSON.stringify({ event: 'orders', i, text: 'x'.repeat(kind === 'direct-file' ? 8000 : 100) }) + '\\n')
    if (i % 5 === 4) await sink.flush(durability)
  }
  await sink.close()
  result[kind] = { said, dropped: sink.stats().dropped }
}
console.log(JSON.stringify(result))
`

interface Found {
  said: string[]
  dropped: number
}

function runWith(node: readonly string[], allowed: readonly string[], lock: boolean, folder: string) {
  const script = join(folder, 'program.mjs')
  writeFileSync(script, program)
  const run = spawnSync(
    node[0],
    [...node.slice(1), '--no-warnings', ...allowed, script, folder, String(lock)],
    {
      encoding: 'utf8',
      timeout: 60_000
    }
  )
  expect(run.stderr).toBe('')
  return JSON.parse(run.stdout) as Record<string, Found>
}

const current = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

/** How to start a version of Node, and its flag. */
const versions: [string, string[], string][] = [
  [process.version, [process.execPath], current],
  ...(isLong
    ? ['20.19.0', '22', '24', '26'].map((version): [string, string[], string] => [
        `Node ${version}`,
        ['npx', '-y', '-p', `node@${version}`, 'node'],
        version.startsWith('20') ? '--experimental-permission' : '--permission'
      ])
    : [])
]

describe.each(versions)('%s', (_, node, flag) => {
  const granted = (folder: string): string[] => [
    flag,
    `--allow-fs-read=${root}*`,
    `--allow-fs-read=${folder}/*`,
    '--allow-fs-read=/proc/self/maps',
    `--allow-fs-write=${folder}/*`,
    '--allow-worker'
  ]

  test.skipIf(!hasAddon)('with --allow-addons every kind writes, rotates and syncs, and is silent', () => {
    const folder = createFolder()
    const found = runWith(node, [...granted(folder), '--allow-addons'], true, folder)
    expect(Object.keys(found)).toHaveLength(6)
    for (const [kind, { said, dropped }] of Object.entries(found)) {
      expect([kind, said, dropped]).toEqual([kind, [], 0])
    }
    for (const [path, mode] of [
      ['rotating', 0o644],
      ['binary', 0o644],
      ['direct', 0o644],
      ['spool', 0o444],
      ['events', 0o644]
    ] as const) {
      const names = readdirSync(join(folder, path)).filter((name) => !name.startsWith('.'))
      const modes = names
        .map((name) => statSync(join(folder, path, name)))
        .filter((stat) => stat.isFile())
        .map((stat) => stat.mode & 0o777)
      expect([path, modes.length > 1, new Set(modes)]).toEqual([path, true, new Set([mode])])
    }
  })

  test('without it nothing is degraded, and a mode that cannot be given is said once', () => {
    const folder = createFolder()
    const found = runWith(node, granted(folder), false, folder)
    expect(Object.keys(found)).toHaveLength(5)
    for (const [kind, { said, dropped }] of Object.entries(found)) {
      expect([kind, dropped, said.filter((text) => !text.startsWith('warning '))]).toEqual([kind, 0, []])
      const ofMode = said.filter((text) => text.includes('has mode'))
      expect([kind, ofMode.length]).toEqual([kind, kind === 'wal' ? 0 : 1])
    }
    expect(existsSync(join(folder, 'rotating/app.log'))).toBe(true)
  })
})

test('without --allow-worker what writes in a thread is refused, and the flag named', () => {
  const folder = createFolder()
  const script = join(folder, 'program.mjs')
  writeFileSync(
    script,
    `import { DirectFile, EventFiles, LoggerManager, workerStream } from ${built('index.js')}
    import { RotatingFileTransport, WalTransport } from ${built('transports/winston/index.js')}
    const [folder] = process.argv.slice(2)
    const path = folder + '/app.log'
    for (const make of [() => workerStream('rotating-file', { path }), () => new RotatingFileTransport({ path, lazy: true }),
      () => new WalTransport({ walDir: path }), () => new EventFiles({ dir: folder, lane: { dir: folder } }),
      () => new DirectFile({ path }), () => new LoggerManager({ dir: folder })]) {
      try { make(); console.log('made') } catch (error) { console.log(error.name + ' ' + error.message) }
    }`
  )
  const flags = [current, '--no-warnings', '--allow-addons', '--allow-fs-read=*', '--allow-fs-write=*']
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, script, folder], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout.trim().split('\n')).toHaveLength(6)
  for (const line of stdout.trim().split('\n')) {
    expect(line).toMatch(/^LogboomError .*--allow-worker allows it \[ERR_UNSUPPORTED\]$/)
  }
})

test('where the folder may not be written, or read, file and flag are named', () => {
  const folder = createFolder()
  const script = join(folder, 'program.mjs')
  writeFileSync(
    script,
    `import { RotatingFile } from ${built('index.js')}
    const sink = new RotatingFile({ path: process.argv[2] + '/app.log', fallback: false })
    sink.on('degraded', ({ message }) => { console.log(message); process.exit() })
    sink.write('record')
    setTimeout(() => console.log('not degraded'), 5_000)`
  )
  const told = (...allowed: string[]) =>
    spawnSync(process.execPath, [current, '--no-warnings', '--allow-addons', ...allowed, script, folder], {
      encoding: 'utf8'
    }).stdout
  expect(told('--allow-fs-read=*')).toMatch(/app\.log.* refuses \/.*; the flag --allow-fs-write allows it/)
  const ofPackage = [`--allow-fs-read=${root}*`, `--allow-fs-read=${script}`]
  expect(told(...ofPackage, '--allow-fs-write=*')).toMatch(
    /app\.log.* refuses \/.*; the flag --allow-fs-read allows it/
  )
})
