import { expect, test } from 'vitest'
import { type ErrorCode, errorMessage, errorTable, LogboomError, systemCode } from '../../src/base/errors.ts'

test('the code is a property and the end of the message, which is all that crosses a thread boundary', () => {
  const error = new LogboomError('ERR_CLOSED', 'rotating-file: write after close')
  expect(error).toMatchObject({ name: 'LogboomError', code: 'ERR_CLOSED', path: undefined })
  expect(error.message).toBe('rotating-file: write after close [ERR_CLOSED]')
  expect(error).toBeInstanceOf(Error)
  expect(structuredClone(error).message).toContain('[ERR_CLOSED]')
})

test('path and the system error travel along', () => {
  const cause = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
  const error = new LogboomError('ERR_IO', 'cannot write', { path: '/var/log/app.log', cause })
  expect(error.path).toBe('/var/log/app.log')
  expect(error.cause).toBe(cause)
  expect(systemCode(error.cause)).toBe('ENOSPC')
})

test('without a cause there is no such property', () => {
  expect('cause' in new LogboomError('ERR_IO', 'cannot write')).toBe(false)
})

test('every code says what happened, whether data is safe and what to do, in sentences', () => {
  const codes = Object.keys(errorTable) as ErrorCode[]
  expect(codes.length).toBeGreaterThan(0)
  for (const code of codes) {
    expect(code).toMatch(/^ERR_[A-Z_]+$/)
    for (const text of Object.values(errorTable[code])) expect(text, code).toMatch(/^\S.*\.$/)
  }
})

test('systemCode and errorMessage take whatever was thrown', () => {
  for (const thrown of [undefined, null, 'text', 5, {}, { code: 5 }])
    expect(systemCode(thrown)).toBeUndefined()
  expect(systemCode({ code: 'EIO' })).toBe('EIO')
  expect(errorMessage(new Error('reason'))).toBe('reason')
  expect(errorMessage('reason')).toBe('reason')
  expect(errorMessage(undefined)).toBe('undefined')
})
