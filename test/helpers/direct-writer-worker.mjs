// A thread that logs numbered records of mixed size through a shared handle, then says how many.
import { parentPort, workerData } from 'node:worker_threads'
import { DirectFile } from 'logboom'
import { NUMBERED_BYTES, recordSize, threadByte } from './direct-record-size.mjs'

const { handle, thread, count, largest } = workerData
const writer = DirectFile.attach(handle)
const data = Buffer.alloc(largest, 'x')
const small = Buffer.alloc(NUMBERED_BYTES, threadByte(thread))
// Kept where the test can read it after this thread was terminated.
const logged = new Int32Array(workerData.logged)

let dropped = 0
for (let number = 0; number < count; number++) {
  const size = recordSize(thread, number, largest)
  data.write(`${thread}:${number}:${size}:`, 'latin1')
  const record = (size < NUMBERED_BYTES ? small : data).subarray(0, size)
  if (writer.logBytes(record)) Atomics.store(logged, thread, number + 1)
  else dropped++
  data.fill('x', 0, NUMBERED_BYTES)
}
writer.close()
parentPort.postMessage({ dropped })
