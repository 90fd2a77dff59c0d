// What the addon is made of on each platform; for scripts/build-native.mjs and scripts/prebuilds.mjs.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

export const folderOfSources = join(import.meta.dirname, '../src/native')

const posix = ['linux', 'darwin']
/** The files that are not for every platform. */
const platformsOf = {
  'linux.c': ['linux'],
  'darwin.c': ['darwin'],
  'windows.c': ['win32'],
  'posix.c': posix,
  'hashed-write.c': posix,
  'lane.c': posix,
  'publish.c': posix,
  'thread.c': posix
}

/** Absolute paths of the C files, in a fixed order. */
export function sourcesFor(platform) {
  return sources('.c')
    .filter((file) => platformsOf[file.name] === undefined || platformsOf[file.name].includes(platform))
    .map((file) => file.path)
}

/** Every file that a binary depends on. */
export function allSources() {
  return [...sources('.c'), ...sources('.h')].map((file) => file.path)
}

function sources(ending) {
  return readdirSync(folderOfSources)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => ({ name, path: join(folderOfSources, name) }))
}
