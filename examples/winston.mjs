// winston with a rotating file: format and level are winston's, the writing happens in a thread of its own, and
// process.exit() loses nothing. Writes app.log into the current folder.
// Prints: 1000 records before the exit, 1000 in the file
import { readFileSync } from 'node:fs'
import { RotatingFileTransport } from 'logboom/winston'
import winston from 'winston'

const { combine, json, timestamp } = winston.format

const transport = new RotatingFileTransport({ path: 'app.log', maxBytes: '10m', maxBackups: 5 })
const logger = winston.createLogger({
  level: 'info',
  format: combine(timestamp(), json()),
  transports: [transport]
})

for (let id = 1; id <= 1000; id++) logger.info('order received', { id })
logger.debug('below the level, so not written')

process.on('exit', () => {
  // Registered after the transport's own exit hook, which has written everything by now.
  const lines = readFileSync('app.log', 'utf8').trimEnd().split('\n')
  console.log(`1000 records before the exit, ${lines.length} in the file`)
})
process.exit()
