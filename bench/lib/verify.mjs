// Counts what a run left on disk: every id exactly once, no torn or merged line, and how large the largest file is.
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

const NEWLINE = 10
const chunkBytes = 4 << 20

/**
 * Reads every file in `folder` (dot files are locks and state, not log). All lines of a suite have one length, so a
 * line that was cut or merged has another one.
 * @param {{records: number, lineBytes: number, marker: string, digits: number, firstId: number}} expected
 * `marker` precedes the id in every line; ids run from `firstId` and have `digits` digits
 */
export function verifyLines(folder, expected) {
  const seen = new Uint8Array(expected.records)
  const counts = { files: 0, bytes: 0, lines: 0, torn: 0, largestBytes: 0 }
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const { size } = statSync(path)
    if (name.startsWith('.') || size === 0) continue
    counts.files++
    counts.bytes += size
    counts.largestBytes = Math.max(counts.largestBytes, size)
    countLines(path, expected, seen, counts)
  }
  let lost = 0
  let duplicated = 0
  for (const count of seen) {
    if (count === 0) lost++
    else duplicated += count - 1
  }
  return { ...counts, lost, duplicated }
}

function countLines(path, expected, seen, counts) {
  const fd = openSync(path)
  const chunk = Buffer.allocUnsafe(chunkBytes)
  let kept = 0
  try {
    for (;;) {
      const filled = kept + readSync(fd, chunk, kept, chunkBytes - kept, null)
      if (filled === kept) break
      const rest = countChunk(chunk.subarray(0, filled), expected, seen, counts)
      chunk.copyWithin(0, rest, filled)
      kept = filled - rest
      if (kept < chunkBytes) continue
      // No line is as long as a chunk: a hole of zeros, say.
      counts.torn++
      kept = 0
    }
  } finally {
    closeSync(fd)
  }
  if (kept > 0) counts.torn++
}

/** Counts the complete lines of `chunk`; returns where the incomplete rest begins. */
function countChunk(chunk, expected, seen, counts) {
  let start = 0
  for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
    const line = chunk.subarray(start, end)
    start = end + 1
    counts.lines++
    const id = line.length + 1 === expected.lineBytes ? idOf(line, expected) : -1
    if (id < 0 || id >= seen.length) counts.torn++
    else if (seen[id] < 255) seen[id]++
  }
  return start
}

/** The record's number from 0, or -1 where the line holds none. */
function idOf(line, { marker, digits, firstId }) {
  const at = line.indexOf(marker, 0, 'latin1')
  if (at === -1) return -1
  let id = 0
  for (let place = at + marker.length; place < at + marker.length + digits; place++) {
    const digit = line[place] - 48
    if (!(digit >= 0 && digit <= 9)) return -1
    id = id * 10 + digit
  }
  return id - firstId
}
