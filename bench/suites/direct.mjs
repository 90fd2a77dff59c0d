// Direct files: fixed-size records from worker threads, until all of them are on disk and the file is closed.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { startClock } from '../lib/clock.mjs'
import { buildFloor, floorProgram } from '../lib/floor.mjs'
import { goProgram } from '../lib/go.mjs'
import { verifyDirect } from '../lib/verify-direct.mjs'

const recordBytes = 256
const largeBytes = 300_000
const headlineRate = 1_000
const floorBytes = 8 << 20
/** Both sets of shards: memory and code are as warm as the floor's buffer when the clock starts. */
const warmUpBytes = 128 << 20
const asynclogger = goProgram('asynclogger', 'github.com/Meesho/BharatMLStack/asynclogger')

export const suite = {
  name: 'direct',
  title: 'Direct files: 256-byte records from worker threads',
  unit: 'records',
  records: 2_000_000,
  references: ['floor'],
  contenders: {
    floor: {
      note: 'C: 8 MiB writes with O_DIRECT and O_DSYNC; counted as records of 256 bytes',
      prepare: buildFloor,
      run: runFloor
    },
    'logboom 1 thread': ours(1, recordBytes),
    'logboom 2 threads': ours(2, recordBytes),
    'logboom 4 threads': ours(4, recordBytes),
    'logboom 8 threads': ours(8, recordBytes),
    'logboom 2 threads 1 KB': {
      ...ours(2, 1024),
      note: 'records of 1024 bytes, counted as four',
      share: 1
    },
    'asynclogger 4 goroutines': {
      note: 'the Go original in its default configuration, which drops; counted are the records offered',
      files: false,
      prepare: asynclogger.build,
      command: ({ folder, records }) => [asynclogger.path, folder, String(records), String(recordBytes), '4']
    },
    'headline load': {
      note: '1 000 records per second of 300 KB each, from the main thread',
      own: true,
      share: 0.005,
      run: runHeadline
    }
  },
  goals: [
    ...[1, 2, 4, 8].map((threads) => ({
      contender: `logboom ${threads} thread${threads > 1 ? 's' : ''}`,
      metric: 'rate',
      atLeast: 0.8,
      of: ['floor']
    })),
    { contender: 'logboom 2 threads 1 KB', metric: 'rate', atLeast: 0.8, of: ['floor'] },
    { contender: 'logboom 4 threads', metric: 'bytes', atLeast: 2, of: ['asynclogger 4 goroutines'] },
    { contender: 'logboom 1 thread', metric: 'intact' },
    { contender: 'logboom 2 threads', metric: 'intact' },
    { contender: 'logboom 4 threads', metric: 'intact' },
    { contender: 'logboom 8 threads', metric: 'intact' },
    { contender: 'logboom 1 thread', metric: 'callsPerCopy', atMost: 3 },
    { contender: 'headline load', metric: 'intact' },
    { contender: 'headline load', metric: 'callP99Ns', atMost: 870_000 }
  ]
}

function ours(threads, bytes) {
  return {
    note: `DirectFile, overflow 'block', ${threads} worker threads, warm`,
    own: true,
    run: (context) => runThreads(context, threads, bytes)
  }
}

function runFloor({ folder, records }) {
  const writes = Math.max(1, Math.round((records * recordBytes) / floorBytes))
  const floor = JSON.parse(execFileSync(floorProgram, ['bandwidth', folder, String(writes)]).toString())
  return { ...floor, records: floor.bytes / recordBytes }
}

async function runThreads({ folder, records }, threads, bytes) {
  const { DirectFile } = await import('logboom')
  const count = Math.floor((records * recordBytes) / bytes / threads)
  const warmUp = Math.ceil(warmUpBytes / bytes / threads)
  const file = new DirectFile({ path: join(folder, 'direct.log') })
  const workers = Array.from(
    { length: threads },
    (_, thread) =>
      new Worker(new URL('../lib/direct-writer.mjs', import.meta.url), {
        workerData: {
          handle: file.share(),
          first: thread * (warmUp + count),
          warmUp,
          count,
          recordBytes: bytes
        }
      })
  )
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  await file.flush()
  const stop = startClock()
  for (const worker of workers) worker.postMessage('go')
  const answers = await Promise.all(workers.map((worker) => once(worker, 'message')))
  await file.close()
  const measured = stop()
  const total = count * threads
  const files = await verifyDirect(folder, total + warmUp * threads, (data) =>
    data.length === bytes ? data.readUInt32LE(0) : -1
  )
  const callNs = Math.max(...answers.map(([{ medianNs }]) => medianNs))
  const copyNs = Math.min(...answers.map((answer) => answer[0].copyNs))
  const { droppedLogs } = file.getStatsSnapshot()
  return {
    records: (total * bytes) / recordBytes,
    // What the warm-up wrote is in the file, too.
    bytes: total * bytes,
    ...measured,
    dropped: droppedLogs,
    callNs,
    callsPerCopy: callNs / copyNs,
    files
  }
}

async function runHeadline({ folder, records }) {
  const { DirectFile } = await import('logboom')
  const file = new DirectFile({ path: join(folder, 'direct.log') })
  const record = Buffer.alloc(largeBytes, '.')
  const callsNs = []
  await file.flush()
  const stop = startClock()
  const startMs = performance.now()
  for (let id = 0; id < records; ) {
    const due = Math.min(records, Math.floor(((performance.now() - startMs) / 1000) * headlineRate))
    for (; id < due; id++) {
      record.writeUInt32LE(id, 0)
      const calledNs = process.hrtime.bigint()
      file.logBytes(record)
      callsNs.push(Number(process.hrtime.bigint() - calledNs))
    }
    await delay(1)
  }
  await file.close()
  const measured = stop()
  callsNs.sort((a, b) => a - b)
  const files = await verifyDirect(folder, records, (data) =>
    data.length === largeBytes ? data.readUInt32LE(0) : -1
  )
  const { droppedLogs } = file.getStatsSnapshot()
  return {
    records,
    ...measured,
    dropped: droppedLogs,
    callNs: callsNs[callsNs.length >> 1],
    callP99Ns: callsNs[Math.floor(callsNs.length * 0.99)],
    files
  }
}
