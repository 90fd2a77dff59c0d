import { describe, expect, test } from 'vitest'
import type { SinkState } from '../../../src/core/sink/contract.ts'
import { SinkLife } from '../../../src/core/sink/sink-state.ts'

const states: readonly SinkState[] = ['opening', 'open', 'degraded', 'failed', 'closing', 'closed']
/** A way to each state. */
const ways: Record<SinkState, readonly SinkState[]> = {
  opening: [],
  open: ['open'],
  degraded: ['degraded'],
  failed: ['failed'],
  closing: ['closing'],
  closed: ['closing', 'closed']
}
const allowed: Record<SinkState, readonly SinkState[]> = {
  opening: ['open', 'degraded', 'failed', 'closing'],
  open: ['degraded', 'failed', 'closing'],
  degraded: ['open', 'failed', 'closing'],
  failed: ['closing'],
  closing: ['closed'],
  closed: []
}

describe.each(states)('a sink that is %s', (from) => {
  test.each(states)('becomes %s only if the diagram has it', (to) => {
    const life = new SinkLife()
    for (const state of ways[from]) life.become(state)
    expect(life.state).toBe(from)
    if (allowed[from].includes(to)) {
      life.become(to)
      expect(life.state).toBe(to)
    } else {
      expect(() => life.become(to)).toThrow(`a sink that is ${from} cannot become ${to}`)
      expect(life.state).toBe(from)
    }
  })
})

test('nothing is written any more once it has failed or closes', () => {
  const over = states.filter((state) => {
    const life = new SinkLife()
    for (const step of ways[state]) life.become(step)
    return life.isOver
  })
  expect(over).toEqual(['failed', 'closing', 'closed'])
})
