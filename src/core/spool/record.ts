// A record of a spool in pieces, so that a long text or a stream never stands in memory as a whole.
import type { Readable } from 'node:stream'
import { isUint8Array } from 'node:util/types'
import { argumentError, asBytes, readArgument } from '../../base/bytes.ts'
import { errorMessage, LogboomError } from '../../base/errors.ts'

export type SpoolRecord = string | Uint8Array | Readable

const PIECE_UNITS = 64 * 1024

/** Whether the record stands in memory, and is no stream. */
export function isWhole(record: SpoolRecord): record is string | Uint8Array {
  return typeof record === 'string' || isUint8Array(record)
}

/** `record` if it is one; else throws. Streams of other packages and realms are streams, too. */
export function requireRecord(record: unknown): SpoolRecord {
  const bytes = asBytes(record)
  if (bytes !== undefined) return bytes
  return readArgument('write', () => {
    if (!isReadable(record)) {
      throw argumentError('write', 'a text, a Uint8Array or a readable stream', record)
    }
    if (record.readableEnded === true) throw endedStream()
    return record
  })
}

// What is merely iterable, such as an array or a set, is a mistake more often than a record.
function isReadable(value: unknown): value is Readable {
  if (typeof value !== 'object' || value === null) return false
  const stream = value as Partial<Readable>
  return (
    typeof stream.pipe === 'function' &&
    typeof stream.on === 'function' &&
    typeof stream.read === 'function' &&
    typeof stream[Symbol.asyncIterator] === 'function'
  )
}

// What was in it went elsewhere, and an empty record in its place would hide that.
function endedStream(): LogboomError {
  return new LogboomError('ERR_SOURCE', 'a stream given to the spool was read to its end before')
}

/** Bytes a record holds in memory, as far as is known without encoding it. */
export function sizeOf(record: SpoolRecord): number {
  if (typeof record === 'string') return Buffer.byteLength(record)
  return isWhole(record) ? record.length : 0
}

export function piecesOf(record: string | Uint8Array): Iterable<Uint8Array>
export function piecesOf(record: SpoolRecord): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
export function piecesOf(record: SpoolRecord): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof record === 'string') return textPieces(record)
  return isWhole(record) ? [record] : streamPieces(record)
}

function* textPieces(text: string): Generator<Uint8Array> {
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + PIECE_UNITS, text.length)
    // A pair of surrogates is one character and must be encoded in one piece.
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1)) && end - at > 1) end--
    yield Buffer.from(text.slice(at, end))
    at = end
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}

async function* streamPieces(stream: Readable): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) {
      const bytes = asBytes(chunk)
      if (bytes !== undefined) yield bytes
      else if (typeof chunk === 'string') yield* textPieces(chunk)
      else throw argumentError('a stream given to write', 'chunks of text or bytes', chunk)
    }
  } catch (error) {
    throw new LogboomError('ERR_SOURCE', `a stream given to the spool failed: ${errorMessage(error)}`, {
      cause: error
    })
  }
}
