// The write-ahead log as a pino target and as a winston transport.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createFolder } from '../helpers/folder.ts'
import { readLog } from '../helpers/wal-log.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

async function run(code: string): Promise<{ code: number | null; signal: string | null; stderr: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [exitCode, signal] = await once(child, 'exit')
  return { code: exitCode, signal, stderr }
}

function messages(walDir: string): unknown[] {
  return readLog(walDir).entries.map(({ text }) => JSON.parse(text).msg ?? JSON.parse(text).message)
}

const expected = Array.from({ length: 1000 }, (_, i) => `line ${i}`)

test('pino: logger.fatal is on disk when it returns, even if the process is killed in the same tick', async () => {
  const walDir = join(createFolder(), 'wal')
  const { signal, stderr } = await run(`
    import pino from 'pino'
    import { target } from 'logboom'
    const transport = pino.transport(target('wal', { walDir: ${JSON.stringify(walDir)} }))
    const logger = pino(transport)
    transport.on('ready', () => {
      for (let i = 0; i < 1000; i++) logger.info('line ' + i)
      logger.fatal('the end')
      process.kill(process.pid, 'SIGKILL')
    })`)
  expect(stderr).toBe('')
  expect(signal).toBe('SIGKILL')
  expect(messages(walDir)).toEqual([...expected, 'the end'])
})

test('pino: 1 000 lines in one tick, then the natural end', async () => {
  const walDir = join(createFolder(), 'wal')
  const { code, stderr } = await run(`
    import pino from 'pino'
    const logger = pino({ transport: { target: 'logboom/wal', options: { walDir: ${JSON.stringify(walDir)} } } })
    for (let i = 0; i < 1000; i++) logger.info('line ' + i)`)
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(messages(walDir)).toEqual(expected)
})

test('winston: every record before end() and process.exit() is in the log', async () => {
  for (const end of ['logger.end()', 'process.exit()']) {
    const walDir = join(createFolder(), 'wal')
    const { code, stderr } = await run(`
      import winston from 'winston'
      import { WalTransport } from 'logboom/winston'
      const transports = [new WalTransport({ walDir: ${JSON.stringify(walDir)} })]
      const logger = winston.createLogger({ transports })
      for (let i = 0; i < 1000; i++) logger.info('line ' + i)
      ${end}`)
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(messages(walDir)).toEqual(expected)
  }
})
