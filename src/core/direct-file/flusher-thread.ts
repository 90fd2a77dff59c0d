// Entry of the thread that writes direct files to disk.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { realDisk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import { Flusher, type FlusherOptions, type FlusherRequest } from './flusher.ts'
import { control, type DirectFileHandle, runState, SharedMemory } from './shared-memory.ts'

const { handle, options } = workerData as { handle: DirectFileHandle; options: FlusherOptions }
const memory = new SharedMemory(handle)
// Writers that wait for this thread must learn of its end, however it comes.
for (const state of [runState.opening, runState.open, runState.degraded, runState.closing]) {
  native.replaceAtExit(memory.words, control.state, state, runState.died)
}
const port = parentPort!
new Flusher(memory, options, realDisk, {
  send: (message) => port.postMessage(message),
  // The thread blocks while it has nothing to do, so its event loop delivers no messages.
  receive: () => receiveMessageOnPort(port)?.message as FlusherRequest | undefined
}).run()
