// What the faults suite does to logging processes, and the account of what is in the files afterwards.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'

const script = join(import.meta.dirname, 'faults-writer.mjs')
const NO_LIMIT = 10_000_000
const STEADY_MS = 800
const WAIT_MS = 60_000
const POLL_MS = 20

class Writer {
  constructor(host, folder, name, { records = 1e9, maxBytes = NO_LIMIT } = {}) {
    this.name = name
    this.path = join(folder, 'log', 'app.log')
    this.counter = join(folder, `count-${name}`)
    mkdirSync(join(folder, 'log'), { recursive: true })
    const args = [script, host, this.path, name, this.counter, String(records), String(maxBytes)]
    this.child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    this.child.stdin.on('error', () => {})
    this.exited = once(this.child, 'close').then(([code, signal]) => ({ code, signal }))
    this.folder = join(folder, 'log')
  }

  /** Resolves when its first records are in a file: threads and modules take their time to load. */
  async works() {
    for (let waited = 0; waited < WAIT_MS; waited += POLL_MS) {
      if (logFiles(this.folder).some((path) => statSync(path).size > 0)) return
      await delay(POLL_MS)
    }
    throw new Error(`${this.name} writes nothing`)
  }

  /** Calls that have returned. */
  get logged() {
    if (!existsSync(this.counter)) return 0
    const bytes = readFileSync(this.counter)
    return bytes.length < 8 ? 0 : bytes.readDoubleLE()
  }

  async stop() {
    this.child.stdin.write('stop\n')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), WAIT_MS)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }
}

/** scenario → what happens; each gives counts. */
export const scenarios = {
  kill: {
    title: 'SIGKILL; then the next start',
    async run(host, folder) {
      const dead = new Writer(host, folder, 'dead')
      await dead.works()
      await delay(STEADY_MS + Math.random() * 300)
      dead.child.kill('SIGKILL')
      await dead.exited
      const next = new Writer(host, folder, 'next', { records: 200 })
      await next.exited
      return account(folder, [dead, next])
    }
  },
  'full disk': {
    title: 'the disk is full for a second and a half, then has space again',
    needsRoot: true,
    async run(host, folder) {
      const place = join(folder, 'log')
      mkdirSync(place)
      if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'none', place]).status !== 0)
        throw new Error('cannot mount')
      try {
        const writer = new Writer(host, folder, 'w')
        await writer.works()
        await delay(STEADY_MS)
        fill(join(place, 'filler'))
        await delay(1_500)
        unlinkSync(join(place, 'filler'))
        await delay(1_000)
        const later = writer.logged
        await delay(1_000)
        const isRunning = writer.child.exitCode === null && writer.child.signalCode === null
        await writer.stop()
        const counts = account(folder, [writer])
        return { ...counts, died: isRunning ? 0 : 1, deaf: counts.last.w < later ? 1 : 0 }
      } finally {
        spawnSync('umount', ['-l', place])
      }
    }
  },
  rename: {
    title: 'logrotate `create`: the file is renamed three times, the process goes on',
    async run(host, folder) {
      const writer = new Writer(host, folder, 'w')
      await writer.works()
      let deaf = 0
      for (let turn = 0; turn < 3; turn++) {
        await delay(STEADY_MS)
        const live = newest(join(folder, 'log'))
        // It never made a new one after the last turn.
        if (live === undefined) break
        const moved = join(folder, 'log', `moved-${turn}.log`)
        renameSync(live, moved)
        await delay(STEADY_MS)
        const size = statSync(moved).size
        await delay(200)
        // It still writes to the file that was taken away, which is removed one day.
        if (statSync(moved).size > size || !existsSync(live)) deaf = 1
      }
      await writer.stop()
      return { ...account(folder, [writer]), deaf }
    }
  },
  'several processes': {
    title: 'four processes on one file with a limit of 200 kB',
    async run(host, folder) {
      const options = { records: 4_000, maxBytes: 200_000 }
      const writers = ['a', 'b', 'c', 'd'].map((name) => new Writer(host, folder, name, options))
      await Promise.all(writers.map((writer) => writer.exited))
      return account(folder, writers)
    }
  }
}

function fill(path) {
  const fd = openSync(path, 'w')
  for (let size = 1 << 20; size > 0; ) {
    try {
      writeSync(fd, Buffer.alloc(size))
    } catch {
      size >>= 1
    }
  }
  closeSync(fd)
}

function logFiles(folder) {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
  return names
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.') && !entry.name.endsWith('.json'))
    .map((entry) => join(entry.parentPath, entry.name))
}

function newest(folder) {
  const files = logFiles(folder).filter((path) => !path.includes('moved-'))
  return files.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0]
}

function account(folder, writers) {
  const found = new Map(writers.map(({ name }) => [name, new Map()]))
  let torn = 0
  for (const path of logFiles(join(folder, 'log'))) {
    const bytes = readFileSync(path)
    const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1')
    for (const line of text.split('\n')) {
      if (line === '') continue
      const record = parse(line)
      const ids = found.get(record?.writer)
      if (ids === undefined || record.end !== 1) torn++
      else ids.set(record.id, (ids.get(record.id) ?? 0) + 1)
    }
  }
  const counts = { logged: 0, lost: 0, doubled: 0, torn, last: {} }
  for (const { name, logged } of writers) {
    const ids = found.get(name)
    counts.logged += logged
    for (let id = 0; id < logged; id++) if (!ids.has(id)) counts.lost++
    for (const times of ids.values()) counts.doubled += times - 1
    counts.last[name] = Math.max(-1, ...ids.keys())
  }
  return counts
}

function parse(line) {
  try {
    const record = JSON.parse(line)
    return typeof record === 'object' && record !== null ? record : undefined
  } catch {
    return undefined
  }
}

export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true })
}
