// Records as a request of OpenTelemetry's protocol: ExportLogsServiceRequest in protobuf, and the answer to it.
// Field numbers are those of opentelemetry-proto 1.x: collector/logs/v1/logs_service.proto, logs/v1/logs.proto,
// common/v1/common.proto, resource/v1/resource.proto.
import { isUtf8 } from 'node:buffer'
import { levelNames, levelStep } from '../../base/levels.ts'
import { COLOURS, levelOf } from '../../readers/engine/record-level.ts'
import { parseRecord } from '../../readers/engine/record-time.ts'
import type { ShipRecord } from '../target.ts'
import { ProtobufWriter, protobufFields } from './protobuf-writer.ts'

const request = { resourceLogs: 1 }
const resourceLogs = { resource: 1, scopeLogs: 2 }
const resource = { attributes: 1 }
const scopeLogs = { scope: 1, logRecords: 2 }
const scope = { name: 1 }
const logRecord = {
  timeUnixNano: 1,
  severityNumber: 2,
  severityText: 3,
  body: 5,
  attributes: 6,
  flags: 8,
  traceId: 9,
  spanId: 10,
  observedTimeUnixNano: 11
}
const keyValue = { key: 1, value: 2 }
const anyValue = { string: 1, bool: 2, int: 3, double: 4, array: 5, keyValues: 6, bytes: 7 }
const arrayValue = { values: 1 }
const keyValueList = { values: 1 }
const response = { partialSuccess: 1 }
const partialSuccess = { rejectedLogRecords: 1, errorMessage: 2 }

/** Deeper values are sent as the text that they are. */
const MAX_DEPTH = 32
const MAX_REASON = 1000
const BODY_FIELDS = ['msg', 'message']
/** Have a place of their own in a record of OpenTelemetry. */
const PLACED = new Set(['time', 'timestamp', '@timestamp', 'level', 'trace_id', 'span_id', 'trace_flags'])
/** OpenTelemetry has so many numbers for each level, from 1 for the lowest one on. */
const SEVERITIES_PER_LEVEL = 4

export interface LogsSource {
  readonly stream: string
  /** What the records come from, for example `service.name`. */
  readonly resource: Readonly<Record<string, string>>
}

export function encodeLogsRequest(source: LogsSource, records: readonly ShipRecord[]): Buffer {
  const writer = new ProtobufWriter()
  for (let at = records.length - 1; at >= 0; at--) {
    const before = writer.length
    writeRecord(writer, records[at], `${source.stream}-${records[at].number}`)
    writer.message(scopeLogs.logRecords, before)
  }
  const scopeBefore = writer.length
  writer.string(scope.name, 'logboom')
  writer.message(scopeLogs.scope, scopeBefore)
  writer.message(resourceLogs.scopeLogs, 0)
  const resourceBefore = writer.length
  for (const [key, value] of Object.entries(source.resource).reverse())
    writePair(writer, resource.attributes, key, value)
  writer.message(resourceLogs.resource, resourceBefore)
  writer.message(request.resourceLogs, 0)
  return writer.finish()
}

export interface LogsAnswer {
  readonly rejected: number
  readonly reason: string
}

/** Throws `RangeError` for an answer that is none. */
export function decodeLogsAnswer(bytes: Buffer): LogsAnswer {
  let answer = { rejected: 0, reason: '' }
  for (const [field, value] of protobufFields(bytes)) {
    if (field !== response.partialSuccess || typeof value === 'bigint') continue
    for (const [inner, content] of protobufFields(value)) {
      if (inner === partialSuccess.rejectedLogRecords) answer = { ...answer, rejected: Number(content) }
      if (inner === partialSuccess.errorMessage)
        answer = { ...answer, reason: String(content).slice(0, MAX_REASON) }
    }
  }
  return answer
}

function writeRecord(writer: ProtobufWriter, { data, timeMs }: ShipRecord, id: string): void {
  const time = BigInt(Math.floor(timeMs)) * 1_000_000n
  const before = writer.length
  writer.fixed64(logRecord.observedTimeUnixNano, time)
  try {
    writeContent(writer, data, id, timeMs)
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error
    writer.cut(before)
    writer.fixed64(logRecord.observedTimeUnixNano, time)
    writeText(writer, data, id)
  }
  writer.fixed64(logRecord.timeUnixNano, time)
}

