// Records of 200 bytes in binary files and in spool files. Every record ends in a newline, so that what was written can
// be checked like lines; the four bytes before a record are its length prefix, or part of the line in spool files.
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTick } from 'node:timers/promises'
import { startClock } from '../lib/clock.mjs'
import { goProgram } from '../lib/go.mjs'

const maxBytes = 10 << 20
const lineBytes = 204
const firstId = 1_000_000
const recordsPerTick = 200
const spoolBytes = 65_536
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
      run: runRecordByRecord
    },
    'binary: logboom, flushSync each': {
      note: 'BinaryFile with the semantics of the original: in the kernel when the call returns; any number of processes',
      own: true,
      share: 0.1,
      run: (context) => runBinaryFile(context, true)
    },
    'binary: logboom': {
      note: 'BinaryFile, 200 records per tick, flushed at the end; any number of processes, locking on',
      own: true,
      run: (context) => runBinaryFile(context, false)
    },
    'spool: write-file-atomic': {
      note: 'Node: 64 KiB collected by the caller, four files at a time; it has no buffer of its own',
      run: runWriteFileAtomic
    },
    'spool: bufferedwriter': {
      note: 'the Go original in its default configuration',
      files: false,
      prepare: bufferedwriter.build,
      command: ({ folder, records }) => [bufferedwriter.path, folder, String(records), String(lineBytes)]
    },
    'spool: bufferedwriter (Go model)': {
      note: 'our own Go program of the same design, for where its module cannot be had',
      prepare: model.build,
      command: ({ folder, records }) => [model.path, folder, String(records), String(lineBytes)]
    },
    'spool: logboom': {
      note: 'Spool, default options but a timeout of 10 s; recoverable, no-clobber, any number of processes',
      own: true,
      run: runSpool
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

async function runRecordByRecord({ folder, records }) {
  const texts = recordsOf(records, lineBytes - 4)
  const path = join(folder, 'events.bin')
  let fd = openSync(path, 'a')
  let size = 0
  let number = 0
  const stop = startClock()
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
  return { records, ...stop() }
}

async function runBinaryFile({ folder, records }, flushEach) {
  const { BinaryFile } = await import('logboom')
  const file = new BinaryFile({ path: join(folder, 'events.bin'), maxBytes })
  const texts = recordsOf(records, lineBytes - 4)
  const stop = startClock()
  for (let number = 0; number < records; ) {
    const end = Math.min(records, number + recordsPerTick)
    for (; number < end; number++) {
      file.write(texts[number])
      if (flushEach) file.flushSync()
    }
    await nextTick()
  }
  await file.close()
  return { records, ...stop() }
}

async function runSpool({ folder, records }) {
  const { Spool } = await import('logboom')
  const spool = new Spool({ path: folder, size: spoolBytes, timeout: '10s' })
  const texts = recordsOf(records, lineBytes)
  const stop = startClock()
  for (const text of texts) await spool.write(text)
  await spool.close()
  return { records, dropped: spool.stats().dropped, ...stop() }
}

async function runWriteFileAtomic({ folder, records }) {
  const { default: writeFileAtomic } = await import('write-file-atomic')
  const texts = recordsOf(records, lineBytes)
  const perFile = Math.ceil(spoolBytes / lineBytes)
  const stop = startClock()
  let writing = []
  for (let number = 0; number < records; number += perFile) {
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
  return { records, ...stop() }
}
