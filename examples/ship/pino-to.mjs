// A pino application and its shipper in one command. The arguments are those of `logboom ship`, behind the log:
//
//   node pino-to.mjs --to jetstream --url nats://127.0.0.1:4222 --subject logs.web1.app
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import pino from 'pino'

const path = 'pino-to.log'
const transport = pino.transport({ target: 'logboom/rotating-file', options: { path } })
const logger = pino(transport)
for (let order = 1; order <= 1000; order++) logger.info({ order }, 'order accepted')
transport.end()
await once(transport, 'close')

// Beside the application it would run for as long as the host does: without --no-follow.
const command = join(
  dirname(createRequire(import.meta.url).resolve('logboom/package.json')),
  'dist/cli/main.js'
)
const args = [command, 'ship', path, ...process.argv.slice(2), '--no-follow']
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1
