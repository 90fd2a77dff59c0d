// The request of OpenTelemetry, byte by byte and decoded again by field numbers of its .proto files.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeLogsAnswer, encodeLogsRequest } from '../../../src/ship/otlp/logs-request.ts'
import { ProtobufWriter, protobufFields } from '../../../src/ship/otlp/protobuf-writer.ts'

const source = { stream: '0123456789abcdef', resource: { 'service.name': 'shop' } }
const TIME_MS = 1_700_000_000_123

type Fields = Map<number, (bigint | Buffer)[]>

function fieldsOf(bytes: bigint | Buffer): Fields {
  const fields: Fields = new Map()
  for (const [field, value] of protobufFields(bytes as Buffer))
    fields.set(field, [...(fields.get(field) ?? []), value])
  return fields
}

/** One field of a message within messages. */
function at(bytes: bigint | Buffer, ...path: number[]): bigint | Buffer {
  return path.reduce((message, field) => fieldsOf(message).get(field)?.[0] ?? Buffer.alloc(0), bytes)
}

function doubleOf(bits: bigint): number {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(bits)
  return bytes.readDoubleLE()
}

/** An AnyValue as the value it holds. */
function anyValue(bytes: Buffer): unknown {
  for (const [field, value] of protobufFields(bytes)) {
    if (field === 1) return String(value)
    if (field === 2) return value === 1n
    if (field === 3) return Number(BigInt.asIntN(64, value as bigint))
    if (field === 4) return doubleOf(value as bigint)
    if (field === 5) return (fieldsOf(value).get(1) ?? []).map((item) => anyValue(item as Buffer))
    if (field === 6) return pairsOf(fieldsOf(value).get(1) ?? [])
    if (field === 7) return value
  }
  return null
}

function pairsOf(pairs: readonly (bigint | Buffer)[]): Record<string, unknown> {
  // A field named __proto__ is a field like others.
  return Object.fromEntries(pairs.map((pair) => [String(at(pair, 1)), anyValue(at(pair, 2) as Buffer)]))
}

function hexOf(fields: Fields, field: number): string {
  return Buffer.from(fields.get(field)?.[0] as Buffer).toString('hex')
}

function recordsOf(...texts: (string | Buffer)[]) {
  const records = texts.map((text, number) => ({ data: Buffer.from(text), number, timeMs: TIME_MS }))
  const logs = fieldsOf(at(encodeLogsRequest(source, records), 1, 2)).get(2) ?? []
  return logs.map((log) => {
    const fields = fieldsOf(log)
    return {
      fields,
      body: fields.has(5) ? anyValue(fields.get(5)?.[0] as Buffer) : undefined,
      attributes: pairsOf(fields.get(6) ?? [])
    }
  })
}

