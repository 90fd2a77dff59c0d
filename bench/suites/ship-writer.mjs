// What a shipper beside it costs the process that logs: the same log alone and with one, in alternating runs. Time and CPU are
// those of the logging process alone.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startClock } from '../lib/clock.mjs'

const line = `{"level":30,"time":1700000000000,"msg":"${'x'.repeat(150)}"}`
/** So much a second, with a pause after each turn, as an application that does something else, too. */
const turnRecords = 200
const turnMs = 5

export const suite = {
  name: 'ship-writer',
  title: 'A process that logs 40 000 records a second, alone and with a shipper beside it',
  unit: 'records',
  records: 200_000,
  references: ['alone'],
  contenders: {
    'with a shipper': { note: 'in a process of its own', own: true, files: false, run: withShipper },
    alone: { note: '', own: true, files: false, run: write }
  },
  goals: []
}

async function withShipper(context) {
  const code = `import { Shipper } from 'logboom'
    const target = { name: 'nowhere', guarantee: '', splits: false, maxInFlight: 4, send: async () => [] }
    const shipper = new Shipper({ source: ${JSON.stringify(pathIn(context))}, target })
    shipper.run()
    process.on('SIGTERM', async () => { await shipper.stop(); console.log(shipper.stats().records); process.exit() })
    console.log('ready')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let said = ''
  child.stdout.on('data', (text) => {
    said += text
  })
  await once(child.stdout, 'data')
  const result = await write(context)
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  child.kill('SIGTERM')
  await once(child, 'close')
  const shipped = Number(said.trim().split('\n').pop())
  if (shipped !== context.records) throw new Error(`${shipped} of ${context.records} records shipped`)
  return result
}

async function write(context) {
  const { RotatingFile } = await import('logboom')
  const file = new RotatingFile({ path: pathIn(context), maxBytes: '8m', maxBackups: 10 })
  const stop = startClock()
  let nextMs = performance.now()
  for (let written = 0; written < context.records; ) {
    for (let i = 0; i < turnRecords && written < context.records; i++, written++) file.writeLine(line)
    nextMs += turnMs
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, nextMs - performance.now())))
  }
  await file.close()
  return { records: context.records, ...stop() }
}

function pathIn({ folder }) {
  return join(folder, 'app.log')
}
