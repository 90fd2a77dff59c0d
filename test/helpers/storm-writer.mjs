// One process of a storm: logs numbered records through a sink of any kind until it is killed, and notes in a file
// elsewhere up to which number they are acknowledged. Its settings are one JSON argument (storm.ts).
import { openSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { sinks } from '../../dist/core/registry.js'
import { createRandom } from './random.mjs'

const {
  kind,
  options,
  writer,
  events,
  notes,
  count,
  largest = 3_000,
  paceMs = 2,
  hogBytes
} = JSON.parse(process.argv[2])
const random = createRandom(`storm ${writer}`)
const notesFd = openSync(notes, 'a')
const note = (detail) => writeSync(notesFd, `${JSON.stringify(detail)}\n`)

process.on('unhandledRejection', (error) => {
  note({ fault: `unhandled rejection: ${error?.stack}` })
  process.exit(7)
})
const sink = sinks[kind].create(options)
for (const event of ['degraded', 'recovered', 'dropped', 'repaired', 'warning']) {
  sink.on(event, (detail) =>
    note({ event, code: detail?.code, message: detail?.message, count: detail?.count })
  )
}

/** Mostly short ones, now and then up to the largest. */
function record(number) {
  const pad = 'x'.repeat(Math.floor(largest * random() ** 6) + 1)
  const event = events === undefined ? undefined : events[number % events.length]
  return `${JSON.stringify({ event, writer, number, bytes: pad.length, pad })}\n`
}

note({ event: 'open' })
const kept = []
let number = 0
while (count === undefined || number < count) {
  for (let left = 1 + random() * 40; left > 0 && (count === undefined || number < count); left--)
    sink.write(record(number++))
  await sink.flush()
  note({ acknowledged: number })
  // More memory than it may have, in the end.
  if (hogBytes !== undefined) kept.push(Buffer.alloc(hogBytes, 1))
  // So that there are not gigabytes to look at.
  if (random() < 0.8) await delay(random() * paceMs)
}
await sink.close()
note({ closed: sink.stats() })
