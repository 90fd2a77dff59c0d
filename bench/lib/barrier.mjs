// Several writer processes on one file: all are started and say `ready`, then all get the word to go. The clock runs
// from that word to the report of the last of them, which each sends when its file is closed.
import { childCommand, startCommand } from './process.mjs'

export async function raceWriters(suite, contender, context, limitMs) {
  const records = Math.round(context.records / suite.writers)
  const started = []
  for (let writer = 0; writer < suite.writers; writer++) {
    const own = { ...context, writer, records }
    started.push(startCommand(contender.command?.(own) ?? childCommand(own), limitMs))
  }
  try {
    return await race(started)
  } finally {
    // After a failure the others must not go on writing into the next run.
    await Promise.all(started.map((one) => one.end()))
  }
}

async function race(started) {
  await Promise.all(started.map((one) => one.ready))
  const startMs = performance.now()
  for (const one of started) one.stdin.end('go\n')
  const results = await Promise.all(started.map((one) => one.result))
  const endMs = Math.max(...started.map((one) => one.reportedAt()))
  const sum = (field) => results.reduce((total, one) => total + (one[field] ?? 0), 0)
  return {
    records: sum('records'),
    seconds: (endMs - startMs) / 1000,
    cpuSeconds: sum('cpuSeconds'),
    peakBytes: sum('peakBytes'),
    dropped: sum('dropped')
  }
}
