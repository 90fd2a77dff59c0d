// Every sink behind every host: pino with one target, with several, with a pipeline; winston. All records arrive once
// and in order, and are there when the host says so.
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import * as winstonTransports from 'logboom/winston'
import pino, { type TransportTargetOptions } from 'pino'
import { describe, expect, it } from 'vitest'
import winston from 'winston'
import type TransportStream from 'winston-transport'
import { together } from '../helpers/at-test-end.ts'
import { createFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'
import { isRecord, nameOf, type Subject } from './subject.ts'
import { subjects } from './subjects/index.ts'
import { transportClass } from './transport-class.ts'

type RotatingFileClass = typeof winstonTransports.RotatingFileTransport

const RECORDS = 300
const EVENTS = ['orders', 'orders', 'logins']
const stage = fileURLToPath(new URL('../helpers/pass-transform.mjs', import.meta.url))

interface Host {
  log(id: number): void
  /** Resolves when everything logged before is in the files, as far as the host can tell. */
  flush(): Promise<void>
  end(): Promise<void>
}

interface Target {
  target: string
  options: Record<string, unknown>
}

/** Starts a host that logs to `target`. */
const hosts: Record<string, (target: Target, kind: string) => Promise<Host>> = {
  'pino, one target': ({ target, options }) => pinoHost({ target, options }),
  'pino, several targets': (target) =>
    pinoHost({
      targets: [
        target as TransportTargetOptions,
        { target: 'pino/file', options: { destination: '/dev/null' } }
      ]
    }),
  'pino, a pipeline': (target) =>
    pinoHost({ pipeline: [{ target: stage }, target as TransportTargetOptions] }),
  winston: ({ options }, kind) => winstonHost(options, kind)
}

async function pinoHost(options: Parameters<typeof pino.transport>[0]): Promise<Host> {
  const stream = pino.transport(options)
  const logger = pino(stream)
  await once(stream, 'ready')
  return {
    log: (id) => logger.info({ id, event: EVENTS[id % EVENTS.length], pad: 'x'.repeat((id * 37) % 300) }),
    flush: () =>
      new Promise((resolve, reject) => logger.flush((error) => (error ? reject(error) : resolve()))),
    async end() {
      const closed = once(stream, 'close')
      stream.end()
      await closed
    }
  }
}

async function winstonHost(options: Record<string, unknown>, kind: string): Promise<Host> {
  const transports = Object.entries(winstonTransports)
  const Transport = transports.find(([name]) => name === transportClass(kind))?.[1] as RotatingFileClass
  const transport = new Transport(options as never) as TransportStream & { flush(): Promise<void> }
  const logger = winston.createLogger({ format: winston.format.json(), transports: [transport] })
  return {
    log: (id) =>
      void logger.info('hello', { id, event: EVENTS[id % EVENTS.length], pad: 'x'.repeat((id * 37) % 300) }),
    flush: () => transport.flush(),
    async end() {
      const finished = once(transport, 'finish')
      logger.end()
      await finished
    }
  }
}

for (const subject of subjects) {
  describe.concurrent(`${nameOf(subject)} behind`, () => {
    for (const [name, start] of Object.entries(hosts)) {
      it(
        `${name}: every record once, in order, at flush and at the end`,
        together(async () => {
          const folder = createFolder()
          const target = `logboom/${subject.kind}`
          const host = await start(
            { target, options: { ...subject.options(folder), fallback: false, flushInterval: 20 } },
            subject.kind
          )
          for (let id = 0; id < RECORDS / 2; id++) host.log(id)
          await host.flush()
          // Several targets and pipelines cannot say when: pino does not ask them.
          await until(() => countNow(subject, folder) === RECORDS / 2)
          expect(idsOf(subject, folder)).toEqual(count(RECORDS / 2))
          for (let id = RECORDS / 2; id < RECORDS; id++) host.log(id)
          await host.end()
          expect(idsOf(subject, folder)).toEqual(count(RECORDS))
        })
      )
    }

    for (const [name, start] of Object.entries({
      'pino, one target': hosts['pino, one target'],
      winston: hosts.winston
    })) {
      it(
        `${name}: flush resolves only when every record is in the files`,
        together(async () => {
          const folder = createFolder()
          const target = `logboom/${subject.kind}`
          const host = await start(
            { target, options: { ...subject.options(folder), fallback: false, flushInterval: 60_000 } },
            subject.kind
          )
          for (let round = 0; round < 5; round++) {
            for (let id = round * 40; id < (round + 1) * 40; id++) host.log(id)
            await host.flush()
            expect(idsOf(subject, folder)).toEqual(count((round + 1) * 40))
          }
          await host.end()
        })
      )
    }
  })
}

/** How many records there are; -1 if a file got another name while they were read. */
function countNow(subject: Subject, folder: string): number {
  try {
    return idsOf(subject, folder).length
  } catch {
    return -1
  }
}

function idsOf(subject: Subject, folder: string): number[] {
  return subject
    .read(folder)
    .filter(isRecord)
    .map((text) => JSON.parse(text).id)
}

function count(length: number): number[] {
  return Array.from({ length }, (_, id) => id)
}
