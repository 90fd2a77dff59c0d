// Shipping to a target that takes everything and keeps nothing: a backlog of 1 GB in files of 64 MB, against
// the plain loop that a program would write for itself; and how long after a burst the last record of it has been sent.
import { execFileSync } from 'node:child_process'
import { createReadStream, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { startClock } from '../lib/clock.mjs'

const recordBytes = 200
const batchRecords = 10_000
const burstRecords = 100_000

export const suite = {
  name: 'ship',
  title: 'A backlog of 1 GB, and a burst, to a target that throws away',
  unit: 'MB',
  records: 1_000,
  references: ['plain loop'],
  contenders: {
    Shipper: contender('with cursors, a checkpoint for each batch, and the log waiting for it', shipAll),
    'plain loop': contender('readline over the files, 10 000 lines at once, nothing noted', plainLoop, false),
    readRecords: contender('for await over readRecords, nothing noted', readAll),
    burst: {
      note: '100 000 records logged at once: until the target has the last one',
      own: true,
      files: false,
      run: burst
    }
  },
  goals: []
}

function contender(note, work, own = true) {
  return { note, own, files: false, run: (context) => measure(context, work) }
}

/** The log is the same for all runs, so it is made once, beside the folders of the runs. */
export async function makeLog(megabytes, isMaker = false) {
  const folder = join(tmpdir(), `logboom-bench-ship-${process.getuid?.() ?? 0}`)
  const path = join(folder, `${megabytes}`, 'app.log')
  const count = Math.floor((megabytes * 1e6) / recordBytes)
  if (existsSync(join(folder, `${megabytes}.done`))) return { path, count }
  if (!isMaker) {
    // In a process of its own, whose memory is not measured.
    const code = `import { makeLog } from ${JSON.stringify(import.meta.url)}; await makeLog(${megabytes}, true)`
    execFileSync(process.execPath, ['--input-type=module', '-e', code])
    return { path, count }
  }
  const { RotatingFile } = await import('logboom')
  rmSync(folder, { recursive: true, force: true })
  const file = new RotatingFile({ path, maxBytes: '64m' })
  for (let i = 0; i < count; i++) {
    file.writeLine(lineOf(i))
    if (i % 10_000 === 0) await file.flush()
  }
  await file.close()
  mkdirSync(join(folder, `${megabytes}.done`))
  return { path, count }
}

function lineOf(i) {
  const head = `{"level":30,"time":${1_700_000_000_000 + i},"n":${i},"msg":"`
  return `${head}${'x'.repeat(recordBytes - head.length - 3)}"}`
}

async function measure({ folder, records }, work) {
  const { path, count } = await makeLog(records)
  const logboom = await import('logboom')
  const stop = startClock()
  const found = await work(logboom, path, folder)
  const result = { records, ...stop() }
  if (found !== count) throw new Error(`${found} of ${count} records`)
  return result
}

async function shipAll({ Shipper }, source, folder) {
  let found = 0
  const target = throwAway((records) => {
    found += records
  })
  const checkpoint = join(folder, 'checkpoint')
  await new Shipper({ source, target, checkpoint, consumer: `bench-${process.pid}`, follow: false }).run()
  rmSync(join(source, `../.app.log.consumer-bench-${process.pid}`), { force: true })
  return found
}

async function readAll({ readRecords }, path) {
  let found = 0
  for await (const { data } of readRecords(path)) found += data.length > 0 ? 1 : 0
  return found
}

async function plainLoop(_logboom, path) {
  const folder = join(path, '..')
  const backups = readdirSync(folder).filter((name) => /^app\.log\.\d/.test(name))
  let found = 0
  const send = async (lines) => {
    found += lines.length
  }
  for (const name of [...backups.sort(), 'app.log']) {
    let lines = []
    for await (const line of createInterface({ input: createReadStream(join(folder, name)) })) {
      lines.push(line)
      if (lines.length === batchRecords) {
        await send(lines)
        lines = []
      }
    }
    await send(lines)
  }
  return found
}

async function burst({ folder }) {
  const { RotatingFile, Shipper } = await import('logboom')
  const path = join(folder, 'app.log')
  const file = new RotatingFile({ path, maxBytes: '4m', maxBackups: 2, compress: 'gzip' })
  let found = 0
  let arrived = () => {}
  const all = new Promise((resolve) => {
    arrived = resolve
  })
  const target = throwAway((records) => {
    found += records
    if (found === burstRecords + 1) arrived()
  })
  const shipper = new Shipper({ source: path, target, batchAge: 100 })
  file.writeLine(lineOf(0))
  await file.flush()
  const running = shipper.run()
  while (found === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  const stop = startClock()
  for (let i = 1; i <= burstRecords; i++) file.writeLine(lineOf(i))
  await all
  const result = { records: (burstRecords * recordBytes) / 1e6, ...stop() }
  await shipper.stop()
  await running
  await file.close()
  return result
}

function throwAway(count) {
  return {
    name: 'nowhere',
    guarantee: 'nothing is kept',
    splits: false,
    maxInFlight: 4,
    async send({ records }) {
      count(records.length)
      return []
    }
  }
}
