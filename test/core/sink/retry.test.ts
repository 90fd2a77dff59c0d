import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Retry } from '../../../src/core/sink/retry.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

/** A retry, and the times at which it ran. */
function create(run = (_retry: Retry): void => {}) {
  const ranAtMs: number[] = []
  const startMs = performance.now()
  const waiter = { isThere: false }
  const retry: Retry = new Retry(
    () => {
      ranAtMs.push(performance.now() - startMs)
      run(retry)
    },
    () => waiter.isThere
  )
  return { retry, ranAtMs, waiter }
}

test('after failures it runs later and later, and never later than half a second', () => {
  const { retry, ranAtMs } = create((again) => again.failed())
  retry.failed()
  expect(retry.isSet).toBe(true)
  vi.advanceTimersByTime(2_000)
  expect(ranAtMs).toEqual([50, 150, 350, 750, 1_250, 1_750])
})

test('several failures before an attempt are one attempt', () => {
  const { retry, ranAtMs } = create()
  retry.failed()
  retry.failed()
  vi.advanceTimersByTime(10_000)
  expect(ranAtMs).toEqual([100])
  expect(retry.isSet).toBe(false)
})

test('a busy lock is tried again within milliseconds, until it has been busy for the whole time', () => {
  const outcomes: boolean[] = []
  const { retry, ranAtMs } = create((again) => outcomes.push(again.busy(20)))
  expect(retry.busy(20)).toBe(true)
  expect(retry.isBusy).toBe(true)
  vi.advanceTimersByTime(1_000)
  expect(ranAtMs).toEqual([1, 3, 7, 12, 17, 22])
  expect(outcomes).toEqual([true, true, true, true, true, false])
})

test('a turn ends the time for which the lock was busy, a failure before does not', () => {
  const { retry } = create()
  retry.busy(20)
  vi.advanceTimersByTime(15)
  retry.failed()
  vi.advanceTimersByTime(15)
  expect(retry.busy(20)).toBe(false)
  retry.turned()
  expect(retry.isBusy).toBe(false)
  expect(retry.isSet).toBe(false)
  expect(retry.busy(20)).toBe(true)
})

test('a turn alone does not shorten the pauses after failures; success does', () => {
  const { retry, ranAtMs } = create()
  for (const _ of [1, 2, 3]) {
    retry.failed()
    vi.advanceTimersToNextTimer()
    retry.turned()
  }
  expect(ranAtMs).toEqual([50, 150, 350])
  retry.reset()
  retry.failed()
  vi.advanceTimersToNextTimer()
  expect(ranAtMs.at(-1)).toBe(400)
})

test('success of what had failed leaves the planned attempt in place, and shortens the pauses after it', () => {
  const { retry, ranAtMs } = create()
  for (let failure = 0; failure < 4; failure++) retry.failed()
  retry.worked()
  expect(retry.isSet).toBe(true)
  vi.advanceTimersByTime(10_000)
  expect(ranAtMs).toEqual([400])
  retry.failed()
  vi.advanceTimersByTime(50)
  expect(ranAtMs).toHaveLength(2)
})

test('cleared, it runs no more', () => {
  const { retry, ranAtMs } = create()
  retry.failed()
  retry.clear()
  expect(retry.isSet).toBe(false)
  vi.advanceTimersByTime(10_000)
  expect(ranAtMs).toEqual([])
})

test('it keeps the process alive only while somebody waits', () => {
  const hasRef = (): boolean => vi.mocked(setTimeout).mock.results.at(-1)?.value.hasRef()
  vi.spyOn(globalThis, 'setTimeout')
  const { retry, waiter } = create()
  retry.failed()
  expect(hasRef()).toBe(false)
  retry.keepAlive()
  expect(hasRef()).toBe(true)
  waiter.isThere = true
  retry.failed()
  expect(hasRef()).toBe(true)
  retry.clear()
  retry.keepAlive()
})
