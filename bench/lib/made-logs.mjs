// Logs of every format for the suites that read: made once, beside the folders of the runs, by a process of its own whose
// memory is not measured.
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'

const recordBytes = 256
const batchRecords = 1_000
const parent = join(tmpdir(), `logboom-bench-read-${process.getuid?.() ?? 0}`)

/**
 * A log of about `megabytes` in one of the formats of `makers`: `{path, files, bytes, records}`, the files in the order of
 * their records.
 */
export function madeLog(format, megabytes) {
  const folder = join(parent, `${format}-${megabytes}`)
  if (!existsSync(join(folder, '.done'))) {
    const code = `import { make } from ${JSON.stringify(import.meta.url)}; await make(${JSON.stringify(format)}, ${megabytes})`
    execFileSync(process.execPath, ['--input-type=module', '-e', code])
  }
  const { name } = makers[format]
  const path = join(folder, name)
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((each) => !each.startsWith('.'))
        .sort()
        .map((each) => join(path, each))
    : [path]
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0)
  return { path, files, bytes, records: recordsOf(megabytes) }
}

export async function make(format, megabytes) {
  const folder = join(parent, `${format}-${megabytes}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await makers[format].make(await import('logboom'), join(folder, makers[format].name), recordsOf(megabytes))
  mkdirSync(join(folder, '.done'))
}

function recordsOf(megabytes) {
  return Math.max(1, Math.floor((megabytes * 1e6) / recordBytes / batchRecords)) * batchRecords
}

function record(i) {
  const text = `{"level":30,"time":${1_700_000_000_000 + i},"id":${i},"msg":"a request was answered","path":"/items/${i % 977}`
  return `${text}${'x'.repeat(recordBytes - 3 - text.length)}"}`
}

function* batches(records) {
  for (let at = 0; at < records; at += batchRecords) {
    yield Array.from({ length: batchRecords }, (_, i) => record(at + i))
  }
}

const makers = {
  'rotating-file': {
    name: 'app.log',
    make: async (_, path, records) => writeLines(path, records)
  },
  'rotating-file.gz': {
    name: 'app.log.gz',
    async make(_, path, records) {
      const plain = path.slice(0, -3)
      writeLines(plain, records)
      await pipeline(createReadStream(plain), createGzip(), createWriteStream(path))
      rmSync(plain)
    }
  },
  'binary-file': {
    name: 'app.bin',
    async make({ BinaryFile }, path, records) {
      const file = new BinaryFile({ path, maxBytes: '2g' })
      for (const batch of batches(records)) {
        for (const each of batch) file.write(each)
        await file.flush()
      }
      await file.close()
    }
  },
  'direct-file': {
    name: 'app.direct',
    async make({ DirectFile }, path, records) {
      const file = new DirectFile({ path, overflow: 'block' })
      for (const batch of batches(records)) for (const each of batch) file.log(each)
      await file.close()
    }
  },
  spool: {
    name: 'spool',
    async make({ Spool }, path, records) {
      const spool = new Spool({ dir: path, maxBytes: '16m', timeout: '1m' })
      for (const batch of batches(records)) await Promise.all(batch.map((each) => spool.write(`${each}\n`)))
      await spool.close()
    }
  },
  wal: {
    name: 'wal',
    async make({ WriteAheadLog }, path, records) {
      const log = await WriteAheadLog.open({ walDir: path, durability: 'os' })
      for (const batch of batches(records)) await log.log(batch)
      await log.close()
    }
  }
}

function writeLines(path, records) {
  const fd = openSync(path, 'w')
  for (const batch of batches(records)) writeSync(fd, `${batch.join('\n')}\n`)
  closeSync(fd)
}
