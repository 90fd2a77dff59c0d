// Results as rows of text, for the terminal and for markdown.

export function header(suite, reference) {
  const against = reference === undefined ? [] : [`rate vs ${reference}`, 'CPU vs it']
  return [
    'contender',
    `${suite.unit}/s`,
    'min–max',
    'CPU µs each',
    'p50 / p99 / p99.9 / max µs',
    ...against,
    'MB/s',
    'peak MB',
    'lost',
    'dup',
    'torn',
    'largest file',
    'goal'
  ]
}

/** A row per contender; one that failed has empty cells, the reason is a note of its own. */
export function rowsOf(suite, summary, goals, reference) {
  const width = header(suite, reference).length
  return summary.map((one) => {
    if (one.failed !== undefined) return [one.name, 'failed', ...Array(width - 2).fill('')]
    const against = reference === undefined ? [] : [times(one.rateRatio), times(one.cpuRatio)]
    return [
      one.name,
      count(one.rate),
      `${count(one.rateRange[0])}–${count(one.rateRange[1])}`,
      one.cpuMicroseconds.toFixed(2),
      latency(one.values),
      ...against,
      one.bytesPerSecond > 0 ? (one.bytesPerSecond / 1e6).toFixed(0) : '–',
      one.peakBytes > 0 ? (one.peakBytes / 1e6).toFixed(0) : '–',
      ...[one.lost, one.duplicated, one.torn].map((value) => (value === undefined ? '–' : String(value))),
      largest(one),
      goalCell(one.name, goals)
    ]
  })
}

function largest({ largestBytes, maxBytes }) {
  if (largestBytes === undefined || maxBytes === undefined) return '–'
  const share = (largestBytes / maxBytes) * 100
  return largestBytes > maxBytes ? `${share.toFixed(2)} % of limit` : 'within limit'
}

function latency({ p50Us, p99Us, p999Us, maxUs }) {
  if (p50Us === undefined) return '–'
  return [p50Us, p99Us, p999Us, maxUs].map((us) => us.toFixed(us < 10 ? 1 : 0)).join(' / ')
}

function goalCell(name, goals) {
  const judged = goals.filter((goal) => goal.contender === name)
  if (judged.length === 0) return ''
  if (judged.some((goal) => goal.reached === false)) return 'NOT reached'
  return judged.every((goal) => goal.reached) ? 'reached' : 'partly measured'
}

function times(ratio) {
  return ratio === undefined ? '–' : `${ratio.toFixed(2)}×`
}

/** 1 234 567 → '1.23 M', 481 200 → '481 k', 5 312 → '5 312'. */
export function count(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)} k`
  return value.toFixed(0)
}

/** Leaves out the columns in which no row has anything to say. */
export function withoutEmptyColumns(rows) {
  const used = rows[0].map((_, column) =>
    rows.slice(1).some((row) => row[column] !== '' && row[column] !== '–')
  )
  return rows.map((row) => row.filter((_, column) => used[column]))
}

export function textTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const pad = (cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))
  const lines = rows.map((row) => row.map(pad).join('  ').trimEnd())
  return lines.toSpliced(1, 0, widths.map((width) => '─'.repeat(width)).join('  ')).join('\n')
}

export function markdownTable([head, ...rows]) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'))
  return [
    line(head),
    line(rule),
    ...rows.map((row) => line(row.map((cell) => cell.replaceAll('|', '/'))))
  ].join('\n')
}
