// Runs the command of a user to its end.
import { spawn } from 'node:child_process'
import { platform } from 'node:process'
import { errorMessage } from '../../base/errors.ts'

/** As much of what a command says on stderr is told of it. */
const MAX_STDERR_BYTES = 500

/** A text for the shell, or a program and its arguments. */
export type CommandLine = string | readonly string[]

/**
 * Resolves with undefined if the command ended well, else with why not; killed after `timeoutMs`. Rejects if `signal`
 * aborts: then nobody waits for it any more, and it goes on by itself.
 */
export function runCommand(
  command: CommandLine,
  variables: Readonly<Record<string, string>>,
  timeoutMs: number,
  signal: AbortSignal
): Promise<string | undefined> {
  const isText = typeof command === 'string'
  const [program, ...parameters] = isText ? [command] : command
  return new Promise((resolve, reject) => {
    // A group of its own: what ends this program from a terminal does not end it half-way.
    const child = spawn(program, parameters, {
      shell: isText,
      detached: platform !== 'win32',
      windowsHide: true,
      env: { ...process.env, ...variables },
      stdio: ['ignore', 'ignore', 'pipe']
    })
    let stderr = ''
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      kill(child.pid)
    }, timeoutMs)
    const end = (why: string | undefined): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', leave)
      resolve(why)
    }
    const leave = (): void => {
      clearTimeout(timer)
      child.stderr?.destroy()
      child.unref()
      reject(signal.reason)
    }
    signal.addEventListener('abort', leave, { once: true })
    // Without descriptors there is none.
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = `${stderr}${text}`.slice(-MAX_STDERR_BYTES)
    })
    child.on('error', (error) => end(errorMessage(error)))
    // Not 'close': what it has started may hold its stderr open for long.
    child.on('exit', (code, signalName) => {
      if (code === 0) end(undefined)
      else setImmediate(() => end(describe(code, isLate ? `after ${timeoutMs} ms` : signalName, stderr)))
    })
  })
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(platform === 'win32' ? pid : -pid, 'SIGKILL')
  } catch {
    // It has just ended.
  }
}

function describe(code: number | null, killed: string | null, stderr: string): string {
  const how = code === null ? `was killed (${killed})` : `ended with ${code}`
  const said = stderr.trim()
  return said === '' ? how : `${how}: ${said}`
}
