// pino with a rotating file: files of at most 64 KiB, the newest three backups are kept, and the application hears
// of every rotation. Writes app.log into the current folder.
// Prints: 1900 records written; the live file and 3 backups hold the newest, down to the last one
import { readdirSync, readFileSync } from 'node:fs'
import pino from 'pino'

const transport = pino.transport({
  target: 'logboom/rotating-file',
  options: { path: 'app.log', maxBytes: '64k', maxBackups: 3 }
})
transport.on('rotated', ({ to, bytes }) => console.log(`rotated: ${bytes} bytes went to ${to}`))

const logger = pino(transport)
for (let id = 1; id <= 1900; id++) logger.info({ id, user: `user-${id % 7}` }, 'order received')

// The callback runs when everything logged before is in the file.
logger.flush((error) => {
  if (error) throw error
  const backups = readdirSync('.').filter((name) => /^app\.log\.\d{8}-\d{6}\.\d+$/.test(name))
  const last = readFileSync('app.log', 'utf8').trimEnd().split('\n').at(-1)
  console.log(
    `${JSON.parse(last).id} records written; the live file and ${backups.length} backups hold the newest, down to the last one`
  )
})
