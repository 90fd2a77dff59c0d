// Renaming without replacing where the kernel has no call for it.
import { linkSync, lstatSync, readdirSync, renameSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { systemCode } from '../base/errors.ts'

/** File systems without hard links, and rules that forbid them. */
const NO_LINKS = new Set([
  'EPERM',
  'EACCES',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
  'EXDEV',
  'EISDIR',
  'UNKNOWN'
])
const MOST_REMAINS = 1000

/** Second names that could not be taken back, by the first. */
const remains = new Map<string, string>()

/** Throws EEXIST if something is at `to`. A failure leaves both names as they were, as far as the system lets it. */
export function renameNoReplace(from: string, to: string): void {
  // A link to a file that is open cannot be undone on Windows before it is closed.
  if (process.platform === 'win32') renameIfFree(from, to)
  else renameByLink(from, to)
}

// link(2) fails with EEXIST where rename(2) would replace.
function renameByLink(from: string, to: string): void {
  // Who tries again every half second would else make one more name of the same file each time.
  takeBack(from)
  takeBackOfTheDead(from, to)
  try {
    linkSync(from, to)
  } catch (error) {
    if (!NO_LINKS.has(systemCode(error) ?? '')) throw error
    renameIfFree(from, to)
    return
  }
  try {
    unlinkSync(from)
  } catch (error) {
    // Not done is better than half done: who tries again would find the name taken, and take another one.
    if (remains.size < MOST_REMAINS) remains.set(from, to)
    try {
      takeBack(from)
    } catch {
      // The first error says more; and this is tried again first of all.
    }
    throw error
  }
}

/** Removes the second name that an earlier attempt left; throws if it is still impossible. */
function takeBack(from: string): void {
  const second = remains.get(from)
  if (second === undefined) return
  // Either may be another file by now, and the only name of it.
  if (isSameFile(from, second)) unlinkSync(second)
  remains.delete(from)
}

/**
 * A thread or process that has died between link(2) and unlink(2) has left the file under two names, and whoever went on in it
 * would give it one more: what is in it would be read twice. Other names of it, such as links for copies, are not of the form
 * of `to`.
 */
function takeBackOfTheDead(from: string, to: string): void {
  const stat = lstatSync(from, { throwIfNoEntry: false })
  if (stat === undefined || !stat.isFile() || stat.nlink === 1) return
  const folder = dirname(to)
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    // A folder that may not be listed.
    return
  }
  const form = formOf(basename(to))
  for (const name of names) {
    const second = join(folder, name)
    if (formOf(name) === form && second !== from && isSameFile(from, second)) unlinkSync(second)
  }
}

/** A name with all its numbers alike. */
function formOf(name: string): string {
  return name.replaceAll(/\d+/g, '0')
}

function isSameFile(first: string, second: string): boolean {
  const [one, other] = [first, second].map((path) => lstatSync(path, { bigint: true, throwIfNoEntry: false }))
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev
}

/** Between look and rename somebody else may take the name; writers of one log do not, as they exclude each other. */
function renameIfFree(from: string, to: string): void {
  if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) {
    throw Object.assign(new Error(`EEXIST: file already exists, rename '${from}' -> '${to}'`), {
      code: 'EEXIST',
      syscall: 'rename'
    })
  }
  renameSync(from, to)
}
