// A real server of NATS as tests need it: streams, and what is in them.
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, nanos } from '@nats-io/transport-node'
import { createJetStreamTarget } from '../../src/ship/targets/jetstream.ts'
import { atTestEnd } from './at-test-end.ts'
import type { Engine } from './engines.ts'
import { shipperCode } from './shipping.ts'

/** Of the records that `recordsIn` finds, where nothing else is said. */
export const subject = 'logs.web1.app'
/** So short that it tells nothing from one run to the next: what is there once is not so because of it. */
const WINDOW_MS = 100

export async function managerOf({ url }: Engine) {
  const connection = await connect({ servers: url.slice('nats://'.length) })
  atTestEnd(() => connection.close())
  return { connection, manager: await jetstreamManager(connection) }
}

export async function createStream(engine: Engine, config: object = {}): Promise<void> {
  const { manager } = await managerOf(engine)
  await manager.streams.add({
    name: 'logs',
    subjects: ['logs.>'],
    duplicate_window: nanos(WINDOW_MS),
    ...config
  })
}

/** Everything that is in the stream, in order. */
export async function recordsIn(engine: Engine): Promise<string[]> {
  const { connection, manager } = await managerOf(engine)
  const { state } = await manager.streams.info('logs')
  const records: string[] = []
  if (state.messages === 0) return records
  const consumer = await jetstream(connection).consumers.get('logs')
  for await (const message of await consumer.consume()) {
    if (message.subject === subject) records.push(message.string())
    if (message.seq === state.last_seq) break
  }
  return records
}

export const targetOf = ({ url }: Pick<Engine, 'url'>) => createJetStreamTarget({ url, subject })

/** Code of a process that ships `source` there. */
export const codeOf = ({ url }: Engine, source: string, options: object = {}) =>
  shipperCode(source, `logboom.createJetStreamTarget(${JSON.stringify({ url, subject })})`, options)
