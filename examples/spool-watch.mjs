// A watcher that collects spool files: each is complete the moment it appears, so it can be read and removed at once.
// (For a shipper it is one line: rsync --archive --exclude='.*' --remove-source-files spool/ collector:/inbox/)
// Prints: collected 1000 records from complete files, the folder is empty
import { mkdirSync, readdirSync, readFileSync, unlinkSync, watch } from 'node:fs'
import { join } from 'node:path'
import { Spool } from 'logboom'

const folder = 'spool'
mkdirSync(folder)

let collected = 0
function collect() {
  for (const name of readdirSync(folder)) {
    if (name.startsWith('.')) continue
    const path = join(folder, name)
    collected += readFileSync(path, 'utf8').trimEnd().split('\n').length
    unlinkSync(path)
  }
}
const watcher = watch(folder, collect)

const spool = new Spool({ path: folder, size: '4k', flushInterval: '100ms', timeout: '5s' })
for (let id = 0; id < 1000; id++) {
  const taken = await spool.write(`${JSON.stringify({ id, event: 'measured' })}\n`)
  if (!taken) console.error(`record ${id} was dropped: all workers were busy for five seconds`)
}
await spool.close()

watcher.close()
collect()
console.log(
  `collected ${collected} records from complete files, the folder is ${readdirSync(folder).length === 0 ? 'empty' : 'not empty'}`
)
