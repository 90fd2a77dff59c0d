// A thread of the direct suite: attaches to the file, warms up, waits for the word, logs its share and says how long a
// call took.
import { parentPort, workerData } from 'node:worker_threads'
import { DirectFile } from 'logboom'

const { handle, first, warmUp, count, recordBytes } = workerData
const writer = DirectFile.attach(handle)
const record = Buffer.alloc(recordBytes, '.')
const callsPerSample = 1_000

function log(id) {
  record.writeUInt32LE(id, 0)
  writer.logBytes(record)
}

for (let id = first; id < first + warmUp; id++) log(id)

parentPort.once('message', () => {
  const samplesNs = []
  const last = first + warmUp + count
  for (let id = first + warmUp; id < last; ) {
    const end = Math.min(last, id + callsPerSample)
    const calls = end - id
    const startNs = process.hrtime.bigint()
    for (; id < end; id++) log(id)
    samplesNs.push(Number(process.hrtime.bigint() - startNs) / calls)
  }
  writer.close()
  samplesNs.sort((a, b) => a - b)
  parentPort.postMessage({ medianNs: samplesNs[samplesNs.length >> 1] })
})
parentPort.postMessage('ready')
