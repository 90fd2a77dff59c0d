// Two results of one suite against each other: how each contender's ratio to the reference changed, with a confidence
// interval. Absolute figures are never compared: they belong to one machine and one hour.
import { median, referenceOf } from './summary.mjs'

/** Samples drawn for an interval. */
const DRAWS = 4_000
const CONFIDENCE = 0.95

const metrics = {
  rate: { words: 'rate', of: (run) => run.records / run.seconds },
  cpu: { words: 'CPU', of: (run) => run.cpuSeconds / run.records }
}

/**
 * One object per contender that both measured and that is not the reference: `{name, rate, cpu}`, each
 * `{change, low, high}`: new ratio / old ratio, and the bounds within which it lies with a confidence of 95 %.
 * Throws when the documents are of different suites or have no reference in common.
 */
export function compareResults(suite, older, newer) {
  if (older.suite !== newer.suite) {
    throw new Error(`cannot compare: one result is of suite ${older.suite}, the other of ${newer.suite}`)
  }
  const reference = referenceOf(suite, inBoth(older, newer))?.name
  if (reference === undefined) {
    throw new Error(`cannot compare: no reference of suite ${suite.name} was measured in both results`)
  }
  return inBoth(older, newer)
    .filter((one) => one.name !== reference)
    .map(({ name }) => ({
      name,
      reference,
      rate: changeOf(metrics.rate, name, reference, older, newer),
      cpu: changeOf(metrics.cpu, name, reference, older, newer)
    }))
}

/** A line per contender, for the terminal. */
export function comparisonText(compared) {
  const width = Math.max(0, ...compared.map(({ name }) => name.length))
  return compared.map(
    ({ name, rate, cpu }) => `${name.padEnd(width)}  ${wordsOf('rate', rate, 1)}  ${wordsOf('CPU', cpu, -1)}`
  )
}

function wordsOf(metric, { change, low, high }, better) {
  const verdict = low > 1 ? better : high < 1 ? -better : 0
  const word = verdict === 0 ? 'no difference seen' : verdict > 0 ? 'better' : 'worse'
  return `${metric} ${change.toFixed(3)}× [${low.toFixed(3)}, ${high.toFixed(3)}] ${word}`
}

function inBoth(older, newer) {
  return newer.contenders.filter(
    (one) =>
      one.failed === undefined &&
      contender(older, one.name)?.failed === undefined &&
      contender(older, one.name) !== undefined
  )
}

function contender(document, name) {
  return document.contenders.find((one) => one.name === name)
}

/**
 * The bootstrap: the change is computed again and again from rounds drawn at random, with repetition, from those that
 * were measured; the middle 95 % of what comes out is the interval (Efron, 1979). Rounds are drawn whole, because
 * the contenders of a round shared a minute of the machine.
 */
function changeOf(metric, name, reference, older, newer) {
  const [before, after] = [older, newer].map((document) => ratios(metric, document, name, reference))
  const random = generator(1)
  const drawn = Array.from(
    { length: DRAWS },
    () => median(draw(after, random)) / median(draw(before, random))
  )
  drawn.sort((a, b) => a - b)
  const bound = (share) => drawn[Math.min(DRAWS - 1, Math.floor(share * DRAWS))]
  return {
    change: median(after) / median(before),
    low: bound((1 - CONFIDENCE) / 2),
    high: bound((1 + CONFIDENCE) / 2)
  }
}

function ratios(metric, document, name, reference) {
  const own = contender(document, name).runs
  const other = contender(document, reference).runs
  return own.slice(0, other.length).map((run, round) => metric.of(run) / metric.of(other[round]))
}

function draw(values, random) {
  return values.map(() => values[Math.floor(random() * values.length)])
}

/** Numbers in [0, 1) that are the same each time (mulberry32): two calls print the same interval. */
function generator(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
