// A process that dies of an exception or a rejection: the record is written and the process ends at once, not after the
// three seconds that winston waits for a transport's 'finish'; where it goes on, so does the transport.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createFolder } from '../helpers/folder.ts'
import { readLines } from '../helpers/winston.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** winston's own timeout is 3 s. */
const AT_ONCE_MS = 2_000

interface Ended {
  code: number | null
  stdout: string
  stderr: string
  path: string
  lines: string[]
}

/** Runs `code` with winston, `create(options)` for a transport over `path`, and `crash(error)`, which tells how long it took. */
async function run(code: string): Promise<Ended> {
  const path = join(createFolder(), 'app.log')
  const source = `
    import winston from 'winston'
    import { native } from './dist/native/index.js'
    import { RotatingFileTransport } from 'logboom/winston'
    const path = ${JSON.stringify(path)}
    const create = (options) => new RotatingFileTransport({ path, lock: native.canLock, ...options })
    const file = new winston.transports.File({ filename: path + '.file' })
    let began = 0
    process.on('exit', () => console.log(Math.round(performance.now() - began)))
    // winston's File gives warnings of its own when it has too much to do.
    process.on('warning', (warning) => { if (!warning.message.includes('PassThrough')) console.log(warning.name) })
    const crash = async (transport, reject) => {
      await transport.flush().catch(() => {})
      setTimeout(() => { began = performance.now(); if (reject) Promise.reject(new Error('boom')); else throw new Error('boom') })
    }
    const keepAlive = setTimeout(() => {}, 20_000)
    ${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const ended = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk) => {
      ended[name] += chunk
    })
  }
  const [exit] = await once(child, 'close')
  return { ...ended, code: exit, path, lines: readLines(path) }
}

const isBoom = (line: string): boolean => line.includes('boom')

describe('a crashing process writes the record and ends at once', () => {
  it.each(
    Object.entries({
      'handleExceptions: true': `const t = create({ handleExceptions: true })
        winston.createLogger({ transports: [t] }); crash(t)`,
      exceptionHandlers: `const t = create()
        winston.createLogger({ transports: [file], exceptionHandlers: [t] }); crash(t)`,
      'logger.exceptions.handle(transport)': `const t = create()
        winston.createLogger({ transports: [file] }).exceptions.handle(t); crash(t)`,
      'exitOnError as a function': `const t = create({ handleExceptions: true })
        winston.createLogger({ transports: [t], exitOnError: (error) => error.message === 'boom' }); crash(t)`,
      rejectionHandlers: `const t = create()
        winston.createLogger({ transports: [file], rejectionHandlers: [t] }); crash(t, true)`,
      'handleRejections: true': `const t = create({ handleRejections: true })
        winston.createLogger({ transports: [t] }); crash(t, true)`,
      'handlers for both, and the transport itself': `const t = create({ handleExceptions: true, handleRejections: true })
        winston.createLogger({ transports: [t], exceptionHandlers: [t], rejectionHandlers: [t] }); crash(t)`,
      'a transport that opens with the record': `const t = create({ handleExceptions: true, lazy: true })
        winston.createLogger({ transports: [t] }); crash(t)`,
      'two loggers, one of which was closed': `const t = create({ handleExceptions: true })
        const other = winston.createLogger({ transports: [t] })
        winston.createLogger({ transports: [t] }); other.close(); crash(t)`,
      'a format that takes the mark of an exception away': `const t = create({ handleExceptions: true,
          format: winston.format((info) => ({ [Symbol.for('message')]: info.message }))() })
        winston.createLogger({ transports: [t] }); crash(t)`,
      'a logger that is full at the moment': `const t = create({ handleExceptions: true })
        const logger = winston.createLogger({ transports: [file, t] })
        crash(t); setTimeout(() => { for (let i = 0; i < 3000; i++) logger.info('x') })`
    })
  )('%s', async (_name, code) => {
    const { code: exit, stdout, lines } = await run(code)
    expect(exit).toBe(1)
    expect(lines.filter(isBoom).length).toBeGreaterThan(0)
    expect(Number(stdout)).toBeLessThan(AT_ONCE_MS)
  })

  it.each(
    Object.entries({
      silent: 'const t = create({ handleExceptions: true, silent: true })',
      'closed before': 'const t = create({ handleExceptions: true }); setTimeout(() => t.close(), 100)',
      'of a level that exceptions are not': `const t = create({ handleExceptions: true, level: 'loud' })`,
      'with a format that passes nothing': `const t = create({ handleExceptions: true, format: winston.format(() => false)() })`
    })
  )('a transport that is %s does not hold it up', async (_name, code) => {
    const {
      code: exit,
      stdout,
      lines
    } = await run(`${code}
      winston.createLogger({ levels: { loud: 0, error: 1, info: 2 }, transports: [t, file] })
      setTimeout(() => crash(t), 200)`)
    expect([exit, lines]).toEqual([1, []])
    expect(Number(stdout)).toBeLessThan(AT_ONCE_MS)
  })
})

describe('where the process goes on', () => {
  it.each(['false', '() => false'])(
    'exitOnError: %s keeps the transport usable, through any number of exceptions',
    async (exitOnError) => {
      const { code, stdout, lines, stderr } = await run(`
        const t = create({ handleExceptions: true, handleRejections: true })
        const both = create({ path: path + '.handler' })
        const logger = winston.createLogger({
          transports: [t], exitOnError: ${exitOnError}, exceptionHandlers: [both], rejectionHandlers: [both] })
        for (let at = 0; at < 15; at++) {
          logger.info('before ' + at)
          setTimeout(() => { throw new Error('boom ' + at) })
          Promise.reject(new Error('boom too ' + at))
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        await t.flush()
        logger.info('after')
        clearTimeout(keepAlive)
        await new Promise((resolve) => { logger.on('finish', resolve); logger.end() })
        await both.close()
        process.exit(0)`)
      expect([code, stderr]).toEqual([0, ''])
      // Only the time, and no warning of listeners.
      expect(stdout).toMatch(/^\d+\n$/)
      const messages = lines.map((line) => JSON.parse(line).message as string)
      expect(messages.filter((text) => text.startsWith('before'))).toHaveLength(15)
      expect(messages.filter((text) => text.startsWith('uncaughtException: boom'))).toHaveLength(15)
      expect(messages.filter((text) => text.startsWith('unhandledRejection: boom'))).toHaveLength(15)
      expect(messages.at(-1)).toBe('after')
    }
  )
})
