// winston transports for tests: each in a folder of its own, closed when the test ends.
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as transports from 'logboom/winston'
import winston from 'winston'
import { native } from '../../src/native/index.ts'
import { transportClass } from '../conformance/transport-class.ts'
import { atTestEnd } from './at-test-end.ts'
import { createFolder } from './folder.ts'

export type RotatingFileOptions = Partial<transports.RotatingFileTransportOptions>
export type AnyTransport = transports.RotatingFileTransport

export interface Opened {
  transport: AnyTransport
  path: string
  lines(): string[]
}

/** Opens a `RotatingFileTransport`. */
export function openTransport(options: RotatingFileOptions = {}): Opened {
  const path = join(createFolder(), 'app.log')
  const transport = new transports.RotatingFileTransport({
    path,
    lock: native.canLock,
    fallback: false,
    ...options
  })
  closeAtEnd(transport)
  return { transport, path, lines: () => readLines(path) }
}

/** A transport of any kind. */
export function openKind(kind: string, options: object): AnyTransport {
  const found = Object.entries(transports).find(([name]) => name === transportClass(kind))
  const Transport = found?.[1] as unknown as new (options: object) => AnyTransport
  return closeAtEnd(new Transport(options))
}

export function closeAtEnd<T extends { close(): Promise<void> }>(transport: T): T {
  atTestEnd(() => transport.close())
  return transport
}

export function createLogger(options: winston.LoggerOptions): winston.Logger {
  const logger = winston.createLogger({ format: winston.format.json(), ...options })
  atTestEnd(() => {
    logger.close()
  })
  return logger
}

/** Ends a logger, and waits until it says that everything is written. */
export async function endLogger(logger: winston.Logger): Promise<void> {
  const finished = once(logger, 'finish')
  logger.end()
  await finished
}

/** The text of a format that is nothing but the message. */
export const plain = winston.format.printf(({ message }) => String(message))

/** None while there is no file. */
export function readLines(path: string): string[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8').split('\n').slice(0, -1)
}
