// A process for the kill tests: appends records as fast as it can and counts, in a file that outlives it, those whose
// append had returned. With `drain` a thread of it takes them out meanwhile and writes them to a file.
import { openSync, writeSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { LaneFolder, LaneOwner, realDisk } from '../../dist/core/lane/internals.js'
import { recordOf } from './ring-record.mjs'

const {
  folder: path,
  capacityBytes,
  drain,
  isMixed,
  countPath,
  outPath
} = workerData ?? JSON.parse(process.argv[2])

function produce() {
  const ring = LaneOwner.create(LaneFolder.open(realDisk, path)).createRing(
    { path: '/x.log', kind: 'test', options: {} },
    capacityBytes
  )
  if (drain) {
    const started = new Int32Array(new SharedArrayBuffer(4))
    new Worker(new URL(import.meta.url), { workerData: { ...JSON.parse(process.argv[2]), started } })
    if (Atomics.wait(started, 0, 0, 30_000) === 'timed-out') throw new Error('no thread takes records out')
  }
  const count = openSync(countPath, 'w')
  const bytes = Buffer.alloc(8)
  writeSync(1, 'ready\n')
  for (let n = 0; ; n++) {
    const record = recordOf(n, isMixed)
    while (!ring.append(n % 2 === 0 ? record : Buffer.from(record))) {
      // Without a consumer the ring is full now, and stays so until the end of this process.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
    bytes.writeDoubleLE(n + 1)
    writeSync(count, bytes, 0, 8, 0)
  }
}

function consume() {
  const folder = LaneFolder.open(realDisk, path)
  const ring = folder.openRing(folder.list().rings[0])
  const out = openSync(outPath, 'a')
  const target = Buffer.alloc(64 * 1024)
  const ends = new Uint32Array(256)
  Atomics.store(workerData.started, 0, 1)
  Atomics.notify(workerData.started, 0)
  for (;;) {
    const { records, bytes, next } = ring.read(ring.drained, target, ends)
    if (records === 0) continue
    const lengths = Buffer.alloc(4 * records)
    for (let i = 0; i < records; i++) lengths.writeUInt32LE(ends[i] - (i === 0 ? 0 : ends[i - 1]), 4 * i)
    const head = Buffer.alloc(4)
    head.writeUInt32LE(records)
    // One call, so that all of the batch is there or, cut by the kill, what is missing is at its end.
    writeSync(out, Buffer.concat([head, lengths, target.subarray(0, bytes)]))
    ring.release(next)
  }
}

if (isMainThread) produce()
else consume()
