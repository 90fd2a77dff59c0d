// Wrong types: refused at every entry with a code that says so, at the cost of nobody else.
import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { sinks } from '../../src/core/registry.ts'
import { createFolder } from '../helpers/folder.ts'
import { Bed } from './bed.ts'
import { type Entry, nameOf, type Subject } from './subject.ts'

/** One value of each type that a caller can have in his hands by mistake. */
export const values: Readonly<Record<string, unknown>> = {
  text: 'abc',
  Uint8Array: Uint8Array.of(97, 98, 99),
  undefined: undefined,
  null: null,
  number: 5,
  NaN: Number.NaN,
  boolean: true,
  bigint: 5n,
  symbol: Symbol('abc'),
  function: () => {},
  object: {},
  'object with a length': { length: 3 },
  'object with a negative length': { length: -100 },
  array: [1, 2, 3],
  'array of arrays': [['a']],
  'boxed text': new String('abc'),
  ArrayBuffer: new ArrayBuffer(8),
  SharedArrayBuffer: new SharedArrayBuffer(8),
  DataView: new DataView(new ArrayBuffer(8)),
  Uint16Array: new Uint16Array(4),
  BigInt64Array: new BigInt64Array(4),
  Set: new Set(['a']),
  Date: new Date(0),
  'object without a prototype': Object.create(null),
  'object that pretends to be bytes': Object.setPrototypeOf({ length: 3 }, Uint8Array.prototype),
  'object whose text cannot be had': { toString: fail, valueOf: fail, [Symbol.toPrimitive]: fail },
  'proxy of bytes': new Proxy(Buffer.from('abc'), {}),
  'proxy of an array': new Proxy([1, 2, 3], { get: fail }),
  'proxy that throws': new Proxy({}, { get: fail, has: fail, getPrototypeOf: fail, ownKeys: fail }),
  'revoked proxy': revoked({}),
  'revoked proxy of an array': revoked([])
}

function fail(): never {
  throw new Error('meant')
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

/** What no constructor takes in the place of its options. */
const notOptions = [
  'text',
  'undefined',
  'null',
  'number',
  'symbol',
  'function',
  'array',
  'proxy of an array',
  'proxy that throws',
  'revoked proxy',
  'revoked proxy of an array'
]
/** What no option takes. */
const wrongForOptions = [
  'null',
  'NaN',
  'symbol',
  'function',
  'object',
  'array of arrays',
  'boxed text',
  'ArrayBuffer',
  'DataView',
  'Uint16Array',
  'Date',
  'object without a prototype',
  'object that pretends to be bytes',
  'object whose text cannot be had',
  'proxy of bytes',
  'proxy that throws',
  'revoked proxy',
  'revoked proxy of an array'
]

const common: Readonly<Record<string, Entry>> = {
  write: { call: (sink, value) => sink.write(value as string), takes: ['text', 'Uint8Array'] },
  flush: { call: (sink, value) => sink.flush(value as 'os'), takes: ['undefined', 'function'] },
  flushSync: { call: (sink, value) => sink.flushSync(value as 'os'), takes: ['undefined'] }
}

export function argumentTests(subject: Subject): void {
  describe('a value of the wrong type', () => {
    for (const [name, entry] of Object.entries({ ...common, ...subject.entries })) {
      it(`is refused by ${name} and costs nobody else anything`, async () => {
        const bed = new Bed(subject)
        const sink = bed.create()
        const wrong = Object.keys(values).filter((type) => !(entry.takes ?? ['text']).includes(type))
        let logged = 0
        for (const type of wrong) {
          bed.log(sink, 1, logged++)
          expect(await outcome(() => entry.call(sink, values[type])), type).toMatch(
            /^ERR_(ARGUMENT|OPTION|EVENT_NAME)$/
          )
          const { dropped, queuedBytes } = sink.stats()
          expect(dropped, type).toBe(0)
          expect(Number.isSafeInteger(queuedBytes) && queuedBytes >= 0, type).toBe(true)
        }
        bed.log(sink, 3, logged)
        await sink.flush()
        expect(bed.read()).toEqual(bed.lines(logged + 3))
        await sink.close()
        expect(bed.read()).toEqual(bed.lines(logged + 3))
        expect(sink.stats()).toMatchObject({ records: logged + 3, dropped: 0, queuedBytes: 0 })
      })
    }

    it('is refused for every option, before anything is made', () => {
      const folder = createFolder()
      const { check, create, options } = sinks[subject.kind]
      const given = subject.options(folder)
      expect(() => check(given)).not.toThrow()
      for (const name of Object.keys(options)) {
        for (const type of wrongForOptions) {
          const wrong = { ...given, [name]: values[type] }
          expect(
            codeOf(() => check(wrong)),
            `${name}: ${type}`
          ).toBe('ERR_OPTION')
          expect(
            codeOf(() => create(wrong as never)),
            `${name}: ${type}`
          ).toBe('ERR_OPTION')
        }
      }
      for (const type of notOptions) {
        expect(
          codeOf(() => create(values[type] as never)),
          `${nameOf(subject)}(${type})`
        ).toBe('ERR_OPTION')
      }
      expect(readdirSync(folder)).toEqual([])
    })
  })
}

/** The code of the error that `call` throws or rejects with; else what it answered, as text. */
export async function outcome(call: () => unknown): Promise<string> {
  try {
    return `answered ${String(await call())}`
  } catch (error) {
    return (error as { code?: string }).code ?? `threw ${error}`
  }
}

function codeOf(call: () => unknown): string {
  try {
    call()
    return 'nothing thrown'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
