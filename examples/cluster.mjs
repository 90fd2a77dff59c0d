// Four cluster workers log to one file with pino; the file is rotated at 64 KiB, exactly once per crossing, and no
// line is lost or torn. Writes app.log into the current folder.
// Prints: 4 workers, 4000 records, 4000 different ids, no file over 64 KiB
import cluster from 'node:cluster'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import pino from 'pino'

const WORKERS = 4
const RECORDS = 1000

if (cluster.isPrimary) {
  const workers = Array.from({ length: WORKERS }, () => cluster.fork())
  const exits = await Promise.all(workers.map((worker) => once(worker, 'exit')))
  if (exits.some(([code]) => code !== 0)) throw new Error('a worker failed')

  const files = readdirSync('.').filter((name) => name.startsWith('app.log'))
  const lines = files.flatMap((name) => readFileSync(name, 'utf8').trimEnd().split('\n'))
  const ids = new Set(lines.map((line) => JSON.parse(line).id))
  const largest = Math.max(...files.map((name) => statSync(name).size))
  const verdict = largest <= 64 * 1024 ? 'no file over 64 KiB' : `a file of ${largest} bytes`
  console.log(`${WORKERS} workers, ${lines.length} records, ${ids.size} different ids, ${verdict}`)
} else {
  const logger = pino({
    transport: { target: 'logboom/rotating-file', options: { path: 'app.log', maxBytes: '64k' } }
  })
  for (let n = 1; n <= RECORDS; n++) logger.info({ id: `${cluster.worker.id}-${n}` }, 'order received')
  // The worker's own exit: what was logged is flushed by pino's exit hook.
  logger.flush(() => cluster.worker.disconnect())
}
