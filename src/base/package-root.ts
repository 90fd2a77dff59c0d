// Where the package lies. Modules are joined into fewer files when it is built, so none may say where another is by its
// own place.
import { existsSync } from 'node:fs'

const MAX_LEVELS = 8

/** The folder of the package's `package.json`, ending with a slash. */
export const packageRoot: URL = findRoot(new URL('.', import.meta.url))

/** A file of the build, by its path below `dist/`. */
export function builtFile(path: string): URL {
  return new URL(`dist/${path}`, packageRoot)
}

function findRoot(start: URL): URL {
  let folder = start
  for (let level = 0; level < MAX_LEVELS; level++) {
    if (existsSync(new URL('package.json', folder))) return folder
    folder = new URL('..', folder)
  }
  return start
}
