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

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  /** A program and its arguments that runs the script. */
  readonly wrapper?: readonly string[]
}

/** `code` finds its arguments in `process.argv[1]` and so on. */
export async function runScript(
  code: string,
  args: readonly string[] = [],
  nodeOptions: readonly string[] = [],
  { env, wrapper = [] }: RunOptions = {}
): Promise<Ended> {
  const startMs = performance.now()
  const [program, ...rest] = [
    ...wrapper,
    process.execPath,
    ...nodeOptions,
    '--input-type=module',
    '-e',
    code,
    '--',
    ...args
  ]
  const child = spawn(program, rest, { cwd: root, env: { ...process.env, ...env } })
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
