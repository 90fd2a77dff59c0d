import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { FencedError } from '../../../src/ship/kafka/client.ts'
import { kafkaError, sendError } from '../../../src/ship/kafka/errors.ts'
import { RefusedError } from '../../../src/ship/target.ts'

test('what an error of Kafka means is found however deep a client has wrapped it', () => {
  const withCode = (code: number) => Object.assign(new Error('deep'), { code })
  const withApiCode = (apiCode: number) => Object.assign(new Error('deep'), { code: 'PLT', apiCode })
  for (const code of [47, 90]) {
    expect(kafkaError(new Error('retried', { cause: withCode(code) }))).toBeInstanceOf(FencedError)
    const wrapped = new AggregateError([new AggregateError([withApiCode(code)])])
    expect(kafkaError(wrapped)).toBeInstanceOf(FencedError)
  }
  for (const code of [10, 18, 32]) expect(sendError(withCode(code))).toBeInstanceOf(RefusedError)
  expect(kafkaError(new AggregateError([new Error('why')], 'failed 4 times')).message).toBe('kafka: why')
})

test('a code that is newer than kafkajs is found in its text', () => {
  const { createErrorFromCode } = createRequire(import.meta.url)('kafkajs/src/protocol/error.js')
  expect(kafkaError(createErrorFromCode(90))).toBeInstanceOf(FencedError)
  expect(kafkaError(createErrorFromCode(47))).toBeInstanceOf(FencedError)
  for (const code of [-1, 89, 91, 190])
    expect(kafkaError(createErrorFromCode(code))).not.toBeInstanceOf(FencedError)
})

test('neither a transaction in the wrong state nor a rule of the topic puts a record aside', () => {
  for (const code of [87, 48, 3, 51]) {
    const error = sendError(Object.assign(new Error('x'), { code }))
    expect(error).not.toBeInstanceOf(RefusedError)
    expect(error).not.toBeInstanceOf(FencedError)
  }
})

test('only of records that were sent is an error a refusal, and not of what is asked for beside them', () => {
  for (const code of [10, 18, 32])
    expect(kafkaError(Object.assign(new Error('x'), { code }))).not.toBeInstanceOf(RefusedError)
  expect(sendError(Object.assign(new Error('x'), { code: 90 }))).toBeInstanceOf(FencedError)
  // What was understood once stays so.
  const refusal = sendError(Object.assign(new Error('x'), { code: 10 }))
  expect(kafkaError(refusal)).toBe(refusal)
})

test('errors that name each other do not keep it busy', () => {
  const one = new Error('one')
  one.cause = new Error('two', { cause: one })
  expect(kafkaError(one)).toBeInstanceOf(Error)
})
