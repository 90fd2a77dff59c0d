// pino in a CommonJS application, with fatal records on disk before the call returns: `durability: 'disk'` makes
// logger.fatal() wait for fdatasync. Writes app.log into the current folder.
// Prints: on disk when fatal() returned: giving up
const { readFileSync } = require('node:fs')
const pino = require('pino')

const logger = pino({
  transport: {
    target: 'logboom/rotating-file',
    options: { path: 'app.log', maxBytes: '10m', maxBackups: 5, durability: 'disk' }
  }
})

logger.info('starting')
logger.fatal('giving up')

// No flush and no waiting: the call above has returned, so the record is there.
const lines = readFileSync('app.log', 'utf8').trimEnd().split('\n')
console.log(`on disk when fatal() returned: ${JSON.parse(lines[1]).msg}`)
