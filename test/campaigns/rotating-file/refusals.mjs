// Makes rotating files through the class, pino or winston with options that are to be refused, one after the other, and
// prints as JSON what it was told of each.
import { RotatingFile } from 'logboom'
import { RotatingFileTransport } from 'logboom/winston'
import pino from 'pino'
import winston from 'winston'

const { host, options } = JSON.parse(process.argv[2])
const target = 'logboom/rotating-file'
/** Whatever is refused is refused long before. */
const LIMIT_MS = 20_000

const makers = {
  class: (options) => new RotatingFile(options),
  pino: (options) => withLogger(pino.transport({ target, options })),
  'pino-targets': (options) =>
    withLogger(
      pino.transport({
        targets: [
          { target, options, level: 'info' },
          { target: 'pino/file', level: 'silent' }
        ]
      })
    ),
  winston(options) {
    const transport = new RotatingFileTransport(options)
    const logger = winston.createLogger({ transports: [transport] })
    logger.on('error', () => {})
    logger.info('record')
    return transport
  }
}

function withLogger(transport) {
  pino(transport).info('record')
  return transport
}

function refusalOf(options) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('nothing was told'), LIMIT_MS)
    const tell = (error) => {
      clearTimeout(timer)
      resolve(error.message)
    }
    try {
      makers[host](options).on('error', tell)
    } catch (error) {
      tell(error)
    }
  })
}

const told = []
for (const each of options) told.push(await refusalOf(each))
process.stdout.write(JSON.stringify(told), () => process.exit())
