// Guards of public entries that take data: what is neither text nor bytes is refused before anything is reserved, and
// what comes back is what it says it is.
import { errorMessage, LogboomError } from './errors.ts'

const typedArray = Object.getPrototypeOf(Uint8Array.prototype)
/** Told by the engine: these cannot be pretended, ask no proxy, and know arrays of other realms. */
const typeOf = getterOf<string | undefined>(Symbol.toStringTag)
const lengthOf = getterOf<number>('length')
const bufferOf = getterOf<ArrayBuffer>('buffer')
const offsetOf = getterOf<number>('byteOffset')

/**
 * `data` if it is a text or bytes (Buffer, Uint8Array, of any realm); else throws `ERR_ARGUMENT`. Bytes that say
 * something else of themselves than the engine does, such as another length, come back as a view of what they are.
 */
export function requireData(entry: string, data: unknown): string | Uint8Array {
  if (typeof data === 'string') return data
  const bytes = asBytes(data)
  if (bytes === undefined) throw argumentError(entry, 'a text or a Uint8Array', data)
  return bytes
}

/** The same for bytes alone. */
export function requireBytes(entry: string, data: unknown): Uint8Array {
  const bytes = asBytes(data)
  if (bytes === undefined) throw argumentError(entry, 'a Uint8Array', data)
  return bytes
}

/** Throws `ERR_ARGUMENT` unless `text` is a text. */
export function requireText(entry: string, text: unknown): asserts text is string {
  if (typeof text !== 'string') throw argumentError(entry, 'a text', text)
}

/** `data` as bytes, undefined if it is none. */
export function asBytes(data: unknown): Uint8Array | undefined {
  if (typeOf.call(data) !== 'Uint8Array') return undefined
  const bytes = data as Uint8Array
  const length = lengthOf.call(bytes)
  // The memory may have gone to another thread.
  if (length === 0) return new Uint8Array(0)
  const prototype = Object.getPrototypeOf(bytes)
  const isPlain = prototype === Buffer.prototype || prototype === Uint8Array.prototype
  if (isPlain && !Object.hasOwn(bytes, 'length')) return bytes
  return new Uint8Array(bufferOf.call(bytes), offsetOf.call(bytes), length)
}

export function argumentError(entry: string, wanted: string, got: unknown): LogboomError {
  return new LogboomError('ERR_ARGUMENT', `${entry} takes ${wanted}, not ${typeName(got)}`)
}

/** What `read` answers, which looks into something of the caller's. What that throws is an `ERR_ARGUMENT` of his. */
export function readArgument<T>(entry: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof LogboomError) throw error
    const message = `${entry} cannot read what it was given: ${errorMessage(error)}`
    throw new LogboomError('ERR_ARGUMENT', message, { cause: error })
  }
}

/** The type of `value` as a person would name it. */
function typeName(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  try {
    const name = Object.prototype.toString.call(value).slice(8, -1)
    return name === 'Object' ? 'an object' : `a value of type ${name}`
  } catch {
    // A proxy that answers nothing.
    return 'an object'
  }
}

function getterOf<T>(name: string | symbol): { call(data: unknown): T } {
  return Object.getOwnPropertyDescriptor(typedArray, name)?.get as never
}
