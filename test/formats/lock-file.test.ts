// The state in lock files: of this version, of those before lanes, and both in one file.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeLockState,
  emptyLockState,
  encodeLockState,
  type LockState,
  lockFileBytes,
  lockStateBytes
} from '../../src/formats/lock-file.ts'
import { seed } from '../helpers/random.ts'

const lane = { owner: '0123456789abcdef0123456789abcdef', number: 7 }
const writing: LockState = {
  ...emptyLockState(),
  writing: true,
  pid: 42,
  dev: 1n,
  ino: 2n,
  offset: 100,
  length: 50,
  lane
}

function encode(state: LockState, bytes = lockStateBytes): Buffer {
  const encoded = Buffer.alloc(bytes)
  encodeLockState(state, encoded)
  return encoded
}

test('what is encoded is decoded', () => {
  const hex = fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map((bytes) => Buffer.from(bytes).toString('hex'))
  const id = fc.record({ owner: hex, number: fc.integer({ min: 0, max: 0xffffffff }) })
  const offset = fc.integer({ min: 0, max: 2 ** 50 })
  fc.assert(
    fc.property(fc.option(id, { nil: undefined }), offset, offset, (from, at, length) => {
      const state = { ...writing, lane: from, offset: at, length }
      expect(decodeLockState(encode(state))).toEqual(state)
    }),
    { seed, numRuns: 200 }
  )
})

test('a version before lanes reads what this one writes, and this one what that one writes', () => {
  const ofNow = encode(writing)
  expect(decodeLockState(ofNow.subarray(0, lockFileBytes))).toEqual({ ...writing, lane: undefined })
  const ofThen = encode(writing, lockFileBytes)
  expect(decodeLockState(ofThen)).toEqual({ ...writing, lane: undefined })
})

test('an announcement of a version before lanes makes a lane void that stood there before', () => {
  const bytes = encode(writing)
  encode({ ...writing, pid: 43, lane: undefined }, lockFileBytes).copy(bytes)
  expect(decodeLockState(bytes)).toEqual({ ...writing, pid: 43, lane: undefined })
})

test('a write that was confirmed speaks of no lane', () => {
  expect(decodeLockState(encode({ ...writing, writing: false }))?.lane).toBeUndefined()
})

test('a block that is damaged or cut off speaks of no lane', () => {
  for (let at = lockFileBytes; at < lockStateBytes; at++) {
    const bytes = encode(writing)
    bytes[at] ^= 1
    expect(decodeLockState(bytes)).toEqual({ ...writing, lane: undefined })
    expect(decodeLockState(encode(writing).subarray(0, at))).toEqual({ ...writing, lane: undefined })
  }
})
