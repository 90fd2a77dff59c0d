// A process that tells, when it exits, how much memory it had at most and how long it ran.
import { spawnSync } from 'node:child_process'

export interface Measured {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly residentBytes: number
  readonly ms: number
  /** Processor time of all its threads. */
  readonly cpuMs: number
}

const MARK = 'measured '
const hook = `const began = performance.now()
  process.on('exit', () => {
    const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
    const cpuMs = (userCPUTime + systemCPUTime) / 1000
    process._rawDebug(${JSON.stringify(MARK)} + maxRSS + ' ' + (performance.now() - began) + ' ' + cpuMs)
  })`

/** Runs Node with `args` to its end; `stdoutLimit` bounds what is kept of its output. */
export function measure(args: readonly string[], hooks: readonly string[] = []): Measured {
  const imports = [hook, ...hooks].flatMap((each) => [
    '--import',
    `data:text/javascript,${encodeURIComponent(each)}`
  ])
  const { stdout, stderr, status } = spawnSync(process.execPath, [...imports, ...args], {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024
  })
  const lines = stderr.split('\n')
  const measured = lines.find((line) => line.startsWith(MARK)) ?? ''
  const [kib, ms, cpuMs] = measured.slice(MARK.length).split(' ').map(Number)
  return {
    code: status,
    stdout,
    stderr: lines.filter((line) => line !== measured).join('\n'),
    residentBytes: kib * 1024,
    ms,
    cpuMs
  }
}
