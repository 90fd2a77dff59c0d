// A machine, container or user whose threads are all used up (pids.max, `ulimit -u`): a sink that writes in a thread waits
// for one, or says why there is none, and the application goes on.
import { expect, test } from 'vitest'
import { createFolder } from '../helpers/folder.ts'
import { runScript } from '../helpers/run-script.ts'
import { built } from '../helpers/script.ts'

/** `allow(false)`: threads are refused as Node does it, until `allow(true)`. */
const PREAMBLE = `
import { createRequire, syncBuiltinESMExports } from 'node:module'
const threads = createRequire('/')('node:worker_threads')
const { Worker } = threads
let isAllowed = true
const allow = (value) => { isAllowed = value }
const made = []
threads.Worker = class extends Worker {
  constructor(...args) {
    if (!isAllowed) throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
    super(...args)
    made.push(this)
  }
}
syncBuiltinESMExports()
const { DirectFile, EventFiles, readRecords, workerStream } = await import(${built('index.js')})
const folder = process.argv[1]
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
async function count(path) {
  let records = 0
  for await (const _ of readRecords(path)) records++
  return records
}
`

async function resultOf(code: string): Promise<unknown> {
  const { stdout, stderr } = await runScript(PREAMBLE + code, [createFolder()])
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

test.each([
  ['direct-file', "new DirectFile({ path: folder + '/app.dlog', fallback: false })", '/app.dlog'],
  ['event-files', "new EventFiles({ dir: folder + '/events', fallback: false })", '/events']
])('%s is degraded until its thread can be started, and nothing is lost', async (_, sink, log) => {
  const result = await resultOf(`
    allow(false)
    const sink = ${sink}
    const said = []
    sink.on('degraded', ({ message }) => said.push('degraded ' + message))
    sink.on('recovered', () => said.push('recovered'))
    sink.write('{"event":"a"}\\n')
    await sleep(200)
    allow(true)
    await sink.flush()
    await sleep(50)
    await sink.close()
    console.log(JSON.stringify([said.map((text) => text.replace(/.*(EAGAIN).*/, '$1')), await count(folder + '${log}')]))`)
  expect(result).toEqual([expect.arrayContaining(['EAGAIN', 'recovered']), 1])
})

test('a stream is refused with the reason, and the next one works', async () => {
  const result = await resultOf(`
    allow(false)
    const make = () => workerStream('rotating-file', { path: folder + '/app.log', fallback: false })
    let told
    try { make() } catch (error) { told = [error.name, error.code, error.message.replace(folder, '')] }
    allow(true)
    const stream = make()
    stream.write('record\\n')
    stream.end()
    await new Promise((resolve) => stream.once('close', resolve))
    console.log(JSON.stringify([told, await count(folder + '/app.log')]))`)
  const message =
    'rotating-file: /app.log is written by a thread, and none can be started: EAGAIN [ERR_LIMIT]'
  expect(result).toEqual([['LogboomError', 'ERR_LIMIT', message], 1])
})

test('a stream whose thread has died goes on when there can be a thread again', async () => {
  const result = await resultOf(`
    const stream = workerStream('rotating-file', { path: folder + '/app.log', fallback: false })
    stream.write('first\\n')
    await new Promise((resolve) => stream.flush(resolve))
    allow(false)
    await made.at(-1).terminate()
    stream.write('second\\n')
    await sleep(300)
    allow(true)
    stream.write('third\\n')
    stream.end()
    await new Promise((resolve) => stream.once('close', resolve))
    console.log(JSON.stringify(await count(folder + '/app.log')))`)
  expect(result).toBe(3)
})
