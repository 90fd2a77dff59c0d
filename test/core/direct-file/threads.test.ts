import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { DirectFile, type DirectFileOptions } from 'logboom'
import { expect, onTestFinished, test } from 'vitest'
import { readDirectFile } from '../../helpers/direct-file-reader.ts'
import { NUMBERED_BYTES, recordSize, threadByte } from '../../helpers/direct-record-size.mjs'
import { createFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { isLong } from '../../helpers/sized.ts'

const THREADS = 8
const RECORDS = isLong ? 250_000 : 20_000
const LARGEST = 100_000

function startWriter(file: DirectFile, thread: number, count: number, logged: SharedArrayBuffer): Worker {
  return new Worker(new URL('../../helpers/direct-writer-worker.mjs', import.meta.url), {
    workerData: { handle: file.share(), thread, count, largest: LARGEST, logged }
  })
}

/**
 * The numbers found of each thread; checks that no record is damaged and that each thread's are in order. A record too
 * small for a number must have the size of the next one of its thread, unless some may be missing (`isGapless`).
 */
function readNumbers(path: string, threads: number, isGapless = true) {
  const found = Array.from({ length: threads }, () => ({
    count: 0,
    last: -1,
    outOfOrder: 0,
    gaps: 0,
    torn: 0
  }))
  const content = readDirectFile(path, (record) => {
    if (record.length < NUMBERED_BYTES) {
      const thread = record[0] - threadByte(0)
      const writer = found[thread]
      const number = writer.last + 1
      writer.count++
      if (record.some((byte) => byte !== record[0])) writer.torn++
      if (!isGapless) return
      if (record.length !== recordSize(thread, number, LARGEST)) writer.outOfOrder++
      writer.last = number
      return
    }
    const [thread, number, size] = record.toString('latin1', 0, 30).split(':').map(Number)
    const writer = found[thread]
    writer.count++
    if (number <= writer.last) writer.outOfOrder++
    if (number !== writer.last + 1) writer.gaps++
    if (size !== record.length || size !== recordSize(thread, number, LARGEST)) writer.torn++
    if (size > NUMBERED_BYTES && record[size - 1] !== 0x78) writer.torn++
    writer.last = number
  })
  return { found, content }
}

function open(options: Partial<DirectFileOptions>): { file: DirectFile; path: string } {
  const path = `${createFolder()}/threads.log`
  // Shards smaller than the largest records, so that some need a frame of their own.
  const file = new DirectFile({ path, bufferSize: '640k', numShards: 8, flushInterval: '20ms', ...options })
  onTestFinished(() => file.close())
  return { file, path }
}

test(`${THREADS} threads, ${RECORDS} records each, some larger than a shard: every one once, in order`, async () => {
  const { file, path } = open({ flushTimeout: 2 })
  const logged = new SharedArrayBuffer(4 * THREADS)
  const workers = Array.from({ length: THREADS }, (_, thread) => startWriter(file, thread, RECORDS, logged))
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  const { totalLogs, droppedLogs } = file.getStatsSnapshot()
  expect({ totalLogs, droppedLogs }).toEqual({ totalLogs: THREADS * RECORDS, droppedLogs: 0 })
  await file.close()
  const { found, content } = readNumbers(path, THREADS)
  expect(content.damage).toEqual([])
  for (const writer of found) {
    expect(writer).toEqual({ count: RECORDS, last: RECORDS - 1, outOfOrder: 0, gaps: 0, torn: 0 })
  }
  expect(content.sealedRecords).toBe(THREADS * RECORDS)
  expect(content.sealedDropped).toBe(0)
}, 300_000)

test('threads terminated at random moments cost at most their last record and never stall the flusher', async () => {
  const rounds = isLong ? 60 : 12
  const { file, path } = open({})
  const logged = new SharedArrayBuffer(4 * rounds)
  const accepted = new Int32Array(logged)
  for (let round = 0; round < rounds; round++) {
    const worker = startWriter(file, round, 1e9, logged)
    // Not before it logs: a thread that still loads its modules may go on after terminate() (Node 22 and later).
    while (Atomics.load(accepted, round) === 0) await setTimeout(5)
    await setTimeout(random() * 60)
    await worker.terminate()
    const started = performance.now()
    await file.flush()
    expect(performance.now() - started).toBeLessThan(5_000)
  }
  await file.close()
  const { found, content } = readNumbers(path, rounds)
  expect(content.damage).toEqual([])
  found.forEach((writer, round) => {
    expect(writer.outOfOrder + writer.torn).toBe(0)
    // Terminated between the end of the call and the note of it, a record may be there that was not noted.
    expect(writer.count - accepted[round]).toBeGreaterThanOrEqual(0)
    expect(writer.count - accepted[round]).toBeLessThanOrEqual(1)
    expect(writer.last).toBe(writer.count - 1)
  })
}, 300_000)

test('drop-newest under overload: on disk and dropped make up what was offered, and the seals agree', async () => {
  const { file, path } = open({ overflow: 'drop-newest' })
  const logged = new SharedArrayBuffer(4 * THREADS)
  const workers = Array.from({ length: THREADS }, (_, thread) => startWriter(file, thread, RECORDS, logged))
  let dropped = 0
  for (const worker of workers) worker.on('message', (message) => (dropped += message.dropped))
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  await file.close()
  const { found, content } = readNumbers(path, THREADS, false)
  expect(content.damage).toEqual([])
  expect(dropped).toBeGreaterThan(0)
  expect(content.records + dropped).toBe(THREADS * RECORDS)
  expect(found.map(({ outOfOrder, torn }) => ({ outOfOrder, torn }))).toEqual(
    found.map(() => ({ outOfOrder: 0, torn: 0 }))
  )
  expect(content.sealedRecords).toBe(content.records)
  expect(content.sealedDropped).toBe(dropped)
  const { totalLogs, droppedLogs } = file.getStatsSnapshot()
  expect({ totalLogs, droppedLogs }).toEqual({ totalLogs: THREADS * RECORDS, droppedLogs: dropped })
  expect(file.stats().records).toBe(content.records)
}, 300_000)
