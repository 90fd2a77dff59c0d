// Entry of the thread that writes direct files to disk.
import { parentPort, workerData } from 'node:worker_threads'
import { native } from '../../native/index.ts'
import { realDisk } from '../disk.ts'
import { Flusher, type FlusherOptions } from './flusher.ts'
import { control, type DirectFileHandle, runState, SharedMemory } from './shared-memory.ts'

const { handle, options } = workerData as { handle: DirectFileHandle; options: FlusherOptions }
const memory = new SharedMemory(handle)
// Writers that wait for this thread must learn of its end, however it comes.
for (const state of [runState.opening, runState.open, runState.degraded, runState.closing]) {
  native.replaceAtExit(memory.words, control.state, state, runState.died)
}
new Flusher(memory, options, realDisk, (message) => parentPort?.postMessage(message)).run()
