import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { settledWhileProgress } from '../../../src/core/sink/progress.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

function outcomeOf(promise: Promise<boolean>): { value: boolean | undefined } {
  const outcome: { value: boolean | undefined } = { value: undefined }
  promise.then((value) => {
    outcome.value = value
  })
  return outcome
}

test.each([
  ['resolves', () => Promise.resolve()],
  ['rejects', () => Promise.reject(new Error('no'))]
])('work that %s has settled', async (_, start) => {
  await expect(settledWhileProgress(start(), () => 0)).resolves.toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})

test('work that stands still is given up after the whole time, not before', async () => {
  const outcome = outcomeOf(settledWhileProgress(new Promise(() => {}), () => 7, 1_000))
  await vi.advanceTimersByTimeAsync(900)
  expect(outcome.value).toBeUndefined()
  await vi.advanceTimersByTimeAsync(100)
  expect(outcome.value).toBe(false)
  expect(vi.getTimerCount()).toBe(0)
})

test('progress, however slow, goes on for any time', async () => {
  let done = 0
  const outcome = outcomeOf(settledWhileProgress(new Promise(() => {}), () => done, 1_000))
  for (let step = 0; step < 100; step++) {
    done++
    await vi.advanceTimersByTimeAsync(900)
  }
  expect(outcome.value).toBeUndefined()
  await vi.advanceTimersByTimeAsync(1_100)
  expect(outcome.value).toBe(false)
})

test('a number that goes back is a change, too', async () => {
  let left = 5
  const outcome = outcomeOf(settledWhileProgress(new Promise(() => {}), () => left, 300))
  for (; left > 0; left--) await vi.advanceTimersByTimeAsync(200)
  expect(outcome.value).toBeUndefined()
})

test('work that settles after the end changes nothing', async () => {
  let settle = (): void => {}
  const work = new Promise<void>((resolve) => {
    settle = resolve
  })
  const outcome = outcomeOf(settledWhileProgress(work, () => 0, 200))
  await vi.advanceTimersByTimeAsync(200)
  settle()
  await vi.advanceTimersByTimeAsync(200)
  expect(outcome.value).toBe(false)
})
