// Records of 200 bytes in binary files and in spool files. Every record ends in a newline, so that what was written can
// be checked like lines; the four bytes before a record are its length prefix, or part of the line in spool files.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTick } from 'node:timers/promises'
import { startClock } from '../lib/clock.mjs'
import { emptyFiles } from '../lib/empty-files.mjs'
import { goProgram } from '../lib/go.mjs'
import { warmPageCache } from '../lib/warm-page-cache.mjs'

const maxBytes = 10 << 20
const lineBytes = 204
const firstId = 1_000_000
const recordsPerTick = 200
const spoolBytes = 65_536
/** After one run of the job V8 still compiles, on a thread of its own, what runs once for each file. */
const warmUps = 3
const bufferedwriter = goProgram('bufferedwriter', 'github.com/viki-org/bufferedwriter')
const model = goProgram('bufferedmodel')
const python = join(import.meta.dirname, '../python/binary_logger.py')

export const suite = {
  name: 'files',
  title: 'binary files (10 MiB rollover) and spool files (64 KiB), records of 200 bytes',
  unit: 'records',
  records: 1_000_000,
  lines: { lineBytes, marker: 'id=', digits: 7, firstId },
  references: ['binary: Python original', 'binary: flush each (Node)'],
  contenders: {
    'binary: Python original': {
      note: 'a model of it in Python: one write and flush per record; one process',
      share: 0.3,
      prepare: () =>
        spawnSync('python3', ['--version']).status === 0 ? undefined : 'python3 is not installed',
      command: ({ folder, records }) => [
        'python3',
        ...[python, join(folder, 'events.bin'), records, lineBytes - 4, firstId, maxBytes].map(String)
      ]
    },
    'binary: flush each (Node)': {
      note: 'the same in Node: one write per record; one process',
      share: 0.3,
      run: (context) => measured(context, lineBytes - 4, writeRecordByRecord)
    },
    'binary: logboom, flushSync each': {
      note: 'BinaryFile with the semantics of the original: in the kernel when the call returns; any number of processes',
      own: true,
      share: 0.1,
      run: (context) => measured(context, lineBytes - 4, writeBinaryFile(true))
    },
    'binary: logboom': {
      note: 'BinaryFile, 200 records per tick, flushed at the end; any number of processes, locking on',
      own: true,
      run: (context) => measured(context, lineBytes - 4, writeBinaryFile(false))
    },
    'binary: logboom (cold)': {
      note: 'the same; the clock starts before anything has been compiled',
      own: true,
      run: (context) => measured(context, lineBytes - 4, writeBinaryFile(false), true)
    },
    'spool: write-file-atomic': {
      note: 'Node: 64 KiB collected by the caller, four files at a time; it has no buffer of its own',
      run: (context) => measured(context, lineBytes, writeAtomicFiles)
    },
    'spool: bufferedwriter': {
      note: 'the Go original in its default configuration; it has no close, so its last buffers are not written',
      files: false,
      prepare: bufferedwriter.build,
      command: ({ folder, records }) => [bufferedwriter.path, folder, String(records), String(lineBytes)]
    },
    'spool: bufferedwriter (Go model)': {
      note: 'our own Go program that does the same for each record and file, for where its module cannot be had',
      prepare: model.build,
      command: ({ folder, records }) => [model.path, folder, String(records), String(lineBytes)]
    },
    'spool: logboom': {
      note: 'Spool, default options but a timeout of 10 s, each write awaited; recoverable, no-clobber, any number of processes',
      own: true,
      run: (context) => measured(context, lineBytes, writeSpool(awaitEach))
    },
    'spool: logboom (200 per tick)': {
      note: 'the same, of 200 records per tick only the last is awaited, as a logger would',
      own: true,
      run: (context) => measured(context, lineBytes, writeSpool(awaitOncePerTick))
    },
    'spool: logboom (cold)': {
      note: 'each write awaited; the clock starts before anything has been compiled',
      own: true,
      run: (context) => measured(context, lineBytes, writeSpool(awaitEach), true)
    }
  },
  goals: [
    {
      contender: 'binary: logboom',
      metric: 'rate',
      atLeast: 10,
      of: ['binary: Python original', 'binary: flush each (Node)']
    },
    { contender: 'binary: logboom', metric: 'intact' },
    {
      contender: 'spool: logboom',
      metric: 'rate',
      atLeast: 2,
      of: ['spool: bufferedwriter', 'spool: bufferedwriter (Go model)']
    },
    { contender: 'spool: logboom', metric: 'intact' }
  ]
}

