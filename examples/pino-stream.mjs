// The class itself, as a plain stream of pino on the main thread (no worker) and with lines from elsewhere: both
// end up in one file that is rotated once a day and compressed. Writes app.log into the current folder.
// Prints: 3 lines: pino, by hand, pino
import { readFileSync } from 'node:fs'
import { RotatingFile } from 'logboom'
import pino from 'pino'

const file = new RotatingFile({ path: 'app.log', rotateEvery: 'daily', maxAge: '30d', compress: 'gzip' })
const logger = pino(file)

logger.info('pino')
file.write('{"msg":"by hand"}\n')
logger.info('pino')
await file.close()

const lines = readFileSync('app.log', 'utf8').trimEnd().split('\n')
console.log(`${lines.length} lines: ${lines.map((line) => JSON.parse(line).msg).join(', ')}`)
