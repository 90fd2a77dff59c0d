// What one record costs the thread that logs when it is taken into a ring at once, where it survives the process.
import { closeSync, openSync, rmdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { startClock } from '../lib/clock.mjs'
import { fieldsOf, fitMessage, logAll } from '../lib/records.mjs'

const ringBytes = 8 << 20

export const suite = {
  name: 'lane',
  title: 'Rings: pino, 225-byte records, 200 per tick, the thread that logs alone',
  unit: 'records',
  records: 1_000_000,
  references: ['pino + utf8Write each'],
  contenders: {
    'pino to nowhere': {
      note: 'the cost of pino alone; lines are never flattened into bytes',
      files: false,
      run: (context) => logWith(context, () => {})
    },
    'pino + utf8Write each': {
      note: 'a floor: each line encoded into memory, written nowhere',
      files: false,
      run: runEncodeEach
    },
    'ring in a mapped file': {
      note: 'each line is safe from the death of the process; what is full is thrown away',
      own: true,
      files: false,
      run: runMapped
    },
    'ring in shared memory': {
      note: 'the same without the native addon: it ends with the process',
      own: true,
      files: false,
      run: runShared
    },
    'write(2) each': {
      note: 'each line is safe from the death of the process: a system call for each, to /dev/null',
      files: false,
      run: runWriteEach
    }
  },
  goals: [
    { contender: 'ring in a mapped file', metric: 'cpu', atMost: 1.15, of: ['pino + utf8Write each'] },
    { contender: 'ring in shared memory', metric: 'cpu', atMost: 1.25, of: ['pino + utf8Write each'] }
  ]
}

async function logWith({ records }, write) {
  const { default: pino } = await import('pino')
  const base = { pid: process.pid, hostname: 'web-1' }
  const message = fitMessage((text) => {
    let line
    pino(
      { base },
      {
        write: (made) => {
          line = made
        }
      }
    ).info(fieldsOf(0), text)
    return line
  })
  const logger = pino({ base }, { writable: true, write })
  const stop = startClock()
  await logAll(records, (number) => logger.info(fieldsOf(number), message))
  return { records, ...stop() }
}

function runEncodeEach(context) {
  const memory = Buffer.allocUnsafeSlow(ringBytes)
  let offset = 0
  return logWith(context, (line) => {
    if (offset + line.length * 3 > memory.length) offset = 0
    offset += memory.utf8Write(line, offset, memory.length - offset)
  })
}

function logToRing(context, ring) {
  return logWith(context, (line) => {
    if (ring.append(line)) return
    // As if a consumer had taken out everything.
    ring.release(ring.written)
    ring.append(line)
  })
}

async function runMapped(context) {
  const { LaneFolder, LaneOwner, realDisk } = await import('../../dist/core/lane/internals.js')
  const folder = LaneFolder.open(realDisk, `/dev/shm/logboom-bench-${process.pid}`)
  const owner = LaneOwner.create(folder)
  const subject = { path: join(context.folder, 'app.log'), kind: 'rotating-file', options: {} }
  const ring = owner.createRing(subject, ringBytes)
  try {
    return await logToRing(context, ring)
  } finally {
    ring.close()
    for (const name of owner.rings) folder.removeRing(name)
    owner.close()
    rmdirSync(folder.path)
  }
}

async function runShared(context) {
  const { SharedRing } = await import('../../dist/core/lane/internals.js')
  return logToRing(context, SharedRing.create(ringBytes))
}

async function runWriteEach(context) {
  const fd = openSync('/dev/null', 'w')
  try {
    return await logWith(context, (line) => writeSync(fd, line))
  } finally {
    closeSync(fd)
  }
}
