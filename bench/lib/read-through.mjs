// The floor of reading: a plain loop of reads of 1 MiB.
import { closeSync, openSync, readSync } from 'node:fs'

const buffer = Buffer.allocUnsafeSlow(1 << 20)

/** Reads a file from its begin to its end; returns its bytes. */
export function readThrough(path) {
  const fd = openSync(path)
  let bytes = 0
  try {
    for (let count = 1; count > 0; bytes += count) count = readSync(fd, buffer, 0, buffer.length, null)
  } finally {
    closeSync(fd)
  }
  return bytes
}
