// A record of a spool in pieces, so that a long text or a stream never stands in memory as a whole.
import type { Readable } from 'node:stream'
import { errorMessage, LogboomError } from '../../base/errors.ts'

export type SpoolRecord = string | Uint8Array | Readable

const PIECE_UNITS = 64 * 1024

/** Bytes a record holds in memory, as far as is known without encoding it. */
export function sizeOf(record: SpoolRecord): number {
  if (typeof record === 'string') return Buffer.byteLength(record)
  return record instanceof Uint8Array ? record.length : 0
}

export function piecesOf(record: string | Uint8Array): Iterable<Uint8Array>
export function piecesOf(record: SpoolRecord): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
export function piecesOf(record: SpoolRecord): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof record === 'string') return textPieces(record)
  return record instanceof Uint8Array ? [record] : streamPieces(record)
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
      if (typeof chunk === 'string') yield Buffer.from(chunk)
      else if (chunk instanceof Uint8Array) yield chunk
      else throw new TypeError('the stream must give strings or bytes')
    }
  } catch (error) {
    throw new LogboomError('ERR_SOURCE', `a stream given to the spool failed: ${errorMessage(error)}`, {
      cause: error
    })
  }
}
