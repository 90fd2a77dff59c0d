// Reading a write-ahead log back: 1 GB of 256-byte records in segments of 64 MB.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startClock } from '../lib/clock.mjs'
import { readThrough } from '../lib/read-through.mjs'

const recordBytes = 256
const batchRecords = 1_000
/** Of a record on disk: frame, checksum, index, and its share of the commit mark. */
const storedBytes = 288.024

export const suite = {
  name: 'wal-read',
  title: 'A write-ahead log of 1 GB, read back',
  unit: 'MB',
  records: 1_000,
  references: ['plain reads'],
  contenders: {
    'plain reads': {
      note: 'a loop of reads of 1 MiB of the same files, and nothing else',
      files: false,
      run: (context) => measure(context, readFiles, {})
    },
    verify: contender('log.verify(): every checksum, index and commit mark', verify),
    'verify, no addon': contender('the same with the portable fallback', verify, { LOGBOOM_NATIVE: '0' }),
    readRecords: contender('every entry as a record', readBack),
    open: contender('recovery: open() with no snapshot, every entry checked', open)
  },
  goals: [{ contender: 'verify', metric: 'rate', atLeast: 0.5, of: ['plain reads'] }]
}

function contender(note, work, env = {}) {
  return { note, own: true, files: false, run: (context) => measure(context, work, env) }
}

/** The log is the same for all runs, so it is made once, beside the folders of the runs. */
export async function makeLog(records, isMaker = false) {
  const folder = join(tmpdir(), `logboom-bench-wal-${process.getuid?.() ?? 0}`)
  const walDir = join(folder, `${records}`)
  const count = Math.floor((records * 1e6) / storedBytes / batchRecords) * batchRecords
  if (existsSync(join(walDir, '.done'))) return { walDir, count }
  if (!isMaker) {
    // In a process of its own, whose memory is not measured.
    const code = `import { makeLog } from ${JSON.stringify(import.meta.url)}; await makeLog(${records}, true)`
    execFileSync(process.execPath, ['--input-type=module', '-e', code])
    return { walDir, count }
  }
  const { WriteAheadLog } = await import('logboom')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const log = await WriteAheadLog.open({ walDir, durability: 'os' })
  const batch = Array.from({ length: batchRecords }, (_, i) => Buffer.alloc(recordBytes, `record ${i} `))
  for (let at = 0; at < count; at += batchRecords) await log.log(batch)
  await log.close()
  mkdirSync(join(walDir, '.done'))
  return { walDir, count }
}

async function measure({ records }, work, env) {
  Object.assign(process.env, env)
  const { walDir, count } = await makeLog(records)
  const logboom = await import('logboom')
  for (const name of segmentsOf(walDir)) readThrough(join(walDir, name))
  const stop = startClock()
  const found = await work(logboom, walDir, count)
  const result = { records, ...stop() }
  if (found !== count) throw new Error(`${found} of ${count} records found`)
  return result
}

function segmentsOf(walDir) {
  return readdirSync(walDir).filter((name) => name.endsWith('.wal'))
}

/** Its content is the others' to check. */
function readFiles(_, walDir, count) {
  for (const name of segmentsOf(walDir)) readThrough(join(walDir, name))
  return count
}

async function verify({ WriteAheadLog }, walDir) {
  const report = await new WriteAheadLog({ walDir }).verify()
  if (!report.ok) throw new Error(JSON.stringify(report.damage))
  return report.entries
}

async function readBack({ readRecords }, walDir) {
  let records = 0
  for await (const { data } of readRecords(walDir)) if (data.length === recordBytes) records++
  return records
}

async function open({ WriteAheadLog }, walDir) {
  const log = await WriteAheadLog.open({ walDir })
  const last = Number(log.lastIndex)
  await log.close()
  return last
}
