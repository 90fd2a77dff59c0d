// How what waits in memory keeps the process alive: once, however it comes and goes.
import { expect, test } from 'vitest'
import { LinkIntake } from '../../src/transports/link-intake.ts'

function createIntake(overflow: 'block' | 'drop-oldest', maxBufferBytes: number) {
  const state = { holds: 0, hasRoom: false }
  const ring = {
    capacityBytes: 1000,
    written: 0,
    drained: 0,
    append: () => state.hasRoom,
    grow: () => false
  }
  const words = { signal: 1, isDegraded: false, want() {}, discard() {}, block: () => false }
  const worker = {
    hold: () => state.holds++,
    letGo: () => state.holds--,
    ringNow() {},
    ringSoon() {}
  }
  const intake = new LinkIntake({
    maxBufferBytes,
    overflow,
    ring,
    words,
    worker,
    drops: { add() {}, hasUnlogged: false },
    countRecords: () => 1,
    moved() {},
    allInRing() {}
  } as never)
  return { intake, state, words }
}

test('what waits in memory keeps the process alive until it is moved', () => {
  const { intake, state } = createIntake('block', 100)
  for (let i = 0; i < 3; i++) intake.take('record', 1)
  expect(state.holds).toBe(1)
  state.hasRoom = true
  expect([intake.move(), state.holds]).toEqual([true, 0])
  state.hasRoom = false
  intake.take('record', 1)
  expect(state.holds).toBe(1)
})

test('what is forgotten keeps nothing alive', () => {
  const { intake, state } = createIntake('block', 100)
  intake.take('record', 1)
  expect([intake.clear().lines, state.holds]).toEqual([1, 0])
  intake.clear()
  intake.move()
  expect(state.holds).toBe(0)
})

test('nor does what makes room for newer records', () => {
  const { intake, state } = createIntake('drop-oldest', 8)
  for (let i = 0; i < 5; i++) intake.take('record', 1)
  expect([intake.dropped, state.holds]).toEqual([4, 1])
  intake.clear()
  expect(state.holds).toBe(0)
})

test('nor does what cannot be written, until it can', () => {
  const { intake, state, words } = createIntake('block', 100)
  intake.take('record', 1)
  intake.degraded()
  expect(state.holds).toBe(0)
  intake.recovered()
  expect(state.holds).toBe(1)
  intake.degraded()
  words.isDegraded = true
  intake.take('record', 1)
  expect(state.holds).toBe(0)
  words.isDegraded = false
  intake.take('record', 1)
  expect(state.holds).toBe(1)
})
