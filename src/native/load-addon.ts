// Finds the binary of this platform and loads it, or says why there is none. Never throws: without the addon the portable
// fallback serves, and whoever cannot do with that gives the reason.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorMessage, systemCode } from '../base/errors.ts'
import { isBundled, packageRoot } from '../base/package-root.ts'

/** Functions of the addon; null is what it leaves to the fallback on this platform. */
export type AddonExports = Record<string, unknown>

/** Either the addon and its file, or the reason why there is none, to be read after "without the addon: ". */
export type LoadedAddon =
  | { readonly exports: AddonExports; readonly file: string; readonly reason?: undefined }
  | { readonly exports?: undefined; readonly file?: undefined; readonly reason: string }

const SWITCHED_OFF = /^(0|off|false|no)$/i
const DEFAULT = /^(|1|on|true|yes)$/i

/** `names` are the functions it has to have: one that was built from other sources would fail at the first call. */
export function loadAddon(names: readonly string[]): LoadedAddon {
  const chosen = process.env.LOGBOOM_NATIVE?.trim() ?? ''
  if (SWITCHED_OFF.test(chosen)) return { reason: `LOGBOOM_NATIVE=${chosen} switches it off` }
  if (!DEFAULT.test(chosen)) return load(resolve(chosen), names, ', which LOGBOOM_NATIVE names,')
  const name = `${process.platform}-${process.arch}${isMusl() ? '-musl' : ''}/logboom.node`
  // What was built on this machine, from the sources that are there, is preferred; it is not in the package.
  const folders = isBundled ? ['prebuilds'] : ['prebuilds', 'build/native']
  const [own, built] = folders.map((folder) => fileURLToPath(new URL(`${folder}/${name}`, packageRoot)))
  if (built !== undefined && existsSync(built)) return load(built, names, '')
  if (existsSync(own)) return load(own, names, '')
  const how = isBundled
    ? '; this program is bundled: keep logboom in node_modules, or copy its folder prebuilds beside the bundle'
    : ''
  return { reason: `there is no binary for this platform at ${own}${how}` }
}

function load(file: string, names: readonly string[], whose: string): LoadedAddon {
  if (!existsSync(file)) return { reason: `${file}${whose} is not there` }
  let exports: AddonExports
  try {
    exports = createRequire(packageRoot)(file)
  } catch (error) {
    return {
      reason:
        systemCode(error) === 'ERR_DLOPEN_DISABLED'
          ? refusal(file)
          : `${file}${whose} does not load: ${wordsOf(error, file)}`
    }
  }
  // Any file can be named that Node loads, such as one of JSON.
  const missing = names.filter((name) => !(name in Object(exports)))
  if (missing.length === 0) return { exports, file }
  return { reason: `${file}${whose} was built from other sources: it has no ${missing.join(', ')}` }
}

function refusal(file: string): string {
  return process.permission === undefined
    ? `Node was started with --no-addons, so that it does not load ${file}`
    : `Node's permission model refuses to load ${file}; the flag --allow-addons allows it`
}

/** One line of the loader's, without the name it begins with. */
function wordsOf(error: unknown, file: string): string {
  const [first] = errorMessage(error).split('\n')
  return first.startsWith(`${file}: `) ? first.slice(file.length + 2) : first
}

/**
 * Which C library this process has. A binary for the other one may load all the same, and bring that one along, so it is
 * not tried; and files that are installed prove nothing, because both can be. What is mapped does.
 */
function isMusl(): boolean {
  if (process.platform !== 'linux') return false
  try {
    return !/\/libc(\.so\.6|-2\.\d+\.so)$/m.test(readFileSync('/proc/self/maps', 'latin1'))
  } catch {
    // No /proc, or not for this process. The report takes some milliseconds.
    const report = process.report.getReport() as unknown as { header: Record<string, unknown> }
    return report.header.glibcVersionRuntime === undefined
  }
}
