// A thread of the direct suite: attaches to the file, waits for the word, logs its share and says how long a call took.
import { parentPort, workerData } from 'node:worker_threads'
import { DirectFile } from 'logboom'

const { handle, first, count, recordBytes } = workerData
const writer = DirectFile.attach(handle)
const record = Buffer.alloc(recordBytes, '.')
const callsPerSample = 1_000

parentPort.once('message', () => {
  const samplesNs = []
  for (let done = 0; done < count; ) {
    const end = Math.min(count, done + callsPerSample)
    const calls = end - done
    const startNs = process.hrtime.bigint()
    for (; done < end; done++) {
      record.writeUInt32LE(first + done, 0)
      writer.logBytes(record)
    }
    samplesNs.push(Number(process.hrtime.bigint() - startNs) / calls)
  }
  writer.close()
  samplesNs.sort((a, b) => a - b)
  parentPort.postMessage({ medianNs: samplesNs[samplesNs.length >> 1] })
})
parentPort.postMessage('ready')
