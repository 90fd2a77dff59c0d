// npm run demo: four processes, two with pino and two with winston, log to one rotating file. One of them is
// killed with SIGKILL on the way, and the file is moved away under their feet once. Afterwards every record is
// counted on disk. Exit code 1 if one is lost, twice there or torn. Then the last lines of a process that kills itself.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { showLastLines } from './demo-last-lines.mjs'

const MAX_BYTES = 1024 * 1024
const MOVED = 'app.log.moved-away'

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '6' }, keep: { type: 'boolean', default: false } }
})
const durationMs = Number(options.seconds) * 1000
const folder = mkdtempSync(join(tmpdir(), 'logboom-demo-'))
const path = join(folder, 'app.log')
const writers = [
  ['pino', 'pino-1'],
  ['pino', 'pino-2'],
  ['winston', 'winston-1'],
  ['winston', 'winston-2']
].map(([host, name]) => start(host, name))

function start(host, name) {
  const script = join(import.meta.dirname, 'demo-writer.mjs')
  const child = fork(script, [host, name, JSON.stringify({ path, maxBytes: MAX_BYTES })])
  const writer = { name, child, sent: 0, flushed: 0, repaired: 0, killed: false, exited: gone(child) }
  child.on('message', (message) => {
    writer.sent = message.sent ?? writer.sent
    writer.flushed = message.flushed ?? writer.flushed
    if (message.repaired !== undefined) writer.repaired++
  })
  return writer
}

/** Resolves with the exit code when the process has ended and its last message has arrived. */
async function gone(child) {
  const [[code]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
  return code
}

const bar = {
  shown: process.stdout.isTTY === true,
  draw(part, text) {
    if (!this.shown) return
    const filled = Math.round(part * 30)
    process.stdout.write(`\r[${'#'.repeat(filled)}${'.'.repeat(30 - filled)}] ${text.padEnd(48)}`)
  },
  clear() {
    if (this.shown) process.stdout.write(`\r${' '.repeat(82)}\r`)
  }
}

async function runFor(fromMs, toMs, text) {
  for (let atMs = fromMs; atMs < toMs; atMs += 100) {
    bar.draw(atMs / durationMs, text)
    await sleep(100)
  }
}

async function write() {
  const victim = writers[1]
  console.log(`Four processes log to ${path}, rotated at 1 MiB.`)
  while (writers.some((writer) => writer.flushed === 0)) {
    if (writers.some((writer) => writer.child.exitCode !== null)) throw new Error('a writer failed to start')
    await sleep(20)
  }
  await runFor(0, durationMs / 3, 'two processes with pino, two with winston')
  victim.killed = true
  victim.child.kill('SIGKILL')
  await victim.exited
  await runFor(durationMs / 3, (durationMs * 2) / 3, `${victim.name} was killed with SIGKILL`)
  renameSync(path, join(folder, MOVED))
  await runFor((durationMs * 2) / 3, durationMs, 'app.log was moved away under the writers')
  bar.draw(1, 'stopping the writers')
  for (const writer of writers) if (!writer.killed) writer.child.send('stop')
  for (const writer of writers) {
    const code = await writer.exited
    if (!writer.killed && code !== 0) throw new Error(`${writer.name} ended with exit code ${code}`)
  }
  bar.clear()
}

/** Reads every file and counts what is there for each writer, and what should not be. */
function count() {
  const seen = new Map(writers.map((writer) => [writer.name, new Map()]))
  const files = []
  const torn = []
  for (const name of readdirSync(folder).sort()) {
    if (name.startsWith('.')) continue
    const bytes = readFileSync(join(folder, name))
    const text = bytes.toString('utf8')
    const lines = text.split('\n')
    if (lines.pop() !== '') torn.push(`${name}: no newline at the end`)
    for (const line of lines) {
      try {
        const { writer, n, text } = JSON.parse(line)
        if (text.length !== (n * 7919) % 200) throw new Error('wrong length')
        seen.get(writer).set(n, (seen.get(writer).get(n) ?? 0) + 1)
      } catch {
        torn.push(`${name}: ${JSON.stringify(line.slice(0, 100))}`)
      }
    }
    files.push({ name, bytes: bytes.length, records: lines.length })
  }
  return { seen, files, torn }
}

function judge({ seen, files, torn }) {
  const rows = writers.map((writer) => {
    const counts = seen.get(writer.name)
    // Of a killed process what it knew to be flushed must be there; more may be.
    const due = writer.killed ? writer.flushed : writer.sent
    let lost = 0
    for (let n = 1; n <= due; n++) if (!counts.has(n)) lost++
    const duplicated = [...counts.values()].filter((times) => times > 1).length
    const unknown = [...counts.keys()].filter((n) => n < 1 || (!writer.killed && n > writer.sent)).length
    const row = {
      sent: Math.max(writer.sent, counts.size),
      acknowledged: due,
      'on disk': counts.size,
      lost,
      duplicated: duplicated + unknown
    }
    return [writer.killed ? `${writer.name} (killed)` : writer.name, row]
  })
  const tooLarge = files.filter((file) => file.bytes > MAX_BYTES)
  const faults = rows
    .filter(([, row]) => row.lost + row.duplicated > 0)
    .map(([name, row]) => `${name}: ${row.lost} lost, ${row.duplicated} duplicated`)
  faults.push(
    ...torn.map((what) => `torn: ${what}`),
    ...tooLarge.map((file) => `over the limit: ${file.name}`)
  )
  if (files.length < 4) faults.push(`only ${files.length} files: not enough was written to rotate`)
  return { rows, faults }
}

function report({ files, torn }, { rows, faults }) {
  console.table(Object.fromEntries(rows))
  for (const { name, bytes, records } of files) {
    const note = name === MOVED ? '  (moved away while it was written to)' : ''
    console.log(`${String(bytes).padStart(9)} bytes  ${String(records).padStart(6)} records  ${name}${note}`)
  }
  const sum = (field) => rows.reduce((total, [, row]) => total + row[field], 0)
  const repaired = writers.reduce((total, writer) => total + writer.repaired, 0)
  console.log(`
records sent       ${sum('sent')}
records on disk    ${sum('on disk')}
lost               ${sum('lost')}
duplicated         ${sum('duplicated')}
torn lines         ${torn.length}
rotations          ${files.length - 1} (one of them forced from outside)
repaired           ${repaired} (unfinished lines the killed process left)
`)
  if (faults.length > 0) {
    console.error(`DEMO FAILED\n${faults.slice(0, 20).join('\n')}\nThe files are in ${folder}`)
  } else console.log('Every acknowledged record is on disk exactly once.')
}

try {
  await write()
  const counted = count()
  const judged = judge(counted)
  report(counted, judged)
  const missing = await showLastLines(folder)
  if (missing !== undefined) console.error(`DEMO FAILED\n${missing}\nThe files are in ${folder}`)
  if (judged.faults.length > 0 || missing !== undefined) process.exitCode = 1
  else if (options.keep) console.log(`The files are in ${folder}`)
  else rmSync(folder, { recursive: true })
} catch (error) {
  bar.clear()
  console.error(`DEMO FAILED: ${error.message}\nThe files are in ${folder}`)
  process.exitCode = 1
  for (const writer of writers) writer.child.kill('SIGKILL')
}
