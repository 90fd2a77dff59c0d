// The life of a sink as one explicit state. Every change goes through `become`, which knows what may follow what
// (docs/design.md has the diagram).
import { StateMachine } from '../../base/state-machine.ts'
import type { SinkState } from './contract.ts'

const next: Record<SinkState, readonly SinkState[]> = {
  opening: ['open', 'degraded', 'failed', 'closing'],
  open: ['degraded', 'failed', 'closing'],
  degraded: ['open', 'failed', 'closing'],
  failed: ['closing'],
  closing: ['closed'],
  closed: []
}

export class SinkLife extends StateMachine<SinkState> {
  constructor() {
    super('a sink', next, 'opening')
  }

  /** Nothing is written any more, whatever comes. */
  get isOver(): boolean {
    const { state } = this
    return state === 'closing' || state === 'closed' || state === 'failed'
  }
}
