// The goals a suite names, judged against what was measured and said plainly.

/**
 * A goal is `{contender, metric, atLeast | atMost, of}` for a ratio of medians (`rate`, `cpu`), or
 * `{contender, metric: 'intact' | 'limit'}` for what must hold in every run.
 */
export function judgeGoals(suite, summary) {
  return (suite.goals ?? []).map((goal) => {
    const own = summary.find((one) => one.name === goal.contender)
    const other = summary.find((one) => one.name === goal.of)
    const missing = [goal.contender, goal.of].find((name) => name !== undefined && !measured(summary, name))
    if (missing !== undefined)
      return { ...goal, text: `goal ${wordsOf(goal)}: not measured, ${missing} did not run` }
    if (goal.metric === 'intact')
      return verdict(goal, own.intact, own.intact ? 'all there' : 'lines are missing or damaged')
    if (goal.metric === 'limit')
      return verdict(goal, own.overBytes === 0, `largest file ${own.largestBytes} of ${own.maxBytes} bytes`)
    const field = goal.metric === 'cpu' ? 'cpuMicroseconds' : 'rate'
    const ratio = own[field] / other[field]
    const reached = goal.atLeast === undefined ? ratio <= goal.atMost : ratio >= goal.atLeast
    return { ...verdict(goal, reached, `${ratio.toFixed(2)}×`), ratio }
  })
}

function measured(summary, name) {
  const one = summary.find((each) => each.name === name)
  return one !== undefined && one.failed === undefined
}

function verdict(goal, reached, found) {
  return { ...goal, reached, text: `goal ${wordsOf(goal)}: ${found}, ${reached ? 'reached' : 'NOT reached'}` }
}

function wordsOf({ contender, metric, atLeast, atMost, of }) {
  if (metric === 'intact') return `${contender} loses, repeats and tears nothing`
  if (metric === 'limit') return `${contender} keeps every file within its limit`
  const bound = atLeast === undefined ? `≤ ${round(atMost)}×` : `≥ ${round(atLeast)}×`
  return `${contender} ${bound} ${metric === 'cpu' ? 'CPU per record' : 'the rate'} of ${of}`
}

function round(value) {
  return Number(value.toFixed(2))
}
