// The second part of the demo: a process logs 10 000 lines in one turn of the event loop and kills itself; the next one that
// opens the log finds them in the lane. Without a lane (no native addon, no memory file system) there is nothing to show.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RotatingFile, workerStream } from 'logboom'

const LINES = 10_000

const program = `
import pino from 'pino'
import { workerStream } from 'logboom'
const logger = pino(workerStream('rotating-file', { path: process.argv[1] }))
for (let n = 1; n <= ${LINES}; n++) logger.info({ n }, 'the last words')
process.kill(process.pid, 'SIGKILL')`

/** Resolves with what is wrong, or undefined. */
export async function showLastLines(folder) {
  const path = join(folder, 'last-words.log')
  if (!(await hasLane(path))) {
    console.log('\nNo lane here, so what a killed process had not written yet is gone with it.')
    return undefined
  }
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, '--', path], {
    cwd: import.meta.dirname,
    stdio: 'inherit'
  })
  await once(child, 'exit')
  const before = numbersIn(path).length
  const file = new RotatingFile({ path })
  await file.flush()
  await file.close()
  const numbers = numbersIn(path)
  console.log(
    `\nA process logged ${LINES} lines in one turn and killed itself: ${before} were in the file, and with the next start ${numbers.length}.`
  )
  const isExact = numbers.length === LINES && numbers.every((n, index) => n === index + 1)
  return isExact ? undefined : `of the last ${LINES} lines of a killed process ${numbers.length} are there`
}

async function hasLane(path) {
  const stream = workerStream('rotating-file', { path })
  const { lane } = await stream.stats()
  await stream.close()
  return lane === 'mapped'
}

function numbersIn(path) {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line).n)
}
