// A pino log routed by event: one file per event, whatever the names. Writes the folder logs.
// Prints: login.log 500, order_placed.log 500, default.log 1
import { readdirSync, readFileSync } from 'node:fs'
import pino from 'pino'

const transport = pino.transport({
  target: 'logboom/event-files',
  options: { dir: 'logs', eventKey: 'event', maxBytes: '10m' }
})
const logger = pino(transport)
for (let id = 0; id < 1_000; id++) {
  logger.info({ event: id % 2 === 0 ? 'login' : 'order/placed', id }, 'something happened')
}
logger.info('no event')

logger.flush((error) => {
  if (error) throw error
  const counts = ['login.log', 'order_placed.log', 'default.log'].map((name) => {
    if (!readdirSync('logs').includes(name)) throw new Error(`${name} is missing`)
    return `${name} ${readFileSync(`logs/${name}`, 'utf8').trimEnd().split('\n').length}`
  })
  console.log(counts.join(', '))
})
