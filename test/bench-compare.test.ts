// What the bench says about two of its results: a change that is there is found, one that is noise is not.
import { expect, test } from 'vitest'

interface Change {
  change: number
  low: number
  high: number
}
interface Compared {
  name: string
  rate: Change
  cpu: Change
}
type Result = ReturnType<typeof resultOf>

const { compareResults, comparisonText } = (await import(
  new URL('../bench/lib/compare.mjs', import.meta.url).href
)) as {
  compareResults(suite: object, older: Result, newer: Result): [Compared, ...Compared[]]
  comparisonText(compared: readonly Compared[]): [string, ...string[]]
}

const suite = { name: 'pino', references: ['peer', 'stand-in'] }

/** A result in which a contender of ours has `rate` times the rate of the peer, on a machine `speed` times as fast. */
function resultOf(rate: number, { speed = 1, noise = 0.02, reference = 'peer', suite: name = 'pino' } = {}) {
  const runs = (factor: number, phase: number) =>
    Array.from({ length: 7 }, (_, round) => {
      const seconds = 1 / (speed * factor * (1 + noise * Math.sin(round * 1.7 + phase)))
      return { records: 1_000, seconds, cpuSeconds: seconds * 1.5 }
    })
  return {
    suite: name,
    contenders: [
      { name: reference, runs: runs(1, 0) },
      { name: 'ours', own: true, runs: runs(rate, 2) },
      { name: 'broken', failed: 'exit 1', runs: [] }
    ]
  }
}

test('a change is found whatever the speed of the machine, with its bounds', () => {
  const [found, ...others] = compareResults(suite, resultOf(1.2), resultOf(0.9, { speed: 3 }))
  expect(others).toEqual([])
  expect(found.name).toBe('ours')
  expect(found.rate.change).toBeCloseTo(0.75, 1)
  expect(found.rate.high).toBeLessThan(1)
  expect(found.cpu.low).toBeGreaterThan(1)
  expect(comparisonText([found])[0]).toMatch(/rate 0\.7.*worse .*CPU 1\.3.*worse/)
})

test('noise is no change', () => {
  const [found] = compareResults(suite, resultOf(1, { noise: 0.2 }), resultOf(1.01, { noise: 0.2 }))
  expect(found.rate.low).toBeLessThan(1)
  expect(found.rate.high).toBeGreaterThan(1)
  expect(comparisonText([found])[0]).toMatch(/no difference seen.*no difference seen/)
})

test('the same two results give the same interval each time', () => {
  expect(compareResults(suite, resultOf(1), resultOf(1.1))).toEqual(
    compareResults(suite, resultOf(1), resultOf(1.1))
  )
})

test('results of two suites, or without a reference in common, are not compared', () => {
  expect(() => compareResults(suite, resultOf(1, { suite: 'winston' }), resultOf(1))).toThrow(
    /of suite winston/
  )
  const other = resultOf(1, { reference: 'stand-in' })
  expect(() => compareResults(suite, other, resultOf(1))).toThrow(/no reference of suite pino/)
})
