import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Claim, decodeClaim, encodeClaim, NO_SPACE } from '../../src/formats/claim-name.ts'

const digits = fc.stringMatching(/^[0-9a-f]{8}$/)
const claims = fc.record<Claim>({
  pid: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  thread: fc.nat(2 ** 31 - 1),
  start: fc.nat(10 ** 15 - 1),
  machine: digits,
  space: fc.oneof(digits, fc.constant(NO_SPACE)),
  token: fc.integer({ min: 1, max: 2 ** 48 - 1 })
})

test('a name says who made the claim', () => {
  fc.assert(
    fc.property(claims, (claim) => {
      expect(decodeClaim(encodeClaim(claim))).toEqual(claim)
    })
  )
})

test('what others put there is no claim', () => {
  const good = '12-12-345-0123abcd-0123abcd-0123456789ab'
  expect(decodeClaim(good)).toBeDefined()
  const names = [
    '',
    '.nfs0000001',
    `${good}~`,
    ` ${good}`,
    good.toUpperCase(),
    good.replace('12-', '0-'),
    good.replace(/-[^-]+$/, '-000000000000'),
    `${good}\n`
  ]
  for (const name of names) expect([name, decodeClaim(name)]).toEqual([name, undefined])
  fc.assert(
    fc.property(fc.string(), (text) => {
      const claim = decodeClaim(text)
      if (claim !== undefined) expect(encodeClaim(claim)).toHaveLength(text.length)
    })
  )
})

test('a name has room, whatever its numbers', () => {
  const largest = {
    pid: 2 ** 31,
    thread: 2 ** 31,
    start: 10 ** 15 - 1,
    machine: 'ffffffff',
    space: 'ffffffff',
    token: 2 ** 48 - 1
  }
  expect(encodeClaim(largest).length).toBeLessThan(80)
})
