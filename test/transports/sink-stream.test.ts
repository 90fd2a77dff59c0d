// How the answer to a chunk, the acknowledgement of its records, is held back under load so that more comes at once.
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { InternalSink } from '../../src/core/sink/pumped-sink.ts'
import { SinkStream } from '../../src/transports/sink-stream.ts'

const KIB = 1024
let stream: SinkStream
let answers: number

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] })
  const sink = Object.assign(new EventEmitter(), { commit: () => true, close: () => Promise.resolve() })
  stream = new SinkStream(sink as unknown as InternalSink, true)
  answers = 0
  stream.on('drain', () => answers++)
})

afterEach(() => {
  vi.useRealTimers()
})

/** How long the answer takes to so much that comes so long after the last answer. */
function answerMs(afterMs: number, length: number): number {
  vi.advanceTimersByTime(afterMs)
  expect(stream.write('x'.repeat(length))).toBe(false)
  const before = answers
  for (let ms = 1; ms <= 100; ms++) {
    vi.advanceTimersByTime(1)
    if (answers > before) return ms
  }
  throw new Error('no answer')
}

test('a chunk without load is answered at once', () => {
  expect(stream.write('a line\n')).toBe(true)
  vi.advanceTimersByTime(100)
  expect(answers).toBe(0)
})

test('under load the answer waits about as long as half a megabyte takes to come, two to eight milliseconds', () => {
  expect(answerMs(0, 128 * KIB), 'the first').toBe(2)
  expect(answerMs(1, 128 * KIB), 'half a megabyte in twelve').toBe(8)
  expect(answerMs(0, 1024 * KIB), 'in four').toBe(4)
  expect(answerMs(0, 4096 * KIB), 'in half a one').toBe(2)
  expect(answerMs(18, 16 * KIB), 'in more than a hundred').toBe(8)
  expect(answerMs(1_000, 128 * KIB), 'after a rest').toBe(2)
})
