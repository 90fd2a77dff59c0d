// What campaigns have counted: added up within a run, and over the runs whose results lie in a folder.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Sums lines of JSON objects with numbers; what is no such line, such as the last one of a process that died, is left out. */
export function addCounts(text) {
  const sums = {}
  for (const line of text.split('\n')) {
    try {
      for (const [what, times] of Object.entries(JSON.parse(line))) add(sums, what, times)
    } catch {
      // Cut short.
    }
  }
  return sums
}

export function describeCounts(counts) {
  return Object.entries(counts)
    .map(([what, times]) => `${times} ${what}`)
    .join(', ')
}

/** The results of runs in `folder`. */
export function readResults(folder) {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
  return names.sort().map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')))
}

/** campaign → runs, seconds, tests that passed and failed, and what was counted in all runs that passed. */
export function sumResults(results) {
  const sums = {}
  for (const { campaign, seconds, passed, failed, counts } of results) {
    sums[campaign] ??= { runs: 0, seconds: 0, passed: 0, failed: 0, counts: {} }
    const sum = sums[campaign]
    sum.runs++
    sum.seconds += seconds
    sum.passed += passed
    sum.failed += failed.length
    if (failed.length > 0) continue
    for (const [what, times] of Object.entries(counts)) add(sum.counts, what, times)
  }
  return sums
}

function add(sums, what, times) {
  if (!Number.isFinite(times)) return
  sums[what] = (sums[what] ?? 0) + times
}
