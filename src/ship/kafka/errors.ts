// What the error codes of Kafka mean for a shipper, however deep a client has wrapped them.
// https://kafka.apache.org/protocol#protocol_error_codes
import { errorMessage } from '../../base/errors.ts'
import { RefusedError } from '../target.ts'
import { FencedError } from './client.ts'

/** INVALID_PRODUCER_EPOCH, PRODUCER_FENCED. */
const FENCED = [47, 90]
/**
 * MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, INVALID_TIMESTAMP. Not INVALID_RECORD: of what a shipper sends a broker says so
 * only by rules that somebody gave the topic, who can change them; and waiting loses nothing.
 */
const REFUSED = [10, 18, 32]
const MAX_DEPTH = 8

/** The error as the shipper understands it. Of what was asked for beside the records nothing is a word about them. */
export function kafkaError(error: unknown): Error {
  if (error instanceof FencedError || error instanceof RefusedError) return error
  return hasCode(error, FENCED)
    ? new FencedError(messageOf(error), { cause: error })
    : new Error(messageOf(error), { cause: error })
}

/** The same for an error of sending records, which the broker may have refused. */
export function sendError(error: unknown): Error {
  return hasCode(error, REFUSED) ? new RefusedError(messageOf(error), { cause: error }) : kafkaError(error)
}

function hasCode(error: unknown, codes: readonly number[]): boolean {
  return [...codesIn(error, 0)].some((code) => codes.includes(code))
}

function messageOf(error: unknown): string {
  return `kafka: ${deepestMessage(error)}`
}

/**
 * kafkajs has them in `code`, those that are newer than it (above 88) in the text only, and @platformatic/kafka in `apiCode`; both
 * wrap errors in others.
 */
function* codesIn(error: unknown, depth: number): Generator<number, void, undefined> {
  if (typeof error !== 'object' || error === null || depth > MAX_DEPTH) return
  const { code, apiCode, type, message, cause, originalError, errors } = error as Record<string, unknown>
  for (const each of [code, apiCode]) if (typeof each === 'number') yield each
  if (type === 'KAFKAJS_UNKNOWN_ERROR_CODE') yield Number(/\d+$/.exec(String(message))?.[0])
  for (const inner of [cause, originalError, ...(Array.isArray(errors) ? errors : [])])
    yield* codesIn(inner, depth + 1)
}

function deepestMessage(error: unknown): string {
  let deepest = error
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const { cause, errors } = (deepest ?? {}) as { cause?: unknown; errors?: unknown }
    const inner = Array.isArray(errors) && errors.length > 0 ? errors[errors.length - 1] : cause
    if (!(inner instanceof Error)) break
    deepest = inner
  }
  return errorMessage(deepest)
}