/** Records made and flattened before the clock starts: only writing them is measured. */
function recordsOf(count, bytes) {
  return Array.from({ length: count }, (_, number) => {
    const record = Buffer.alloc(bytes, '.')
    record.write(`id=${firstId + number} an event `)
    record[bytes - 1] = 10
    return record.latin1Slice()
  })
}

/**
 * Runs `job(folder, texts)` for the records of the run. Unless `isCold`, the whole job is done a few times before the
 * clock starts, in folders that nobody looks into: Node compiles what runs often, while programs in Go and Python are as
 * fast from the first record on.
 */
async function measured({ folder, records }, recordBytes, job, isCold = false) {
  const texts = recordsOf(records, recordBytes)
  // Loading the package is nobody's record.
  await import('logboom')
  for (let round = 0; round < warmUps && !isCold; round++) {
    const aside = `${folder}-${process.pid}-${round}`
    mkdirSync(aside)
    await job(aside, texts)
    emptyFiles(aside)
  }
  // What programs get that start at once; making the records and the warm-up took seconds.
  warmPageCache(`${folder}-warm`)
  const stop = startClock()
  const more = await job(folder, texts)
  return { records, ...more, ...stop() }
}

async function writeRecordByRecord(folder, texts) {
  const path = join(folder, 'events.bin')
  let fd = openSync(path, 'a')
  let size = 0
  let number = 0
  for (const text of texts) {
    const length = Buffer.byteLength(text)
    const record = Buffer.allocUnsafe(4 + length)
    record.writeUInt32BE(length)
    record.utf8Write(text, 4)
    writeSync(fd, record)
    size += record.length
    if (size < maxBytes) continue
    closeSync(fd)
    renameSync(path, join(folder, `events.${number++}.bin`))
    fd = openSync(path, 'a')
    size = 0
  }
  closeSync(fd)
}

const writeBinaryFile = (flushEach) => async (folder, texts) => {
  const { BinaryFile } = await import('logboom')
  const file = new BinaryFile({ path: join(folder, 'events.bin'), maxBytes })
  for (let number = 0; number < texts.length; ) {
    const end = Math.min(texts.length, number + recordsPerTick)
    for (; number < end; number++) {
      file.write(texts[number])
      if (flushEach) file.flushSync()
    }
    await nextTick()
  }
  await file.close()
}

const writeSpool = (writeAll) => async (folder, texts) => {
  const { Spool } = await import('logboom')
  const spool = new Spool({ path: folder, size: spoolBytes, timeout: '10s' })
  await writeAll(spool, texts)
  await spool.close()
  return { dropped: spool.stats().dropped }
}

async function awaitEach(spool, texts) {
  for (let number = 0; number < texts.length; number++) await spool.write(texts[number])
}

async function awaitOncePerTick(spool, texts) {
  for (let number = 0; number < texts.length; ) {
    const end = Math.min(texts.length, number + recordsPerTick)
    let isTaken
    for (; number < end; number++) isTaken = spool.write(texts[number])
    // Records are taken in order, so with the last all of them are.
    await isTaken
    await nextTick()
  }
}

async function writeAtomicFiles(folder, texts) {
  const { default: writeFileAtomic } = await import('write-file-atomic')
  const perFile = Math.ceil(spoolBytes / lineBytes)
  let writing = []
  for (let number = 0; number < texts.length; number += perFile) {
    const path = join(folder, `${number}.log`)
    writing.push(
      writeFileAtomic(path, texts.slice(number, number + perFile).join(''), { fsync: false, mode: 0o400 })
    )
    if (writing.length === 4) {
      await Promise.all(writing)
      writing = []
    }
  }
  await Promise.all(writing)
}
