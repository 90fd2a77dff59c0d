// The last ten records of a log, whatever its size.
import { startClock } from '../lib/clock.mjs'
import { madeLog } from '../lib/made-logs.mjs'
import { readThrough } from '../lib/read-through.mjs'

const lastRecords = 10
const formats = ['rotating-file', 'direct-file', 'wal']
const small = 20
const large = 1_000

export const suite = {
  name: 'tail',
  title: 'The last 10 records of a log',
  unit: 'tails',
  records: 100,
  references: [],
  contenders: Object.fromEntries(
    formats.flatMap((format) =>
      [small, large].map((megabytes) => [
        `${format} of ${megabytes} MB`,
        {
          note: `readRecords with from: {last: ${lastRecords}}`,
          own: true,
          files: false,
          run: (context) => readLast(context, format, megabytes)
        }
      ])
    )
  ),
  goals: formats.map((format) => ({
    contender: `${format} of ${large} MB`,
    metric: 'rate',
    atLeast: 0.8,
    of: [`${format} of ${small} MB`]
  }))
}

async function readLast({ records: times }, format, megabytes) {
  const { readRecords } = await import('logboom')
  const { path, files, records } = madeLog(format, megabytes)
  for (const file of files) readThrough(file)
  const stop = startClock()
  for (let time = 0; time < times; time++) {
    let found = 0
    let id
    for await (const { data } of readRecords(path, { from: { last: lastRecords } })) {
      found++
      id = JSON.parse(data.toString()).id
    }
    if (found !== lastRecords || id !== records - 1)
      throw new Error(`${found} records up to ${id} of ${records}`)
  }
  return { records: times, ...stop() }
}
