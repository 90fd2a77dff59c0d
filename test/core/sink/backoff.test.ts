import { expect, test } from 'vitest'
import { afterFailure, Backoff, whileBusy } from '../../../src/core/sink/backoff.ts'

test('each wait is twice the last one, between the two bounds', () => {
  const backoff = new Backoff({ minMs: 50, maxMs: 500 })
  expect(Array.from({ length: 7 }, () => backoff.next())).toEqual([50, 100, 200, 400, 500, 500, 500])
})

test('after a success it begins anew', () => {
  const backoff = new Backoff({ minMs: 1, maxMs: 5 })
  for (let attempt = 0; attempt < 10; attempt++) backoff.next()
  backoff.reset()
  expect([backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([1, 2, 4, 5])
})

test('after a failure a sink is tried again within a second, a busy lock at once', () => {
  expect(afterFailure.maxMs).toBeLessThan(1_000)
  expect(whileBusy.maxMs).toBeLessThan(afterFailure.minMs)
})
