// Starts the measured processes and reads the one JSON line each of them prints about itself.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** Command line of a Node contender: child.mjs loads the suite and runs the contender's function. */
export function childCommand(context) {
  return [process.execPath, join(import.meta.dirname, 'child.mjs'), JSON.stringify(context)]
}

/** Runs `command` to its end; resolves to the JSON object of its last line, rejects with what it said on stderr. */
export function runCommand(command, limitMs) {
  return startCommand(command, limitMs).result
}

/**
 * The same for a process that is still to be told to go: its `stdin`, a promise of its first line (`ready`),
 * `reportedAt()`, the `performance.now()` at which its result arrived, and `end()`, which ends it now.
 */
export function startCommand([program, ...args], limitMs) {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_ENV: 'production' }
  })
  const ready = deferred()
  const output = { stdout: '', stderr: '' }
  let reportedAt = 0
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output.stdout += text
    if (output.stdout.endsWith('}\n')) reportedAt = performance.now()
    if (output.stdout.startsWith('ready\n')) ready.resolve()
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output.stderr += text
  })
  const result = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const line = output.stdout.trimEnd().split('\n').pop() ?? ''
      if (code === 0 && line.startsWith('{')) resolve(JSON.parse(line))
      else reject(new Error(`${signal ?? `exit ${code}`}: ${complaint(output.stderr) || 'no result'}`))
    })
  })
  // A writer that dies before it is ready must not leave the others waiting for it.
  result.catch(ready.reject)
  ready.promise.catch(() => {})
  const end = async () => {
    child.kill('SIGKILL')
    await result.catch(() => {})
  }
  return { stdin: child.stdin, ready: ready.promise, result, reportedAt: () => reportedAt, end }
}

function deferred() {
  const parts = {}
  parts.promise = new Promise((resolve, reject) => {
    Object.assign(parts, { resolve, reject })
  })
  return parts
}

/** What a process said of its end: the first line that speaks of an error, without the paths of this machine. */
function complaint(text) {
  const lines = text.trim().split('\n')
  const line = lines.find((each) => /error|panic/i.test(each)) ?? lines[0]
  return line.replace(/(file:\/\/)?\/[^\s'"]+/g, '…').trim()
}
