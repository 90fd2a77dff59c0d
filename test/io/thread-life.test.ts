import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { describe, expect, test } from 'vitest'
import { NO_SPACE, type Owner } from '../../src/formats/claim-name.ts'
import { lifeOf, thisThread } from '../../src/io/thread-life.ts'
import { startThread } from '../helpers/script.ts'
import { until } from '../helpers/until.ts'

const linux = process.platform === 'linux'
/** What a system that tells nothing of threads would say of this one. */
const plain: Owner = {
  pid: process.pid,
  thread: 0,
  start: Math.round(performance.timeOrigin),
  machine: 'abcdef01',
  space: NO_SPACE
}

/** The main thread of another process, as it would describe itself. */
function ownerOf(pid: number): Owner {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
  return { ...thisThread(), pid, thread: pid, start: Number(fields[19]) }
}

/** A process that sleeps; killed at the end. */
async function sleeper(): Promise<{ pid: number; kill: () => Promise<void> }> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  await once(child, 'spawn')
  const exited = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  return { pid: child.pid!, kill }
}

test('this thread runs, and says the same of itself each time', () => {
  expect(lifeOf(thisThread())).toBe('running')
  expect(thisThread()).toEqual(thisThread())
  expect(thisThread().pid).toBe(process.pid)
})

describe.skipIf(!linux)('where the kernel tells of threads', () => {
  test('a process runs until it is killed, also while it is stopped', async () => {
    const { pid, kill } = await sleeper()
    const owner = ownerOf(pid)
    expect(lifeOf(owner)).toBe('running')
    process.kill(pid, 'SIGSTOP')
    await until(() => readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') T '))
    expect(lifeOf(owner)).toBe('running')
    await kill()
    expect(lifeOf(owner)).toBe('ended')
  })

  test('one that has ended and was not waited for has ended', async () => {
    // The shell is replaced by a program that never waits for the child of the shell.
    const parent = spawn('sh', ['-c', 'sleep 0.05 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore']
    })
    const [line] = await once(parent.stdout, 'data')
    const pid = Number(line)
    const owner = ownerOf(pid)
    await until(() => readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z '))
    expect(lifeOf(owner)).toBe('ended')
    parent.kill('SIGKILL')
    await once(parent, 'exit')
  })

  test('a process id that was given again is not the process that had it', async () => {
    const { pid, kill } = await sleeper()
    const owner = ownerOf(pid)
    expect(lifeOf({ ...owner, start: owner.start - 1 })).toBe('ended')
    expect(lifeOf({ ...thisThread(), start: thisThread().start - 1 })).toBe('ended')
    await kill()
  })

  test('a thread that ended has ended, although its process goes on', async () => {
    const code = `
      import { readFileSync, readlinkSync } from 'node:fs'
      import { parentPort } from 'node:worker_threads'
      parentPort.postMessage({
        thread: Number(readlinkSync('/proc/thread-self').split('/')[2]),
        start: Number(readFileSync('/proc/thread-self/stat', 'latin1').replace(/^.*\\) /s, '').split(' ')[19])
      })
      setInterval(() => {}, 1000)`
    const { worker, message } = await startThread(code)
    const owner = { ...thisThread(), ...(message as { thread: number; start: number }) }
    expect(owner.thread).not.toBe(process.pid)
    expect(lifeOf(owner)).toBe('running')
    await worker.terminate()
    // The kernel's thread is gone a moment after Node's.
    await until(() => lifeOf(owner) === 'ended')
  })

  test('of other containers and machines nothing is known, whatever their numbers', () => {
    const { pid } = spawnSync('true')
    const gone = { ...thisThread(), pid, thread: pid }
    expect(lifeOf({ ...gone, space: '00000000' })).toBe('elsewhere')
    expect(lifeOf({ ...gone, machine: '00000000' })).toBe('beforeStart')
    expect(lifeOf({ ...gone, space: NO_SPACE })).toBe('elsewhere')
    expect(lifeOf(gone, plain)).toBe('elsewhere')
  })

  test('processes of another namespace have another space', () => {
    const read = 'process.stdout.write(require("fs").readlinkSync("/proc/self/ns/pid"))'
    const run = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', process.execPath, '-e', read], {
      encoding: 'utf8'
    })
    // Without the right to make namespaces there is nothing to compare.
    if (run.status === 0) expect(run.stdout).not.toBe(readlinkSync('/proc/self/ns/pid'))
  })
})

describe('where nothing tells of threads', () => {
  test('this process runs, and one that had its number before does not', () => {
    expect(lifeOf(plain, plain)).toBe('running')
    expect(lifeOf({ ...plain, thread: 7 }, plain)).toBe('running')
    expect(lifeOf({ ...plain, start: plain.start - 60_000 }, plain)).toBe('ended')
  })

  test('another process runs until it has ended', async () => {
    const startedMs = Date.now()
    const { pid, kill } = await sleeper()
    const owner = { ...plain, pid, start: startedMs }
    expect(lifeOf(owner, plain)).toBe('running')
    await kill()
    expect(lifeOf(owner, plain)).toBe('ended')
  })

  test.skipIf(spawnSync('ps', ['-o', 'lstart=', '-p', String(process.pid)]).status !== 0)(
    'a process id that was given again is not the process that had it',
    async () => {
      const { pid, kill } = await sleeper()
      expect(lifeOf({ ...plain, pid, start: Date.now() - 3_600_000 }, plain)).toBe('ended')
      await kill()
    }
  )

  test(`of machines with other names than ${hostname()} nothing is known`, () => {
    expect(lifeOf({ ...plain, machine: '10fedcba' }, plain)).toBe('elsewhere')
  })
})
