// Eight processes, one file: 25 000 lines of 200 bytes each, rotation at 1 MiB, started together.
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { goProgram } from '../lib/go.mjs'

const maxBytes = 1 << 20
const lineBytes = 200
const firstId = 1_000_000
const dfwriter = goProgram('dfwriter', 'github.com/romosch/dfwriter')
const model = goProgram('lockperline')

export const suite = {
  name: 'multiprocess',
  title: '8 processes on one file, 25 000 lines of 200 bytes each, 1 MiB limit',
  unit: 'lines',
  records: 200_000,
  writers: 8,
  lines: { lineBytes, marker: 'id=', digits: 7, firstId },
  references: ['dfwriter', 'lock per line (Go)'],
  contenders: {
    'O_APPEND, no rotation': {
      note: 'Node, one write per line; no rotation, no locking',
      writer: writeAppending
    },
    dfwriter: {
      note: 'Go original with file locking: per line fstat, lock, write, unlock; rotation by copy and truncate',
      maxBytes,
      prepare: dfwriter.build,
      command: (context) => writerCommand(dfwriter.path, context)
    },
    'lock per line (Go)': {
      note: 'our own Go program that makes the same system calls per line as dfwriter, for where its module cannot be had',
      maxBytes,
      prepare: model.build,
      command: (context) => writerCommand(model.path, context)
    },
    logboom: {
      note: 'RotatingFile: a lock per batch, rotation by rename, repair after a killed writer',
      own: true,
      maxBytes,
      writer: writeLogboom
    }
  },
  goals: [
    { contender: 'logboom', metric: 'rate', atLeast: 3, of: ['dfwriter', 'lock per line (Go)'] },
    { contender: 'logboom', metric: 'rate', atLeast: 1, of: ['O_APPEND, no rotation'] },
    { contender: 'logboom', metric: 'intact' },
    { contender: 'logboom', metric: 'limit' }
  ]
}

function writerCommand(program, { folder, writer, records }) {
  const first = firstId + writer * records
  return [
    program,
    join(folder, 'app.log'),
    String(first),
    String(records),
    String(lineBytes),
    String(maxBytes)
  ]
}

/** The lines of one writer, made and flattened before the clock starts: only writing them is measured. */
function linesOf({ writer, records }) {
  const lines = []
  for (let id = firstId + writer * records; lines.length < records; id++) {
    const line = Buffer.alloc(lineBytes, '.')
    line.write(`id=${id} a line of writer ${writer} `)
    line[lineBytes - 1] = 10
    lines.push(line.latin1Slice())
  }
  return lines
}

async function writeLogboom(context) {
  const { RotatingFile } = await import('logboom')
  const file = new RotatingFile({ path: join(context.folder, 'app.log'), maxBytes, maxBackups: 0 })
  const lines = linesOf(context)
  return async () => {
    for (const line of lines) {
      if (!file.write(line)) await once(file, 'drain')
    }
    await file.close()
  }
}

async function writeAppending(context) {
  const fd = openSync(join(context.folder, 'app.log'), 'a')
  const lines = linesOf(context)
  return async () => {
    for (const line of lines) writeSync(fd, line)
    closeSync(fd)
  }
}
