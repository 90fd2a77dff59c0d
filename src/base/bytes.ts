// Guards of public entries that take data: what is neither text nor bytes is refused before anything is reserved.
import { isUint8Array } from 'node:util/types'
import { LogboomError } from './errors.ts'

/** Throws `ERR_ARGUMENT` unless `data` is a text or bytes (Buffer, Uint8Array, of any realm). */
export function requireData(entry: string, data: unknown): asserts data is string | Uint8Array {
  if (typeof data !== 'string' && !isBytes(data)) throw argumentError(entry, 'a text or a Uint8Array', data)
}

/** Throws `ERR_ARGUMENT` unless `data` is bytes. */
export function requireBytes(entry: string, data: unknown): asserts data is Uint8Array {
  if (!isBytes(data)) throw argumentError(entry, 'a Uint8Array', data)
}

/** Throws `ERR_ARGUMENT` unless `text` is a text. */
export function requireText(entry: string, text: unknown): asserts text is string {
  if (typeof text !== 'string') throw argumentError(entry, 'a text', text)
}

/** `instanceof` is the faster test, and right but for arrays of other realms, such as those of a test runner. */
function isBytes(data: unknown): data is Uint8Array {
  return data instanceof Uint8Array || isUint8Array(data)
}

export function argumentError(entry: string, wanted: string, got: unknown): LogboomError {
  return new LogboomError('ERR_ARGUMENT', `${entry} takes ${wanted}, not ${typeName(got)}`)
}

/** The type of `value` as a person would name it. */
function typeName(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  const name = Object.prototype.toString.call(value).slice(8, -1)
  return name === 'Object' ? 'an object' : `a value of type ${name}`
}
