// Entry of the thread that writes direct files to disk.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { type Disk, realDisk } from '../../../io/disk.ts'
import { native } from '../../../native/index.ts'
import type { DiskModule } from '../../sink/internals.ts'
import { control, type DirectFileHandle, SharedMemory, threadState } from '../memory/shared-memory.ts'
import { systemThread } from '../memory/thread-life.ts'
import { Flusher } from './flusher.ts'
import type { FlusherOptions, FlusherRequest } from './flusher-protocol.ts'

export interface FlusherThreadData {
  readonly handle: DirectFileHandle
  readonly options: FlusherOptions
  /** Which start of a thread for this memory this is. */
  readonly start: number
  readonly diskModule: DiskModule | undefined
}

const { handle, options, start, diskModule } = workerData as FlusherThreadData

function run(disk: Disk): void {
  const memory = new SharedMemory(handle)
  const { words } = memory
  // Whoever started this thread may have given it up for another; two must never work on one memory.
  if (Atomics.compareExchange(words, control.start, start, -start) !== start) return
  // Those who wait for this thread must learn of its end, however it comes.
  Atomics.store(words, control.systemThread, systemThread())
  for (const state of [threadState.starting, threadState.running]) {
    native.replaceAtExit(words, control.thread, state, threadState.ended)
  }
  process.once('exit', () => Atomics.store(words, control.thread, threadState.ended))
  const port = parentPort!
  new Flusher(memory, options, disk, {
    send: (message) => port.postMessage(message),
    // The thread blocks while it has nothing to do, so its event loop delivers no messages.
    receive: () => receiveMessageOnPort(port)?.message as FlusherRequest | undefined
  }).run()
}

if (diskModule === undefined) run(realDisk)
else {
  void import(diskModule.url).then(({ createDisk }) => {
    run((createDisk as (disk: Disk, data: unknown) => Disk)(realDisk, diskModule.data))
  })
}
