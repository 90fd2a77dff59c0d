// A thread that logs numbered records of mixed size through a shared handle, then says how many.
import { parentPort, workerData } from 'node:worker_threads'
import { DirectFile } from 'logboom'

const { handle, thread, count, largest } = workerData
const writer = DirectFile.attach(handle)
const data = Buffer.alloc(largest, 'x')
// Kept where the test can read it after this thread was terminated.
const logged = new Int32Array(workerData.logged)

/** Mostly small sizes, sometimes up to `largest`; the same for the same number. */
function sizeOf(number) {
  const roll = (Math.imul(number + thread * 7919, 2654435761) >>> 0) / 2 ** 32
  if (roll < 0.98) return 20 + Math.floor(roll * 300)
  return 20 + Math.floor(((roll - 0.98) / 0.02) * (largest - 20))
}

let dropped = 0
for (let number = 0; number < count; number++) {
  const size = sizeOf(number)
  data.write(`${thread}:${number}:${size}:`, 'latin1')
  if (writer.logBytes(data.subarray(0, size))) Atomics.store(logged, thread, number + 1)
  else dropped++
  data.fill('x', 0, 20)
}
writer.close()
parentPort.postMessage({ dropped })
