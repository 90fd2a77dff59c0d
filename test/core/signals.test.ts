// Signals: one listener of the process for each, whatever the number of outputs, and the default action afterwards.
import { spawnSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { cpSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { handleSignals } from 'logboom'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createFolder } from '../helpers/folder.ts'
import { built } from '../helpers/script.ts'
import { until } from '../helpers/until.ts'

class Output extends EventEmitter {
  flushed = 0
  reopened = 0
  flushSync(): void {
    this.flushed++
  }
  reopen(): void {
    this.reopened++
  }
}

/** Keeps the test process alive, as an application's own handler would. */
function surviveSignal(signal: NodeJS.Signals): void {
  const listener = (): void => {}
  process.on(signal, listener)
  onTestFinished(() => {
    process.off(signal, listener)
  })
}

const unshare = ['--pid', '--fork', '--mount-proc', '--kill-child']
const hasNamespaces = spawnSync('unshare', [...unshare, 'true']).status === 0

function run(
  code: string,
  isFirst = false
): { status: number | null; signal: string | null; stdout: string } {
  const source = `import { EventEmitter } from 'node:events'
    import { writeSync } from 'node:fs'
    import { handleSignals } from ${built('index.js')}
    const output = (name, more = {}) => Object.assign(new EventEmitter(), {
      flushSync: () => writeSync(1, name + ' '), reopen: () => writeSync(1, 're-' + name + ' '), ...more })
    setTimeout(() => { writeSync(1, 'alive'); process.exit(7) }, 1000)
    ${code}`
  const node = [process.execPath, '--input-type=module', '-e', source]
  const [command, ...args] = isFirst ? ['unshare', ...unshare, ...node] : node
  return spawnSync(command, args, { encoding: 'utf8' })
}

describe('handleSignals', () => {
  it('takes one listener for each signal, and gives it back with the last output', () => {
    const before = process.listenerCount('SIGUSR2')
    const undo = Array.from({ length: 100 }, () =>
      handleSignals(new Output(), { flushOnSignal: ['SIGUSR2', 'SIGUSR2'], reopenOnSignal: 'SIGUSR2' })
    )
    expect(process.listenerCount('SIGUSR2')).toBe(before + 1)
    for (const each of undo.slice(1)) each()
    undo[1]()
    expect(process.listenerCount('SIGUSR2')).toBe(before + 1)
    undo[0]()
    expect(process.listenerCount('SIGUSR2')).toBe(before)
  })

  it('tells every output, once for each call, and those no more that have left', async () => {
    surviveSignal('SIGUSR2')
    const [first, second, third] = [new Output(), new Output(), new Output()]
    const undo = [first, second, third].map((each) => handleSignals(each, { flushOnSignal: 'SIGUSR2' }))
    undo.push(handleSignals(first, { flushOnSignal: 'SIGUSR2', reopenOnSignal: 'SIGUSR2' }))
    undo[1]()
    process.kill(process.pid, 'SIGUSR2')
    await until(() => third.flushed > 0)
    expect([first, second, third].map(({ flushed, reopened }) => [flushed, reopened])).toEqual([
      [2, 1],
      [0, 0],
      [1, 0]
    ])
    for (const each of undo) each()
  })

  it('flushes all outputs, also behind one that fails, and then lets the signal end the process', () => {
    const { signal, stdout } = run(`
      for (const name of ['a', 'b', 'c']) handleSignals(output(name), { flushOnSignal: ['SIGTERM', 'SIGINT'] })
      handleSignals(output('bad', { flushSync() { throw new Error('cannot') } }), { flushOnSignal: 'SIGTERM' })
      handleSignals(output('d'), { flushOnSignal: 'SIGTERM' })
      process.kill(process.pid, 'SIGTERM')`)
    expect([signal, stdout]).toEqual(['SIGTERM', 'a b c d '])
  })

  it('leaves the end to an application that handles the signal itself', () => {
    const { status, stdout } = run(`
      handleSignals(output('a'), { flushOnSignal: 'SIGTERM' })
      process.once('SIGTERM', () => setTimeout(() => process.kill(process.pid, 'SIGTERM'), 50))
      process.on('SIGTERM', () => {})
      process.kill(process.pid, 'SIGTERM')`)
    expect([status, stdout]).toEqual([7, 'a a alive'])
  })

  it('does not end a process on a signal that another output reopens on, and does both again the next time', () => {
    const { status, stdout } = run(`
      handleSignals(output('a'), { flushOnSignal: 'SIGHUP' })
      handleSignals(output('b'), { reopenOnSignal: 'SIGHUP' })
      process.kill(process.pid, 'SIGHUP')
      setTimeout(() => process.kill(process.pid, 'SIGHUP'), 100)`)
    expect([status, stdout]).toEqual([7, 'a re-b a re-b alive'])
  })

  it('works with another copy of the package in the process', () => {
    const copy = createFolder()
    const root = fileURLToPath(new URL('../..', import.meta.url))
    for (const name of ['dist', 'package.json'])
      cpSync(join(root, name), join(copy, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
    const { signal, stdout } = run(`
      const other = await import(${JSON.stringify(pathToFileURL(join(copy, 'dist/index.js')).href)})
      if (other.handleSignals === handleSignals) throw new Error('no other copy')
      handleSignals(output('a'), { flushOnSignal: 'SIGTERM' })
      other.handleSignals(output('b'), { flushOnSignal: 'SIGTERM' })
      process.kill(process.pid, 'SIGTERM')`)
    expect([signal, stdout]).toEqual(['SIGTERM', 'a b '])
  })

  it.skipIf(!hasNamespaces).each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129]
  ])('ends process 1 of a container at %s, which the kernel would not', (signal, code) => {
    const { status, stdout } = run(
      `handleSignals(output('a'), { flushOnSignal: '${signal}' })
      if (process.pid !== 1) throw new Error('not process 1')
      process.kill(1, '${signal}')`,
      true
    )
    expect([status, stdout]).toEqual([code, 'a '])
  })

  it.skipIf(!hasNamespaces)('does not end process 1 at a signal that ends nobody', () => {
    const { status, stdout } = run(
      `handleSignals(output('a'), { flushOnSignal: 'SIGWINCH' })
      process.kill(1, 'SIGWINCH')`,
      true
    )
    expect([status, stdout]).toEqual([7, 'a alive'])
  })

  it.each(['SIGKILL', 'SIGNOTHING', 'exit', '', 15, null, ['SIGUSR1']])(
    'refuses %j, which cannot be caught, and listens to none of the others then',
    (name) => {
      const before = process.listenerCount('SIGUSR2')
      const options = { flushOnSignal: ['SIGUSR2', name] } as never
      expect(() => handleSignals(new Output(), options)).toThrow(/must name a signal.*ERR_OPTION/)
      expect(process.listenerCount('SIGUSR2')).toBe(before)
    }
  )

  it.each([
    undefined,
    null,
    'SIGTERM',
    ['SIGTERM'],
    { flushOnSignals: 'SIGTERM' },
    { reopenOnSignal: ['SIGHUP'] }
  ])('refuses the options %j, which would do nothing', (options) => {
    expect(() => handleSignals(new Output(), options as never)).toThrow(/ERR_OPTION/)
  })

  it('refuses what cannot be flushed, such as a logger, at once and not when the signal comes', () => {
    const told = /handleSignals takes a sink, a transport or the stream of pino.transport\(\).*ERR_ARGUMENT/
    for (const target of [undefined, null, {}, new EventEmitter()]) {
      expect(() => handleSignals(target as never, { flushOnSignal: 'SIGUSR2' })).toThrow(told)
    }
    const stream = { flushSync: () => {} } as never
    expect(() => handleSignals(stream, { reopenOnSignal: 'SIGUSR2' })).toThrow(told)
    handleSignals(stream, { flushOnSignal: 'SIGUSR2' })()
  })
})
