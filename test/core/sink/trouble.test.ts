import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { LogboomError } from '../../../src/base/errors.ts'
import { Account } from '../../../src/core/sink/account.ts'
import type { SinkEvents } from '../../../src/core/sink/contract.ts'
import { SinkLife } from '../../../src/core/sink/sink-state.ts'
import { failureOf, Trouble } from '../../../src/core/sink/trouble.ts'

function create() {
  const emitter = new EventEmitter<SinkEvents>()
  const events: [name: string, code?: string][] = []
  emitter.on('degraded', ({ code }) => events.push(['degraded', code]))
  emitter.on('warning', ({ code }) => events.push(['warning', code]))
  emitter.on('recovered', () => events.push(['recovered']))
  const account = new Account(emitter, '/some/file', false)
  const life = new SinkLife()
  return { trouble: new Trouble(account, life), life, events, account }
}

const failure = (code = 'ENOSPC') =>
  new LogboomError('ERR_IO', 'cannot write', { cause: Object.assign(new Error('full'), { code }) })
const told = () => new Promise((resolve) => setImmediate(resolve))

test('several causes at once are one episode, which ends with the last of them', async () => {
  const { trouble, life, events } = create()
  life.become('open')
  trouble.begin('write', failure('ENOSPC'))
  trouble.begin('sync', failure('EIO'))
  trouble.begin('write', failure('EACCES'))
  expect(life.state).toBe('degraded')
  trouble.end('write')
  expect(life.state).toBe('degraded')
  expect([trouble.has('write'), trouble.has('sync')]).toEqual([false, true])
  trouble.end('sync')
  expect(life.state).toBe('open')
  await told()
  expect(events).toEqual([['degraded', 'ENOSPC'], ['recovered']])
})

test('each episode is told, and the end of what never began is not', async () => {
  const { trouble, life, events } = create()
  trouble.end('write')
  for (const code of ['ENOSPC', 'EIO']) {
    trouble.begin('target', failure(code))
    trouble.end('target')
    trouble.end('target')
  }
  expect(life.state).toBe('open')
  await told()
  expect(events).toEqual([['degraded', 'ENOSPC'], ['recovered'], ['degraded', 'EIO'], ['recovered']])
})

test('the last error of an episode is remembered until the episode ends', () => {
  const { trouble } = create()
  const last = failure('EIO')
  trouble.begin('write', failure('ENOSPC'))
  trouble.begin('sync', last)
  trouble.end('write')
  expect(trouble.failure).toBe(last)
  trouble.end('sync')
  expect(trouble.failure).toBeUndefined()
})

test('what fails for good is failed, counted and told as a warning; nothing recovers from it', async () => {
  const { trouble, life, events, account } = create()
  trouble.begin('write', failure())
  trouble.fail(new LogboomError('ERR_UNSUPPORTED', 'never'))
  trouble.end('write')
  expect(life.state).toBe('failed')
  expect(account.counters.errors).toBe(1)
  await told()
  expect(events).toEqual([
    ['degraded', 'ENOSPC'],
    ['warning', 'ERR_UNSUPPORTED']
  ])
})

test('while a sink closes its state stays, whatever begins or ends', async () => {
  const { trouble, life, events } = create()
  life.become('closing')
  trouble.begin('write', failure())
  expect(life.state).toBe('closing')
  trouble.end('write')
  expect(life.state).toBe('closing')
  await told()
  expect(events).toEqual([])
})

test('an event of another sink is turned back into its error, with the code once in the text', () => {
  const own = new LogboomError('ERR_NOT_FILE', 'is no file', { path: '/a' })
  expect(failureOf(own.code, own.message, '/a')).toMatchObject({
    code: own.code,
    message: own.message,
    path: '/a'
  })
  const system = failureOf('ENOSPC', 'no space [ERR_IO]', '/a')
  expect(system).toMatchObject({ code: 'ERR_IO', cause: { code: 'ENOSPC' } })
  expect(system.message.match(/ERR_IO/g)).toHaveLength(1)
  expect(failureOf('toString', 'x', '/a').code).toBe('ERR_IO')
})
