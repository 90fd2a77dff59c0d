// A direct file read back into pino-pretty, as `logboom cat app.log | pino-pretty` does in a shell. Writes app.log into
// the current folder.
// Prints: 3 pretty lines, the last one says: third
import { Readable } from 'node:stream'
import { readRecords } from 'logboom'
import pino from 'pino'
import { prettyFactory } from 'pino-pretty'

const transport = pino.transport({ target: 'logboom/direct-file', options: { path: 'app.log' } })
const logger = pino(transport)
for (const text of ['first', 'second', 'third']) logger.info(text)

logger.flush(async (error) => {
  if (error) throw error
  const pretty = prettyFactory({ colorize: false, singleLine: true })
  const lines = []
  for await (const { data } of Readable.from(readRecords('app.log'))) lines.push(pretty(data.toString()))
  console.log(`${lines.length} pretty lines, the last one says: ${lines.at(-1).trim().split(' ').at(-1)}`)
})