/** A JSON object as its message and attributes, anything else as its text. */
function writeContent(writer: ProtobufWriter, data: Buffer, id: string, timeMs: number): void {
  const record = isUtf8(data) ? (parseRecord(data) as Record<string, unknown> | undefined) : undefined
  if (record === undefined) {
    writeText(writer, data, id)
    return
  }
  const level = levelOf(record)
  writeHex(writer, logRecord.spanId, record.span_id, 8)
  writeHex(writer, logRecord.traceId, record.trace_id, 16)
  const flags = traceFlags(record.trace_flags)
  if (flags !== undefined) writer.fixed32(logRecord.flags, flags)
  const bodyField = BODY_FIELDS.find((field) => Object.hasOwn(record, field))
  for (const [key, value] of Object.entries(record).reverse()) {
    if (key === bodyField || (PLACED.has(key) && isPlaced(key, value, level, timeMs))) continue
    // OpenTelemetry knows no empty names.
    writePair(writer, logRecord.attributes, key === '' ? '_' : key, value)
  }
  writePair(writer, logRecord.attributes, 'log.record.uid', id)
  if (bodyField !== undefined) {
    const before = writer.length
    writeValue(writer, record[bodyField], 0)
    writer.message(logRecord.body, before)
  }
  if (level === undefined) return
  const step = levelStep(level)
  const name = levelNames[step].toUpperCase()
  const text = typeof record.level === 'string' ? record.level.replace(COLOURS, '') : name
  writer.string(logRecord.severityText, text)
  const between = Math.min(SEVERITIES_PER_LEVEL - 1, Math.max(0, Math.floor((level % 10) / 3)))
  writer.uint(logRecord.severityNumber, 1 + SEVERITIES_PER_LEVEL * step + between)
}

function writeText(writer: ProtobufWriter, data: Buffer, id: string): void {
  writePair(writer, logRecord.attributes, 'log.record.uid', id)
  const before = writer.length
  if (isUtf8(data)) writer.bytes(anyValue.string, data)
  else writer.bytes(anyValue.bytes, data)
  writer.message(logRecord.body, before)
}

/** Whether nothing of it is lost when it is no attribute. */
function isPlaced(key: string, value: unknown, level: number | undefined, timeMs: number): boolean {
  if (key === 'level') return level !== undefined
  if (key === 'trace_id') return hexBytes(value, 16) !== undefined
  if (key === 'span_id') return hexBytes(value, 8) !== undefined
  if (key === 'trace_flags') return traceFlags(value) !== undefined
  if (typeof value === 'number') return value === timeMs || value * 1000 === timeMs
  return typeof value === 'string' && Date.parse(value) === timeMs
}

function writeHex(writer: ProtobufWriter, field: number, value: unknown, length: number): void {
  const bytes = hexBytes(value, length)
  if (bytes !== undefined) writer.bytes(field, bytes)
}

/** An id of `length` bytes that is not all zeros. */
function hexBytes(value: unknown, length: number): Buffer | undefined {
  if (typeof value !== 'string' || value.length !== 2 * length || !/^[0-9a-f]+$/i.test(value))
    return undefined
  return /^0+$/.test(value) ? undefined : Buffer.from(value, 'hex')
}

/** As a number, or in hexadecimal, as loggers write them. */
function traceFlags(value: unknown): number | undefined {
  if (typeof value === 'string' && /^[0-9a-f]{1,2}$/i.test(value)) return Number.parseInt(value, 16)
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255
    ? value
    : undefined
}

function writePair(writer: ProtobufWriter, field: number, key: string, value: unknown, depth = 0): void {
  const before = writer.length
  writeValue(writer, value, depth)
  writer.message(keyValue.value, before)
  writer.string(keyValue.key, key)
  writer.message(field, before)
}

/** What an AnyValue holds; nothing for null. */
function writeValue(writer: ProtobufWriter, value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw new TooDeep()
  if (typeof value === 'string') writer.string(anyValue.string, value)
  else if (typeof value === 'boolean') writer.bool(anyValue.bool, value)
  else if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) writer.int64(anyValue.int, value)
    else writer.double(anyValue.double, value)
  } else if (Array.isArray(value)) {
    const before = writer.length
    for (let at = value.length - 1; at >= 0; at--) {
      const itemBefore = writer.length
      writeValue(writer, value[at], depth + 1)
      writer.message(arrayValue.values, itemBefore)
    }
    writer.message(anyValue.array, before)
  } else if (typeof value === 'object' && value !== null) {
    const before = writer.length
    for (const [key, inner] of Object.entries(value).reverse())
      writePair(writer, keyValueList.values, key, inner, depth + 1)
    writer.message(anyValue.keyValues, before)
  }
}

class TooDeep extends Error {}
