// One process that logs through a sink with a lane until it is killed or dies as its settings (one JSON argument, see
// writers.ts) say. After each call that has returned it counts in a file, which survives whatever becomes of it.
import { openSync, writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BinaryFile, DirectFile, EventFiles, RotatingFile, WriteAheadLog } from 'logboom'
import { createRandom } from '../../helpers/random.mjs'

const { kind, name, options, oracle, bytes, burst, lines = 1, count, death } = JSON.parse(process.argv[2])
const random = createRandom(name)
const counted = Buffer.alloc(8)
const oracleFd = openSync(oracle, 'w', 0o600)

const kinds = {
  'rotating-file': () => new RotatingFile(options),
  'binary-file': () => new BinaryFile(options),
  'direct-file': () => new DirectFile(options),
  'event-files': () => new EventFiles(options),
  wal: () => WriteAheadLog.open(options)
}
const isText = kind !== 'binary-file'
const sink = await kinds[kind]()
for (const event of ['warning', 'degraded', 'dropped', 'recovered-lane']) {
  sink.on(event, (detail) => writeSync(1, `${JSON.stringify({ event, ...detail })}\n`))
}

let logged = 0
function log(records) {
  let chunk = ''
  for (let i = 0; i < records; i++) {
    const text = `${name} ${logged + i} ${'x'.repeat(bytes[0] + Math.floor(random() ** 3 * (bytes[1] - bytes[0])))}`
    chunk += isText ? `${text}\n` : `${text}\n.`
  }
  sink.write(chunk)
  logged += records
  counted.writeBigUInt64LE(BigInt(logged))
  writeSync(oracleFd, counted, 0, 8, 0)
}

/** Fills the heap, which makes V8 abort the process. */
function fillHeap() {
  const held = []
  for (;;) held.push(new Array(100_000).fill({}).map((each) => ({ ...each, held })))
}

/** Takes memory outside the heap until the kernel allows no more. */
function fillMemory() {
  const held = []
  for (;;) held.push(Buffer.alloc(4 * 1024 * 1024, 1))
}

const deaths = {
  abort: () => process.abort(),
  heap: fillHeap,
  memory: fillMemory,
  exception() {
    throw new Error('of the test')
  },
  exit: () => process.exit(3),
  /** Waits to be killed. */
  idle() {}
}

while (count === undefined || logged < count) {
  const most = Math.min(Math.ceil(random() * burst), (count ?? Number.POSITIVE_INFINITY) - logged)
  for (let left = most; left > 0; ) {
    const records = lines === 1 ? 1 : Math.ceil(random() * Math.min(lines, left))
    log(records)
    left -= records
  }
  if (logged !== count) await nextTurn()
}
if (death !== undefined) {
  if (death.startsWith('SIG')) process.kill(process.pid, death)
  else deaths[death]()
}
if (death === undefined) await sink.close()
else setInterval(() => {}, 1_000)
