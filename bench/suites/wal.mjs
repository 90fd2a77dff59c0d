// Durable records of 256 bytes: one caller after the other, 64 callers at once, and batches of 1 000. Every record is on
// disk before its call returns or its promise resolves.
import { join } from 'node:path'
import { startClock } from '../lib/clock.mjs'
import { buildFloor, floorProgram } from '../lib/floor.mjs'
import { goProgram } from '../lib/go.mjs'

const recordBytes = 256
const batchRecords = 1_000
const callers = 64
/**
 * Records before the clock starts: Node compiles what runs often, which costs as much as thousands of records, and the
 * floor, too, fills its blocks with zeros before.
 */
const warmUp = 8_000
const etcdwal = goProgram('etcdwal')
const gobinlogger = goProgram('gobinlogger', 'github.com/harikube/go-binlogger')

export const suite = {
  name: 'wal',
  title: 'Records of 256 bytes, each on disk before it is acknowledged',
  unit: 'records',
  records: 1_000_000,
  references: ['C floor'],
  contenders: {
    'C floor': {
      note: 'zero-filled, O_DSYNC: one system call per record, no format, no checksum',
      share: 0.004,
      prepare: buildFloor,
      command: ({ folder, records }) => [floorProgram, 'dsync', folder, String(records)]
    },
    'logboom logSync': own('logSync, one caller', 0.004, serialSync),
    'logboom log': own('log awaited, one caller', 0.004, serial),
    'logboom log ×64': own('64 callers, group commit', 0.1, concurrent),
    'logboom batches': own('log of batches of 1 000', 1, batches),
    'go-binlogger': go(gobinlogger, 'the Go original: one caller; a second fdatasync each', 0.002, 1, 1),
    'go-binlogger ×64': go(gobinlogger, '64 callers', 0.00512, 1, callers),
    'go-binlogger batches': go(gobinlogger, 'batches of 1 000', 1, batchRecords, 1),
    'go-binlogger (Go model)': go(
      etcdwal,
      "our own program that drives etcd's package like the original, for where its module cannot be had",
      0.002,
      1,
      1,
      'twice'
    ),
    'go-binlogger (Go model) batches': go(etcdwal, 'batches of 1 000', 1, batchRecords, 1, 'twice'),
    'etcd wal': go(etcdwal, "etcd's package, one fdatasync each, one caller", 0.004, 1, 1),
    'etcd wal batches': go(etcdwal, 'batches of 1 000', 1, batchRecords, 1),
    'better-sqlite3': peer('better-sqlite3', 'WAL mode, synchronous FULL, a transaction each', 0.002, sqlite),
    'classic-level': peer('classic-level', 'put with sync, awaited', 0.002, level)
  },
  goals: [
    { contender: 'logboom logSync', metric: 'rate', atLeast: 0.95, of: ['etcd wal'] },
    { contender: 'logboom log', metric: 'rate', atLeast: 0.8, of: ['etcd wal'] },
    { contender: 'logboom log ×64', metric: 'rate', atLeast: 20, of: ['logboom log'] },
    {
      contender: 'logboom batches',
      metric: 'rate',
      atLeast: 1.5,
      of: ['go-binlogger batches', 'go-binlogger (Go model) batches']
    }
  ]
}

function own(note, share, work) {
  return { note, share, own: true, run: (context) => measureOwn(context, work) }
}

function go(program, note, share, batch, parallel, ...more) {
  return {
    note,
    share,
    prepare: program.build,
    command: ({ folder, records }) =>
      [program.path, folder, records, recordBytes, batch, parallel, ...more].map(String)
  }
}

function peer(name, note, share, work) {
  return {
    note,
    share,
    prepare: async () => {
      try {
        await import(name)
      } catch {
        return `${name} does not load here`
      }
    },
    run: work
  }
}

function recordsOf(count) {
  return Array.from({ length: count }, (_, i) => {
    const record = Buffer.alloc(recordBytes, '.')
    record.write(`id=${1_000_000 + i} `)
    return record
  })
}

/** Runs `work`, then reads the whole log back: every index once, every record as it was written. */
async function measureOwn({ folder, records }, work) {
  const { WriteAheadLog } = await import('logboom')
  const options = { walDir: join(folder, 'wal') }
  const log = await WriteAheadLog.open(options)
  const made = recordsOf(Math.min(records, batchRecords))
  await work(log, made, warmUp)
  const stop = startClock()
  await work(log, made, records)
  const result = { records, ...stop() }
  await log.close()
  const again = await WriteAheadLog.open(options)
  let next = 1n
  for await (const { index, data } of again.read()) {
    if (index !== next++ || data.length !== recordBytes || !data.toString('latin1').startsWith('id=1')) {
      throw new Error(`record ${index} is not as written`)
    }
  }
  await again.close()
  const logged = warmUp + records
  if (next !== BigInt(logged) + 1n) throw new Error(`${next - 1n} of ${logged} records found`)
  return result
}

async function serialSync(log, made, records) {
  for (let i = 0; i < records; i++) log.logSync([made[i % made.length]])
}

async function serial(log, made, records) {
  for (let i = 0; i < records; i++) await log.log([made[i % made.length]])
}

async function concurrent(log, made, records) {
  let left = records
  const call = async () => {
    while (left-- > 0) await log.log([made[left % made.length]])
  }
  await Promise.all(Array.from({ length: callers }, call))
}

async function batches(log, made, records) {
  for (let i = 0; i < records; i += made.length) await log.log(made)
}

async function sqlite({ folder, records }) {
  const { default: Database } = await import('better-sqlite3')
  const database = new Database(join(folder, 'log.db'))
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.exec('CREATE TABLE log (id INTEGER PRIMARY KEY, data BLOB)')
  const insert = database.prepare('INSERT INTO log (data) VALUES (?)')
  const [record] = recordsOf(1)
  const stop = startClock()
  for (let i = 0; i < records; i++) insert.run(record)
  const result = { records, ...stop() }
  database.close()
  return result
}

async function level({ folder, records }) {
  const { ClassicLevel } = await import('classic-level')
  const database = new ClassicLevel(join(folder, 'log'), { valueEncoding: 'buffer' })
  await database.open()
  const [record] = recordsOf(1)
  const stop = startClock()
  for (let i = 0; i < records; i++) await database.put(String(i).padStart(12, '0'), record, { sync: true })
  const result = { records, ...stop() }
  await database.close()
  return result
}
