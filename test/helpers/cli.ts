// Runs the built command `logboom` in a process of its own.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { atTestEnd } from './at-test-end.ts'

export const cliPath = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface CliResult {
  stdout: string
  stderr: string
  code: number | null
  signal: NodeJS.Signals | null
}

/** Starts it; killed when the test ends. */
export function startCli(
  args: readonly string[],
  cwd?: string,
  env?: NodeJS.ProcessEnv
): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [cliPath, ...args], { cwd, env })
  atTestEnd(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  return child
}

/** Runs it to its end with `input` on stdin. */
export async function runCli(
  args: readonly string[],
  options: { input?: string | Buffer; cwd?: string } = {}
): Promise<CliResult> {
  const child = startCli(args, options.cwd)
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk) => stdout.push(chunk))
  child.stderr.on('data', (chunk) => stderr.push(chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString(), code, signal }
}
