// How long a blocked main thread waits for an output, by the state of its thread.
import { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { OutputWords } from '../../src/transports/pool/output-words.ts'
import { outputState, word } from '../../src/transports/pool/protocol.ts'

const patience = { totalMs: 60_000, stallMs: 50, startMs: 60_000, degradedMs: 50 }

/** A thread that says that the flush is done, after a while and without a sign before. */
function answerLate(words: OutputWords): number {
  const flush = words.ask()
  const code = `
    const { workerData: { buffer, flush, done, signal } } = require('node:worker_threads')
    const words = new Int32Array(buffer)
    setTimeout(() => {
      Atomics.store(words, done, flush)
      Atomics.add(words, signal, 1)
      Atomics.notify(words, signal)
    }, 300)`
  const { done, signal } = word
  const worker = new Worker(code, { eval: true, workerData: { buffer: words.buffer, flush, done, signal } })
  onTestFinished(async () => void (await worker.terminate()))
  return flush
}

describe('an output', () => {
  it('whose thread has not begun has longer than one that stands still, as on a busy machine its start takes seconds', () => {
    const words = new OutputWords()
    words.restart()
    const flush = answerLate(words)
    expect(words.block(() => words.isDone(flush), patience)).toBe(true)
  })

  it.each(['open', 'degraded'] as const)('that is %s is given up when nothing gets done', (state) => {
    const words = new OutputWords()
    Atomics.store(new Int32Array(words.buffer), word.state, outputState[state])
    const flush = answerLate(words)
    expect(words.block(() => words.isDone(flush), patience)).toBe(false)
  })

  it('whose log is refused is not waited for by who waits for room, and answers who asks', () => {
    const words = new OutputWords()
    Atomics.store(new Int32Array(words.buffer), word.state, outputState.failed)
    const flush = answerLate(words)
    const patient = { ...patience, stallMs: 60_000 }
    const startMs = performance.now()
    expect(words.block(() => false, { ...patient, refusedMs: 0 })).toBe(false)
    expect(performance.now() - startMs).toBeLessThan(10_000)
    expect(words.block(() => words.isDone(flush), patient)).toBe(true)
  })
})
