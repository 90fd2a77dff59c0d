// A thread of the direct suite: attaches to the file, warms up, waits for the word, logs its share and says how long a
// call took, and how long a plain copy of such a record into memory of the size of a set of shards.
import { parentPort, workerData } from 'node:worker_threads'
import { DirectFile } from 'logboom'

const { handle, first, warmUp, count, recordBytes } = workerData
const writer = DirectFile.attach(handle)
const record = Buffer.alloc(recordBytes, '.')
const callsPerSample = 1_000
const setBytes = 64 << 20

function log(id) {
  record.writeUInt32LE(id, 0)
  writer.logBytes(record)
}

const copyNs = measureCopy()
for (let id = first; id < first + warmUp; id++) log(id)

parentPort.once('message', () => {
  const medianNs = medianOf(count, (i) => log(first + warmUp + i))
  writer.close()
  parentPort.postMessage({ medianNs, copyNs })
})
parentPort.postMessage('ready')

/** Of `calls` calls in groups, the time of one. */
function medianOf(calls, call) {
  const samplesNs = []
  for (let at = 0; at < calls; ) {
    const end = Math.min(calls, at + callsPerSample)
    const inSample = end - at
    const startNs = process.hrtime.bigint()
    for (; at < end; at++) call(at)
    samplesNs.push(Number(process.hrtime.bigint() - startNs) / inSample)
  }
  return samplesNs.sort((a, b) => a - b)[samplesNs.length >> 1]
}

function measureCopy() {
  const target = Buffer.from(new SharedArrayBuffer(setBytes)).fill(0)
  const places = Math.floor(setBytes / recordBytes)
  const copy = (id) => {
    record.writeUInt32LE(id, 0)
    target.set(record, (id % places) * recordBytes)
  }
  medianOf(places, copy)
  return medianOf(places, copy)
}
