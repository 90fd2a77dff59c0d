// Runs `logboom <argument…>` in this process and says on descriptor 3, as one JSON line, what it took from the loading of
// the command on: cli-run.mjs <records> <files, as JSON> <argument…>. The files are read once before the clock starts, so
// that they are in the page cache. What the command prints goes to where this process prints.
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startClock } from './clock.mjs'
import { readThrough } from './read-through.mjs'

const [records, files, ...args] = process.argv.slice(2)
const cli = join(import.meta.dirname, '../../dist/cli/main.js')

for (const file of JSON.parse(files)) readThrough(file)
const beforeBytes = process.memoryUsage.rss()
const stop = startClock()
process.on('exit', (code) => {
  const measured = stop()
  if (code !== 0) return
  const growthBytes = measured.peakBytes - beforeBytes
  writeSync(3, `${JSON.stringify({ records: Number(records), ...measured, growthBytes })}\n`)
})
process.argv = [process.execPath, cli, ...args]
await import(pathToFileURL(cli).href)
