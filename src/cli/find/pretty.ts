// Records for people: through pino-pretty where it is installed, else in a short form of our own.
import { inspect } from 'node:util'
import { systemCode } from '../../base/errors.ts'
import { type LevelName, levelNames, levelStep } from '../../base/levels.ts'
import { levelOf } from '../../readers/engine/record-level.ts'
import { parseRecord, timeOf, toMs } from '../../readers/engine/record-time.ts'
import { terminalBytes, terminalText } from '../terminal-text.ts'
import { fieldAt } from './fields.ts'

/** Makes the bytes to print of those of a record. */
export type Prettifier = (data: Buffer) => Buffer

/** What is printed elsewhere in the line, or is of no use to somebody who reads. */
const SHOWN = new Set([
  'level',
  'severity',
  'lvl',
  'time',
  'timestamp',
  '@timestamp',
  'ts',
  'msg',
  'message',
  'v'
])
/** Of a terminal, for each level. */
const PAINTS: Readonly<Record<LevelName, number>> = {
  trace: 90,
  debug: 34,
  info: 32,
  warn: 33,
  error: 31,
  fatal: 35
}
/** The fields in which pino-pretty looks for the time. */
const PRETTY_TIMES = ['time', 'timestamp']
/** Nested deeper, a record is shown as it is. */
const MAX_DEPTH = 32

/** `colour`: for a terminal that shows colours. */
export async function createPrettifier(colour: boolean): Promise<Prettifier> {
  const pretty = (await pinoPretty(colour)) ?? ((record, data) => shortForm(record, data, colour))
  return (data) => {
    const record = parseRecord(data)
    // Texts in JSON are decoded here, so their control characters are dealt with wherever the output goes.
    return record === undefined
      ? terminalBytes(data)
      : Buffer.from(pretty(harmless(record, 0) as object, data))
  }
}

/** The one beside this package, never one that happens to be near the folder in which the command runs. */
async function pinoPretty(colour: boolean): Promise<((record: object, data: Buffer) => string) | undefined> {
  try {
    const { prettyFactory } = await import('pino-pretty')
    const forPino = prettyFactory({ colorize: colour })
    const forWinston = prettyFactory({ colorize: colour, messageKey: 'message' })
    return (record) => {
      const hasMessage = Object.hasOwn(record, 'message') && !Object.hasOwn(record, 'msg')
      return (hasMessage ? forWinston : forPino)(inMs(record)).replace(/\n$/, '')
    }
  } catch (error) {
    if (systemCode(error) === 'ERR_MODULE_NOT_FOUND' || systemCode(error) === 'MODULE_NOT_FOUND')
      return undefined
    throw error
  }
}

/** pino-pretty takes every number for milliseconds; others log seconds. */
function inMs(record: object): object {
  const field = PRETTY_TIMES.find((each) => typeof fieldAt(record, each) === 'number')
  return field === undefined ? record : { ...record, [field]: toMs(fieldAt(record, field)) }
}

/** For example `2026-01-31T12:00:00.000Z WARN  queue is full pid=12 queue={ size: 3 }`. */
export function shortForm(record: object, data: Buffer, colour: boolean): string {
  const time = timeOf(data, record)
  const level = levelOf(record)
  const name = level === undefined ? undefined : levelNames[levelStep(level)]
  const message = fieldAt(record, 'msg') ?? fieldAt(record, 'message')
  const parts = [
    time === undefined ? undefined : timeText(time),
    name === undefined ? undefined : levelText(name, colour),
    message === undefined ? undefined : typeof message === 'string' ? message : inspect(message)
  ]
  const stacks: string[] = []
  for (const [key, value] of Object.entries(record)) {
    if (SHOWN.has(key) && (key !== 'message' || !Object.hasOwn(record, 'msg'))) continue
    const stack = fieldAt(value, 'stack') ?? (key === 'stack' ? value : undefined)
    if (typeof stack === 'string') stacks.push(...stack.split('\n').map((line) => `\n    ${line}`))
    else parts.push(`${key}=${typeof value === 'string' ? value : valueText(value)}`)
  }
  return parts.filter((part) => part !== undefined).join(' ') + stacks.join('')
}

function levelText(name: LevelName, colour: boolean): string {
  const text = name.toUpperCase().padEnd(5)
  return colour ? `\x1b[${PAINTS[name]}m${text}\x1b[0m` : text
}

function timeText(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}

function valueText(value: unknown): string {
  return inspect(value, { depth: 5, breakLength: Number.POSITIVE_INFINITY })
}

/** The same value, with no text in it that would act on a terminal. */
function harmless(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return terminalText(value.replaceAll('\r\n', '\n'))
  if (typeof value !== 'object' || value === null) return value
  if (depth === MAX_DEPTH) return terminalText(JSON.stringify(value))
  if (Array.isArray(value)) return value.map((each) => harmless(each, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [terminalText(key), harmless(each, depth + 1)])
  )
}
