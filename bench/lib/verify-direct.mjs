// Counts what a run left in direct files: every id (the u32 a record begins with) exactly once, none of another length.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readRecords } from 'logboom'

/** `idOf` gives a record's number from 0, or -1 where it has none. */
export async function verifyDirect(folder, records, idOf) {
  const seen = new Uint8Array(records)
  const counts = { files: 0, bytes: 0, lines: 0, torn: 0, largestBytes: 0 }
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (name.startsWith('.') || !statSync(path).isFile()) continue
    const { size } = statSync(path)
    counts.files++
    counts.bytes += size
    counts.largestBytes = Math.max(counts.largestBytes, size)
    for await (const { data } of readRecords(path)) {
      counts.lines++
      const id = idOf(data)
      if (id < 0 || id >= records) counts.torn++
      else if (seen[id] < 255) seen[id]++
    }
  }
  let lost = 0
  let duplicated = 0
  for (const count of seen) {
    if (count === 0) lost++
    else duplicated += count - 1
  }
  return { ...counts, lost, duplicated }
}
