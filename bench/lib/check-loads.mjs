// The loads of `npm run bench:check`, and the process that runs one of them: check-loads.mjs <load> <checkout> <folder>
// prints how much CPU time it needed, with the import. Each takes about a third of a second.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const turn = () => new Promise((resolve) => setImmediate(resolve))
const line = `${'x'.repeat(224)}\n`
const bytes = Buffer.alloc(256, 120)

/** name → what writes with the package `logboom` into `folder`, to the end of its close. */
export const loads = {
  start: async ({ RotatingFile, BinaryFile, Spool, WriteAheadLog }, folder) => {
    const lines = new RotatingFile({ path: join(folder, 'app.log') })
    lines.write(line)
    const records = new BinaryFile({ path: join(folder, 'app.bin'), maxBytes: '10m' })
    records.write(bytes)
    const spool = new Spool({ dir: join(folder, 'spool') })
    await spool.write(line)
    const log = await WriteAheadLog.open({ walDir: join(folder, 'wal'), durability: 'os' })
    await log.log([bytes])
    await Promise.all([lines, records, spool, log].map((sink) => sink.close()))
  },
  'rotating-file': ({ RotatingFile }, folder) =>
    perTurn(
      new RotatingFile({ path: join(folder, 'app.log'), maxBytes: '10m', maxBackups: 3 }),
      2_500,
      (file) => file.write(line)
    ),
  'binary-file': ({ BinaryFile }, folder) =>
    perTurn(new BinaryFile({ path: join(folder, 'app.bin'), maxBytes: '10m' }), 2_500, (file) =>
      file.write(bytes)
    ),
  'event-files': ({ EventFiles, LoggerManager }, folder) => {
    const files = new (EventFiles ?? LoggerManager)({ dir: folder })
    let count = 0
    return perTurn(files, 1_000, () => files.log(`event-${count++ % 50}`, line))
  },
  'direct-file': async ({ DirectFile }, folder) => {
    const file = new DirectFile({ path: join(folder, 'app.log'), overflow: 'block' })
    for (let count = 0; count < 600_000; count++) file.logBytes(bytes)
    await file.close()
  },
  spool: async ({ Spool }, folder) => {
    const spool = new Spool({ dir: folder })
    for (let count = 0; count < 120_000; count++) await spool.write(line)
    await spool.close()
  },
  'wal batches': async ({ WriteAheadLog }, folder) => {
    const log = await WriteAheadLog.open({ walDir: join(folder, 'wal'), durability: 'os' })
    const batch = Array.from({ length: 1_000 }, () => bytes)
    for (let count = 0; count < 200; count++) await log.log(batch)
    await log.close()
  }
}

/** 200 records in each of `turns` turns of the event loop. */
async function perTurn(sink, turns, write) {
  for (let count = 0; count < turns; count++) {
    for (let record = 0; record < 200; record++) write(sink)
    await turn()
  }
  await sink.close()
}

if (process.argv[1] === import.meta.filename) {
  const [, , name, checkout, folder] = process.argv
  const start = process.cpuUsage()
  const logboom = await import(pathToFileURL(join(checkout, 'dist/index.js')).href)
  await loads[name](logboom, folder)
  const { user, system } = process.cpuUsage(start)
  process.stdout.write(JSON.stringify({ cpuMs: (user + system) / 1_000 }))
}
