// Memory for the page cache that the machine below has already given to this one.
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'

/** More than a run takes, its own memory included. */
const BYTES = 1 << 30
const BLOCK = Buffer.alloc(4 << 20, 1)

/**
 * Memory that a virtual machine has not used, or has given back (free page reporting does that within seconds), costs
 * its kernel ten times as much for each page, which would hit whoever comes to it first: everybody gets pages that were
 * just freed. `path` is written, and removed.
 */
export function warmPageCache(path) {
  const fd = openSync(path, 'w')
  try {
    for (let at = 0; at < BYTES; at += BLOCK.length) writeSync(fd, BLOCK)
  } finally {
    closeSync(fd)
    rmSync(path)
  }
}
