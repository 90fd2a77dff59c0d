// Runs a piece of ECMAScript in a process or thread of its own. The built package is imported, because Node 20
// cannot run TypeScript.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { atTestEnd } from './at-test-end.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The address of a built module, for example `built('native/index.js')`, as text to put after `from`. */
export function built(module: string): string {
  return JSON.stringify(new URL(`../../dist/${module}`, import.meta.url).href)
}

/** Starts `code` in a child process; resolves with the child when it has printed its first output. */
export async function startProcess(code: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  atTestEnd(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const first = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')])
  if (typeof first[0] === 'number') throw new Error(`the child ended with exit code ${first[0]}`)
  return child
}

/**
 * Starts `code` in a worker thread; resolves with the worker and its first message. Like in thread-stream, Node
 * does not close the descriptors the thread leaves open.
 */
export async function startThread(code: string): Promise<{ worker: Worker; message: unknown }> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    trackUnmanagedFds: false
  })
  atTestEnd(async () => {
    await worker.terminate()
  })
  const [message] = await once(worker, 'message')
  return { worker, message }
}
