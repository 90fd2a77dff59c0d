// Where the package lies. Modules are joined into fewer files when it is built, so none may say where another is by its
// own place; and who bundles an application moves the code away from the files that belong to it.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { LogboomError } from './errors.ts'

/** The path of this module where it is CommonJS, which bundlers keep or leave undefined. */
declare const __filename: string | undefined

const NAME = 'logboom'
const MAX_LEVELS = 8

/** The folder of the code that runs: of the package, or of the bundle it has become a part of; ends with a slash. */
const codeFolder: URL = pathToFileURL(join(dirname(ownPath()), '/'))

/** The folder of the package's `package.json`, ending with a slash; undefined in a bundle that is alone. */
const foundRoot: URL | undefined = findAbove(codeFolder) ?? findInstalled()

/** The same; the folder of the bundle where there is no package. */
export const packageRoot: URL = foundRoot ?? codeFolder

/** Whether the code runs outside its package, from a bundle. */
export const isBundled: boolean = foundRoot === undefined || !codeFolder.href.startsWith(foundRoot.href)

/**
 * A file of the build, by its path below `dist/`. Throws `ERR_UNSUPPORTED` where there is none: in a bundle without the
 * package.
 */
export function builtFile(path: string): URL {
  const file = new URL(`dist/${path}`, packageRoot)
  if (existsSync(file)) return file
  throw new LogboomError(
    'ERR_UNSUPPORTED',
    `${fileURLToPath(file)} is missing: this program is bundled, and the threads of logboom are files of their own. Mark ` +
      `logboom as external and keep it in node_modules beside the bundle (docs/bundlers.md)`
  )
}

/** Tells thread-stream, where it is part of a bundle, which file its worker is. */
export function preferInstalledWorker(): void {
  if (!isBundled || foundRoot === undefined) return
  const all = globalThis as { __bundlerPathsOverrides?: Record<string, string> }
  const paths = all.__bundlerPathsOverrides ?? {}
  if (paths['thread-stream-worker'] !== undefined) return
  try {
    paths['thread-stream-worker'] = createRequire(foundRoot).resolve('thread-stream/lib/worker.js')
    all.__bundlerPathsOverrides = paths
  } catch {
    // It will say itself that it misses its worker.
  }
}

function ownPath(): string {
  if (typeof __filename === 'string') return __filename
  const url: unknown = import.meta.url
  if (typeof url === 'string' && url.startsWith('file:')) return fileURLToPath(url)
  // A bundle of a form that tells neither: what was started is its best guess.
  return process.argv[1] ?? join(process.cwd(), 'bundle.js')
}

function findAbove(start: URL): URL | undefined {
  let folder = start
  for (let level = 0; level < MAX_LEVELS; level++) {
    if (isPackage(folder)) return folder
    folder = new URL('..', folder)
  }
  return undefined
}

function isPackage(folder: URL): boolean {
  try {
    return JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')).name === NAME
  } catch {
    return false
  }
}

/** The package as the bundle, or the program in the present folder, finds it among its dependencies. */
function findInstalled(): URL | undefined {
  for (const from of [fileURLToPath(codeFolder), join(process.cwd(), '/')]) {
    try {
      const manifest = createRequire(join(from, 'bundle.js')).resolve(`${NAME}/package.json`)
      return pathToFileURL(join(dirname(manifest), '/'))
    } catch {
      // Not installed there.
    }
  }
  return undefined
}
