// Builds the Go peers of bench/go into bench/go/bin. Without Go, or where the module of an original cannot be had, the
// peer is skipped with the reason. LOGBOOM_PEERS may name a folder with the sources of originals that the module proxy
// does not have, each in a folder called as the last part of its module path.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'

const sources = join(dirname(import.meta.dirname), 'go')

/**
 * The program in bench/go/<name>.
 * @param {string} [original] module path of the peer it measures, taken in the version the module proxy calls the
 * latest; left out where go.mod already names all that is needed
 * @returns {{path: string, build: () => string | undefined}} `build` gives the reason where it is not to be had
 */
export function goProgram(name, original) {
  const path = join(sources, 'bin', name)
  return {
    path,
    build: () => (original === undefined ? build(name, path, sources) : buildWith(original, name, path))
  }
}

/** In a copy: resolving the original changes go.mod and go.sum. */
function buildWith(original, name, output) {
  const copy = mkdtempSync(join(tmpdir(), 'logboom-go-'))
  try {
    cpSync(sources, copy, { recursive: true, filter: (path) => path !== join(sources, 'bin') })
    const reason = atHand(original) === undefined ? getModule(original, copy) : useSources(original, copy)
    return reason ?? build(name, output, copy)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

function atHand(original) {
  const { LOGBOOM_PEERS: folder } = process.env
  if (folder === undefined) return undefined
  const path = resolve(folder, basename(original))
  return existsSync(path) ? path : undefined
}

function getModule(original, copy) {
  const got = go(['get', `${original}@latest`], copy)
  if (got.error !== undefined) return 'Go is not installed'
  return got.status === 0 ? undefined : `Go module ${original} cannot be had from the module proxy`
}

function useSources(original, copy) {
  const source = join(copy, 'original')
  cpSync(atHand(original), source, { recursive: true })
  // An original from before there were modules has no go.mod, and a replacement needs one.
  const manifest = join(source, 'go.mod')
  if (!existsSync(manifest)) writeFileSync(manifest, `module ${original}\n`)
  const steps = [
    ['mod', 'edit', `-require=${original}@v0.0.0`, `-replace=${original}=${source}`],
    ['get', `${original}@v0.0.0`]
  ]
  for (const step of steps) {
    const done = go(step, copy)
    if (done.error !== undefined) return 'Go is not installed'
    if (done.status !== 0) return `go ${step.join(' ')}: ${done.stderr.trim().split('\n')[0]}`
  }
  return undefined
}

function build(name, output, folder) {
  const built = go(['build', '-trimpath', '-mod=mod', '-o', output, `./${name}`], folder)
  if (built.error !== undefined) return 'Go is not installed'
  return built.status === 0 ? undefined : `go build failed: ${built.stderr.trim().split('\n')[0]}`
}

function go(args, cwd) {
  return spawnSync('go', args, { cwd, encoding: 'utf8' })
}
