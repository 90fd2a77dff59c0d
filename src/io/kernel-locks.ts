// The locks that the kernel shows in /proc/locks: for those who cannot take any.
import { readFileSync } from 'node:fs'

/** A lock that belongs to an open file, of one range of bytes, that is held, not waited for. */
const LINE = /^\d+: OFDLCK +\w+ +\w+ +-?\d+ [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (?:\d+|EOF)$/gm

/** Where locks on files with this number begin; undefined where the kernel does not tell. */
export function lockedBytes(ino: bigint): number[] | undefined {
  if (process.platform !== 'linux') return undefined
  let text: string
  try {
    text = readFileSync('/proc/locks', 'latin1')
  } catch {
    return undefined
  }
  const wanted = String(ino)
  return [...text.matchAll(LINE)].filter(([, found]) => found === wanted).map(([, , start]) => Number(start))
}
