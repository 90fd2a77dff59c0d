// An application beside the project in which the packed package is installed, as its users do it.
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'

const project = join(import.meta.dirname, '../..')
const INSTALL_MS = 180_000
const RUN_MS = 120_000

export interface Application {
  readonly folder: string
  write(name: string, text: string): string
  /** Runs a command in the folder. Does not throw. */
  run(command: string, args: string[], env?: Record<string, string>): SpawnSyncReturns<string>
  /** Runs a tool that is installed there; throws with what it said if it fails. */
  tool(name: string, args: string[], env?: Record<string, string>): string
  /** The lines of a file in the folder, none if there is no such file. */
  lines(name: string): string[]
}

/** Packs the package, and installs it with `packages`, without running scripts. Throws what npm said if it cannot. */
export function installed(packages: string[], type: 'commonjs' | 'module' = 'commonjs'): Application {
  const folder = mkdtempSync(join(tmpdir(), 'logboom-adoption-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const packed = join(folder, 'packed')
  mkdirSync(packed)
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', packed], {
    cwd: project
  })
  const application = inFolder(folder)
  application.write(
    'package.json',
    JSON.stringify({ name: 'application', version: '1.0.0', private: true, type })
  )
  const [tarball] = readdirSync(packed)
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', join(packed, tarball), ...packages]
  execFileSync('npm', args, { cwd: folder, timeout: INSTALL_MS, stdio: 'pipe' })
  return application
}

function inFolder(folder: string): Application {
  const run: Application['run'] = (command, args, env = {}) =>
    spawnSync(command, args, {
      cwd: folder,
      encoding: 'utf8',
      timeout: RUN_MS,
      // What vitest sets would be inherited by the runners that are tried here.
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        TMPDIR: folder,
        CI: 'true',
        NO_COLOR: '1',
        ...env
      }
    })
  return {
    folder,
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
