// What passes for data: what the engine says is bytes, whatever it says of itself.
import { runInNewContext } from 'node:vm'
import { MessageChannel } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { asBytes, requireBytes, requireData } from '../../src/base/bytes.ts'

describe('bytes', () => {
  test.each([
    ['a Uint8Array', Uint8Array.of(97, 98)],
    ['a Buffer', Buffer.from('ab')],
    ['a Uint8Array of another realm', runInNewContext('Uint8Array.of(97, 98)')],
    ['a view of memory that threads share', new Uint8Array(new SharedArrayBuffer(2)).fill(97)],
    ['an array of a class of its own', new (class extends Uint8Array {})([97, 98])]
  ])('%s are', (_, data) => {
    const bytes = asBytes(data)
    expect(bytes).toBeDefined()
    expect(Buffer.from(bytes!).equals(Buffer.from(data))).toBe(true)
    expect(requireBytes('f', data).length).toBe(2)
  })

  test('that say another length are as long as their memory', () => {
    const own = Object.defineProperty(Buffer.from('abc'), 'length', { value: 1_000 })
    class Changing extends Uint8Array {
      #asked = 0
      override get length(): number {
        return this.#asked++ === 0 ? 3 : 1_000
      }
    }
    class Throwing extends Uint8Array {
      override get length(): number {
        throw new Error('meant')
      }
    }
    for (const data of [own, new Changing(Buffer.from('abc')), new Throwing(Buffer.from('abc'))]) {
      const bytes = requireData('f', data) as Uint8Array
      expect(bytes.length).toBe(3)
      expect(bytes.length).toBe(3)
      expect(Buffer.from(bytes).toString()).toBe('abc')
    }
  })

  test('whose memory has gone to another thread are empty', () => {
    const { port1, port2 } = new MessageChannel()
    for (const data of [new Uint8Array(4), new (class extends Uint8Array {})(4)]) {
      port1.postMessage(data.buffer, [data.buffer])
      expect(requireBytes('f', data).length).toBe(0)
    }
    port1.close()
    port2.close()
  })
})

test.each([
  ['what pretends to be', Object.setPrototypeOf({ length: 3 }, Uint8Array.prototype)],
  ['a proxy of them', new Proxy(Buffer.from('abc'), {})],
  ['a wider array', new Uint16Array(2)],
  ['clamped bytes', new Uint8ClampedArray(2)],
  ['their memory', new ArrayBuffer(2)],
  ['a proxy that throws', new Proxy({}, { get: meant, getPrototypeOf: meant })],
  ['an object whose type cannot be had', Object.defineProperty({}, Symbol.toStringTag, { get: meant })]
])('%s is no bytes, and refused as such', (_, data) => {
  expect(asBytes(data)).toBeUndefined()
  expect(() => requireData('f', data)).toThrow(/^f takes a text or a Uint8Array, not .*\[ERR_ARGUMENT\]$/)
})

function meant(): never {
  throw new Error('meant')
}
