import { expect, test } from 'vitest'
import { StateMachine } from '../../src/base/state-machine.ts'

const next = { shut: ['ajar', 'open'], ajar: ['open', 'shut'], open: [] } as const

test('a state is followed by those the table names', () => {
  const door = new StateMachine('a door', next, 'shut')
  expect(door.state).toBe('shut')
  door.become('ajar')
  door.become('open')
  expect(door.state).toBe('open')
})

test('any other change is an error that names both states, and leaves the first', () => {
  const door = new StateMachine('a door', next, 'shut')
  expect(() => door.become('shut')).toThrow('a door that is shut cannot become shut')
  door.become('open')
  expect(() => door.become('ajar')).toThrow('a door that is open cannot become ajar')
  expect(door.state).toBe('open')
})
