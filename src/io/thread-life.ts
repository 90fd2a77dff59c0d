// Who a thread is, so that others can tell later whether it still runs: neither a process id that was given again nor a
// thread that ended within a process that goes on is taken for it.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { performance } from 'node:perf_hooks'
import { threadId } from 'node:worker_threads'
import { monotonicMs } from '../base/clock.ts'
import { systemCode } from '../base/errors.ts'
import { isAlive } from '../base/process.ts'
import { NO_SPACE, type Owner } from '../formats/claim-name.ts'

/**
 * `elsewhere`: in another container or on another machine, where there is no telling from here. `beforeStart`: on this
 * machine before it was started again, or on another one.
 */
export type ThreadLife = 'running' | 'ended' | 'elsewhere' | 'beforeStart'

/** Two readings of when a process was started differ by less. */
const START_TOLERANCE_MS = 2_000
/** For so long a process that was found to be the one is not asked for again; asking takes a process of its own. */
const ASK_AGAIN_MS = 60_000
const PS_TIMEOUT_MS = 2_000

let own: Owner | undefined

/** The calling thread. */
export function thisThread(): Owner {
  own ??= fromKernel() ?? withoutKernel()
  return own
}

/** Whether the thread that was `owner` still runs, as seen from the thread `self`. */
export function lifeOf(owner: Owner, self: Owner = thisThread()): ThreadLife {
  if (owner.space === NO_SPACE) return self.space === NO_SPACE ? lifeByProcess(owner, self) : 'elsewhere'
  if (self.space === NO_SPACE) return 'elsewhere'
  if (owner.machine !== self.machine) return 'beforeStart'
  if (owner.space !== self.space) return 'elsewhere'
  return lifeByKernel(owner)
}

/** Undefined where the kernel does not tell: not Linux, or /proc is not there, not ours or not to be read. */
function fromKernel(): Owner | undefined {
  try {
    const [pid, , thread] = readlinkSync('/proc/thread-self').split('/').map(Number)
    // A /proc of another namespace counts processes differently.
    if (pid !== process.pid) return undefined
    const { start } = readThread(pid, thread)
    const machine = digest(readFileSync('/proc/sys/kernel/random/boot_id', 'latin1'))
    return { pid, thread, start, machine, space: digest(`${namespace('pid')} ${namespace('time')}`) }
  } catch {
    return undefined
  }
}

function withoutKernel(): Owner {
  const machine = digest(`${process.platform} ${hostname()}`)
  return {
    pid: process.pid,
    thread: threadId,
    start: Math.round(performance.timeOrigin),
    machine,
    space: NO_SPACE
  }
}

/** Older kernels do not have each kind. */
function namespace(kind: string): string {
  try {
    return readlinkSync(`/proc/self/ns/${kind}`)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return ''
    throw error
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

/** Start and state of a thread, by proc_pid_stat(5); the name before them may hold anything. */
function readThread(pid: number, thread: number): { start: number; state: string } {
  const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0], start: Number(fields[19]) }
}

function lifeByKernel({ pid, thread, start }: Owner): ThreadLife {
  try {
    const found = readThread(pid, thread)
    // A zombie only waits for its parent to ask.
    return found.start === start && found.state !== 'Z' && found.state !== 'X' ? 'running' : 'ended'
  } catch (error) {
    const code = systemCode(error)
    if (code !== 'ENOENT' && code !== 'ESRCH') return 'running'
  }
  // Where /proc hides the processes of others (hidepid), the kernel says by signals that they are there.
  return isAlive(pid) && !isVisible(pid) ? 'running' : 'ended'
}

function isVisible(pid: number): boolean {
  try {
    readThread(pid, pid)
    return true
  } catch {
    return false
  }
}

function lifeByProcess(owner: Owner, self: Owner): ThreadLife {
  if (owner.machine !== self.machine) return 'elsewhere'
  const isOwnProcess = owner.pid === self.pid
  if (isOwnProcess) return owner.start === self.start ? 'running' : 'ended'
  if (!isAlive(owner.pid)) return 'ended'
  return isSameProcess(owner) ? 'running' : 'ended'
}

const askedAtMs = new Map<string, number>()

function isSameProcess({ pid, start }: Owner): boolean {
  const key = `${pid} ${start}`
  const nowMs = monotonicMs()
  if (nowMs - (askedAtMs.get(key) ?? -ASK_AGAIN_MS) < ASK_AGAIN_MS) return true
  const foundMs = startedAtMs(pid)
  if (foundMs !== undefined && Math.abs(foundMs - start) > START_TOLERANCE_MS) return false
  askedAtMs.clear()
  askedAtMs.set(key, nowMs)
  return true
}

/** By ps(1) of BSD, macOS and Linux; undefined where there is none such. */
function startedAtMs(pid: number): number | undefined {
  try {
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
      timeout: PS_TIMEOUT_MS
    })
    const ms = Date.parse(`${text.trim()} UTC`)
    return Number.isNaN(ms) ? undefined : ms
  } catch {
    return undefined
  }
}
