// The goals a suite names, judged against what was measured and said plainly.

/**
 * A goal is `{contender, metric, atLeast | atMost, of}` for a ratio of medians (`rate`, `cpu`, `bytes` per second), where `of` lists the
 * other side and its stand-ins, `{contender, metric, atMost}` for a measured value without another side, or
 * `{contender, metric: 'intact' | 'limit'}` for what must hold in every run.
 */
export function judgeGoals(suite, summary) {
  return (suite.goals ?? []).map((goal) => {
    const own = measured(summary, [goal.contender])
    if (own === undefined) return unmeasured(goal, goal.contender)
    if (goal.metric === 'intact') {
      return verdict(goal, own.intact, own.intact ? 'all there' : 'lines are missing or damaged')
    }
    if (goal.metric === 'limit') {
      return verdict(goal, own.overBytes === 0, `largest file ${own.largestBytes} of ${own.maxBytes} bytes`)
    }
    if (goal.of === undefined) {
      const value = own.values[goal.metric]
      return verdict(goal, value <= goal.atMost, value.toLocaleString('en', { maximumFractionDigits: 0 }))
    }
    const other = measured(summary, goal.of)
    if (other === undefined) return unmeasured(goal, goal.of[0])
    const ratio = metricOf(own, goal.metric) / metricOf(other, goal.metric)
    const reached = goal.atLeast === undefined ? ratio <= goal.atMost : ratio >= goal.atLeast
    const against = other.name === goal.of[0] ? '' : ` (against ${other.name} in its place)`
    return { ...verdict(goal, reached, `${ratio.toFixed(2)}×${against}`), ratio, against: other.name }
  })
}

function metricOf(one, metric) {
  if (metric === 'rate') return one.rate
  if (metric === 'bytes') return one.bytesPerSecond
  return metric === 'cpu' ? one.cpuMicroseconds : one.values[metric]
}

function measured(summary, names) {
  return names
    .map((name) => summary.find((one) => one.name === name && one.failed === undefined))
    .find((one) => one !== undefined)
}

function unmeasured(goal, missing) {
  return { ...goal, text: `goal ${wordsOf(goal)}: not measured, ${missing} did not run` }
}

function verdict(goal, reached, found) {
  return { ...goal, reached, text: `goal ${wordsOf(goal)}: ${found}, ${reached ? 'reached' : 'NOT reached'}` }
}

function wordsOf({ contender, metric, atLeast, atMost, of }) {
  if (metric === 'intact') return `${contender} loses, repeats and tears nothing`
  if (metric === 'limit') return `${contender} keeps every file within its limit`
  if (of === undefined) return `${contender}: ${metric} ≤ ${atMost.toLocaleString('en')}`
  const bound = atLeast === undefined ? `≤ ${round(atMost)}×` : `≥ ${round(atLeast)}×`
  const what = { cpu: 'CPU per record', rate: 'the rate', bytes: 'the bytes per second' }[metric] ?? metric
  return `${contender} ${bound} ${what} of ${of[0]}`
}

function round(value) {
  return Number(value.toFixed(2))
}
