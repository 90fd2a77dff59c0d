// A pino application and its shipper in one command. The arguments are those of `logboom ship`, behind the log:
//
//   node pino-to.mjs --to jetstream --url nats://127.0.0.1:4222 --subject logs.web1.app
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import pino from 'pino'

const path = 'pino-to.log'
const transport = pino.transport({ target: 'logboom/rotating-file', options: { path } })
const logger = pino(transport)
for (let order = 1; order <= 1000; order++) logger.info({ order }, 'order accepted')

// The callback runs when everything logged before is in the file.
logger.flush((error) => {
  if (error) throw error
  const manifest = createRequire(import.meta.url).resolve('logboom/package.json')
  const command = join(dirname(manifest), 'dist/cli/main.js')
  // Beside the application it would run for as long as the host does: without --no-follow.
  const args = [command, 'ship', path, ...process.argv.slice(2), '--no-follow']
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1
})
