// Medians over the runs of each contender, and its ratios to the reference of the suite.

/** One object per contender, in the order of the suite; `runs` keeps every single measurement. */
export function summarize(suite, results) {
  const summary = [...results].map(([name, runs]) => summarizeOne(name, suite.contenders[name], runs))
  const reference = referenceOf(suite, summary)
  if (reference === undefined) return summary
  for (const one of summary.filter((each) => each.failed === undefined)) {
    one.rateRatio = one.rate / reference.rate
    one.cpuRatio = one.cpuMicroseconds / reference.cpuMicroseconds
  }
  return summary
}

/** The first of the suite's references that was measured: a stand-in follows what may not be had everywhere. */
export function referenceOf(suite, summary) {
  return suite.references
    ?.map((name) => summary.find((one) => one.name === name && one.failed === undefined))
    .find((one) => one !== undefined)
}

function summarizeOne(name, contender, runs) {
  const failed = runs.find((run) => run.failed !== undefined)?.failed
  if (failed !== undefined) return { name, own: contender.own, note: contender.note, failed, runs }
  const rates = runs.map((run) => run.records / run.seconds)
  const bytes = runs.map((run) => (run.bytes ?? run.files?.bytes ?? 0) / run.seconds)
  const files = runs.map((run) => run.files).filter((one) => one !== undefined)
  const worst = (field) => (files.length > 0 ? Math.max(...files.map((one) => one[field])) : undefined)
  const maxBytes = contender.maxBytes
  return {
    name,
    own: contender.own,
    note: contender.note,
    records: runs[0].records,
    rate: median(rates),
    rateRange: [Math.min(...rates), Math.max(...rates)],
    cpuMicroseconds: median(runs.map((run) => (run.cpuSeconds / run.records) * 1e6)),
    bytesPerSecond: median(bytes),
    peakBytes: median(runs.map((run) => run.peakBytes ?? 0)),
    // Of the worst run: a loss that happens once in five runs is a loss.
    lost: worst('lost'),
    duplicated: worst('duplicated'),
    torn: worst('torn'),
    dropped: Math.max(...runs.map((run) => run.dropped ?? 0)),
    largestBytes: worst('largestBytes'),
    maxBytes,
    overBytes:
      maxBytes !== undefined && files.length > 0 ? Math.max(0, worst('largestBytes') - maxBytes) : undefined,
    // What only this suite measures.
    values: medianValues(runs),
    intact: files.every((one) => one.lost + one.duplicated + one.torn === 0),
    runs
  }
}

/** Names of measured values that suites set goals for, besides rate and CPU time. */
const valueNames = [
  'callNs',
  'callsPerCopy',
  'callP99Ns',
  'openFiles',
  'growthBytes',
  'p50Us',
  'p99Us',
  'p999Us',
  'maxUs'
]

function medianValues(runs) {
  const measured = valueNames.filter((name) => runs[0][name] !== undefined)
  return Object.fromEntries(measured.map((name) => [name, median(runs.map((run) => run[name]))]))
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