describe('a request of OpenTelemetry', () => {
  test('is written as the examples of protobuf are', () => {
    const hex = (write: (writer: ProtobufWriter) => void) => {
      const writer = new ProtobufWriter()
      write(writer)
      return writer.finish().toString('hex')
    }
    expect(hex((writer) => writer.uint(1, 150))).toBe('089601')
    expect(hex((writer) => writer.string(2, 'testing'))).toBe('120774657374696e67')
    const nested = (writer: ProtobufWriter) => {
      writer.uint(1, 150)
      writer.message(3, 0)
    }
    expect(hex(nested)).toBe('1a03089601')
    expect(hex((writer) => writer.int64(1, -2))).toBe('08feffffffffffffffff01')
  })

  test('says what it comes from', () => {
    const bytes = encodeLogsRequest(source, [{ data: Buffer.from('x'), number: 0, timeMs: 1 }])
    expect(pairsOf([at(bytes, 1, 1, 1)])).toEqual({ 'service.name': 'shop' })
    expect(String(at(bytes, 1, 2, 1, 1))).toBe('logboom')
    expect([at(bytes, 1, 2, 2, 1), at(bytes, 1, 2, 2, 11)]).toEqual([1_000_000n, 1_000_000n])
  })

  test('has the records in order, each with an id that stays the same, its time, level, trace and message', () => {
    const trace = {
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
      trace_flags: '01'
    }
    const pino = JSON.stringify({ level: 50, time: TIME_MS, ...trace, err: { type: 'E' }, msg: 'failed' })
    const winston =
      '{"level":"\\u001b[33mwarn\\u001b[39m","message":"careful","timestamp":"2023-11-14T22:13:20.123Z"}'
    const [first, second, third] = recordsOf(pino, winston, 'no json')
    expect(first.attributes).toEqual({ 'log.record.uid': `${source.stream}-0`, err: { type: 'E' } })
    expect(first.body).toBe('failed')
    expect(first.fields.get(1)).toEqual([BigInt(TIME_MS) * 1_000_000n])
    expect([first.fields.get(2), String(first.fields.get(3))]).toEqual([[17n], 'ERROR'])
    expect(hexOf(first.fields, 9)).toBe(trace.trace_id)
    expect(hexOf(first.fields, 10)).toBe(trace.span_id)
    expect(first.fields.get(8)).toEqual([1n])
    expect([second.fields.get(2), String(second.fields.get(3))]).toEqual([[13n], 'warn'])
    expect([second.body, second.attributes]).toEqual(['careful', { 'log.record.uid': `${source.stream}-1` }])
    expect([third.body, third.attributes]).toEqual(['no json', { 'log.record.uid': `${source.stream}-2` }])
    expect(third.fields.has(2)).toBe(false)
  })

  test('loses nothing that has no place of its own', () => {
    const odd = {
      level: 'custom',
      time: 'yesterday',
      trace_id: 'x',
      span_id: '0000000000000000',
      trace_flags: 999
    }
    const [{ attributes, fields }] = recordsOf(JSON.stringify({ ...odd, msg: null, message: 'other' }))
    expect(attributes).toMatchObject({ ...odd, message: 'other' })
    expect([fields.has(9), fields.has(10), fields.has(2)]).toEqual([false, false, false])
  })

  test('takes bytes that are no UTF-8, and values that are nested deeper than anybody reads, as they are', () => {
    const deep = `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`
    const [bytes, nested, empty] = recordsOf(Buffer.from([0xff, 0x00]), deep, '')
    expect(bytes.body).toEqual(Buffer.from([0xff, 0x00]))
    expect(nested.body).toBe(deep)
    expect(nested.attributes).toEqual({ 'log.record.uid': `${source.stream}-1` })
    expect(empty.body).toBe('')
  })

  test('any JSON object comes back as it was', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ minLength: 1, unit: 'grapheme' }), fc.jsonValue({ maxDepth: 4 })),
        (value) => {
          const content = JSON.parse(JSON.stringify({ data: value, body: 1 }))
          const [{ attributes }] = recordsOf(JSON.stringify(content))
          const { 'log.record.uid': _, ...rest } = attributes
          // Zero has no sign in JSON's integers.
          expect(JSON.stringify(rest)).toBe(JSON.stringify(content))
        }
      )
    )
  })

  test('numbers of every size are written as protobuf does', () => {
    const numbers = [
      0,
      1,
      127,
      128,
      16_383,
      16_384,
      2 ** 31,
      2 ** 32 - 1,
      2 ** 32,
      2 ** 53 - 1,
      -1,
      -(2 ** 53) + 1
    ]
    for (const number of numbers) {
      const writer = new ProtobufWriter()
      writer.int64(3, number)
      const [[field, value]] = [...protobufFields(writer.finish())]
      expect([field, BigInt.asIntN(64, value as bigint)]).toEqual([3, BigInt(number)])
    }
  })

  test('the answer tells how many were rejected, and bytes that are no answer are an error', () => {
    const writer = new ProtobufWriter()
    writer.string(2, 'too old')
    writer.uint(1, 3)
    writer.message(1, 0)
    expect(decodeLogsAnswer(writer.finish())).toEqual({ rejected: 3, reason: 'too old' })
    expect(decodeLogsAnswer(Buffer.alloc(0))).toEqual({ rejected: 0, reason: '' })
    for (const text of ['<html>', '{"partialSuccess":{}}', 'OK'])
      expect(() => decodeLogsAnswer(Buffer.from(text))).toThrow(RangeError)
  })
})
