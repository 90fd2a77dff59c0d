// A sign of life that is seen from other containers of the machine, where process ids say nothing: a socket in the file
// system, which the kernel closes with the thread that listens.
import type { Server } from 'node:net'
import { Worker } from 'node:worker_threads'
import { monotonicMs } from '../base/clock.ts'

/** Longest path of a socket, in bytes, without the zero at its end. */
const MAX_SOCKET_PATH_BYTES = 107
const PROBE_TIMEOUT_MS = 2_000
/** A probe takes a thread, so an answer holds for so long. */
const PROBE_AGAIN_MS = 1_000
const MAX_REMEMBERED = 1_000

const YES = 1
const NO = 2

/** Connects and says how that went; a thread of its own, because the caller waits without letting its events go on. */
const PROBE = `
const { workerData: { path, answer } } = require('node:worker_threads')
const tell = (value) => { Atomics.store(answer, 0, value); Atomics.notify(answer, 0) }
require('node:net').connect(path).on('connect', () => tell(${YES}))
  .on('error', ({ code }) => tell(code === 'ECONNREFUSED' ? ${NO} : 3))`

/** Shows life at `path` until the returned function is called; undefined where that cannot be. */
export function showLife(path: string): (() => void) | undefined {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) return undefined
  try {
    // Loaded when it is needed: most processes have kernel locks.
    const { createServer } = process.getBuiltinModule('node:net')
    const server: Server = createServer((socket) => socket.destroy())
    // A file system without sockets, or a process that may not have any: there is no sign then.
    server.on('error', () => {})
    server.listen({ path, exclusive: true }).unref()
    return () => {
      server.close()
    }
  } catch {
    return undefined
  }
}

const remembered = new Map<string, { isShown: boolean | undefined; atMs: number }>()

/** Whether somebody shows life at `path`, where something is; undefined if there is no telling. */
export function isLifeShown(path: string): boolean | undefined {
  const nowMs = monotonicMs()
  const last = remembered.get(path)
  if (last !== undefined && nowMs - last.atMs < PROBE_AGAIN_MS) return last.isShown
  const isShown = probe(path)
  if (remembered.size >= MAX_REMEMBERED) remembered.clear()
  remembered.set(path, { isShown, atMs: nowMs })
  return isShown
}

function probe(path: string): boolean | undefined {
  const answer = new Int32Array(new SharedArrayBuffer(4))
  try {
    const worker = new Worker(PROBE, { eval: true, workerData: { path, answer } })
    worker.on('error', () => {})
    Atomics.wait(answer, 0, 0, PROBE_TIMEOUT_MS)
    worker.unref()
    void worker.terminate()
  } catch {
    return undefined
  }
  if (answer[0] === YES) return true
  return answer[0] === NO ? false : undefined
}
