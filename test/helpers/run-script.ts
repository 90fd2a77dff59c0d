// Runs a piece of ECMAScript against the built package in a process of its own, to its end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { atTestEnd } from './at-test-end.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  readonly elapsedMs: number
}

/** `code` finds its arguments in `process.argv[1]` and so on. `wrapper`: a command that runs what follows it. */
export async function runScript(
  code: string,
  args: readonly string[] = [],
  nodeOptions: readonly string[] = [],
  wrapper: readonly string[] = []
): Promise<Ended> {
  const startMs = performance.now()
  const node = [process.execPath, ...nodeOptions, '--input-type=module', '-e', code, '--', ...args]
  const [command, ...rest] = [...wrapper, ...node]
  const child = spawn(command, rest, { cwd: root })
  atTestEnd(() => void child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [exitCode, signal] = await once(child, 'close')
  return { code: exitCode, signal, stdout, stderr, elapsedMs: performance.now() - startMs }
}
