// Builds the Go peers of bench/go into bench/go/bin. Each is a module of its own, so that one whose original cannot be
// had does not keep the others from building; without Go, or without the original, the peer is skipped with the reason.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const sources = join(dirname(import.meta.dirname), 'go')

/**
 * The program in bench/go/<name>. `originals` are the module paths it is built against, in the version the module proxy
 * calls the latest; modules whose versions are in its go.mod need not be named.
 * @returns {{path: string, build: () => string | undefined}} `build` gives the reason where it is not to be had
 */
export function goProgram(name, originals) {
  const path = join(sources, 'bin', name)
  return { path, build: () => (existsSync(path) ? undefined : buildProgram(name, originals, path)) }
}

function buildProgram(name, originals, output) {
  if (go(['version']).error !== undefined) return 'Go is not installed'
  mkdirSync(dirname(output), { recursive: true })
  // In a copy: resolving the originals writes go.mod and go.sum.
  const copy = mkdtempSync(join(tmpdir(), 'logboom-go-'))
  try {
    cpSync(join(sources, name), copy, { recursive: true })
    for (const module of originals) {
      if (go(['get', `${module}@latest`], copy).status !== 0)
        return `Go module ${module} cannot be had from the module proxy`
    }
    const build = go(['build', '-o', output, '.'], copy)
    return build.status === 0 ? undefined : `go build failed: ${build.stderr.trim().split('\n')[0]}`
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

function go(args, cwd) {
  return spawnSync('go', args, { cwd, encoding: 'utf8' })
}
