// An application beside the project in which the packed package is installed, as its users do it.
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'

const project = join(import.meta.dirname, '../..')
const INSTALL_MS = 300_000
const RUN_MS = 300_000

export interface Application {
  readonly folder: string
  /** What its processes have as their environment. */
  readonly env: Record<string, string>
  write(name: string, text: string): string
  /** Runs a command in the folder. Does not throw. */
  run(command: string, args: string[], env?: Record<string, string>): SpawnSyncReturns<string>
  /** Runs a tool that is installed there; throws with what it said if it fails. */
  tool(name: string, args: string[], env?: Record<string, string>): string
  /** The lines of a file in the folder, none if there is no such file. */
  lines(name: string): string[]
}

let packed: string | undefined

const folders: string[] = []
// Asked for when the file is loaded: what a test asks for does not happen.
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** The package as `npm pack` makes it; once for all tests of a file. */
export function tarball(): string {
  if (packed !== undefined) return packed
  const folder = temporaryFolder('packed')
  const args = ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder]
  execFileSync('npm', args, { cwd: project })
  packed = join(folder, readdirSync(folder)[0])
  return packed
}

/** A folder for an application, empty but for its manifest. It is removed when the tests of the file are done. */
export function empty(type?: 'commonjs' | 'module'): Application {
  const application = inFolder(temporaryFolder('adoption'))
  const manifest = { name: 'application', version: '1.0.0', private: true, type }
  application.write('package.json', JSON.stringify(manifest))
  return application
}

/** Installs the packed package and `packages`, without running scripts. Throws what npm said if it cannot. */
export function installed(packages: string[], type?: 'commonjs' | 'module'): Application {
  const application = empty(type)
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline']
  const args = ['install', ...flags, tarball(), ...packages]
  execFileSync('npm', args, { cwd: application.folder, timeout: INSTALL_MS, stdio: 'pipe' })
  return application
}

function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `logboom-${name}-`))
  folders.push(folder)
  return folder
}

function inFolder(folder: string): Application {
  // Not all of this process's: what vitest sets would be inherited by what is tried here.
  const own: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    HOME: process.env.HOME ?? folder,
    TMPDIR: folder,
    CI: 'true',
    NO_COLOR: '1',
    ...wayOut()
  }
  const run: Application['run'] = (command, args, env = {}) =>
    spawnSync(command, args, {
      cwd: folder,
      encoding: 'utf8',
      timeout: RUN_MS,
      maxBuffer: 1 << 26,
      env: { ...own, ...env }
    })
  return {
    folder,
    env: own,
    run,
    write(name, text) {
      const file = join(folder, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
      return file
    },
    tool(name, args, env) {
      const { status, stdout, stderr } = run(join(folder, 'node_modules/.bin', name), args, env)
      if (status !== 0) throw new Error(`${name} ended with ${status}:\n${stdout}${stderr}`)
      return stdout
    },
    lines(name) {
      try {
        return readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1)
      } catch {
        return []
      }
    }
  }
}

/** How the registry is reached from here. */
function wayOut(): Record<string, string> {
  const found = Object.entries(process.env).filter(([name]) =>
    /^(NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|(https?|no)_proxy|npm_config_(registry|cafile))$/i.test(name)
  )
  return Object.fromEntries(found) as Record<string, string>
}
