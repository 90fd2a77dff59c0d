// The life of a sink as one explicit state. Every change goes through `become`, which knows what may follow what
// (docs/design.md has the diagram).
import assert from 'node:assert'
import type { SinkState } from './contract.ts'

const next: Record<SinkState, readonly SinkState[]> = {
  opening: ['open', 'degraded', 'failed', 'closing'],
  open: ['degraded', 'failed', 'closing'],
  degraded: ['open', 'failed', 'closing'],
  failed: ['closing'],
  closing: ['closed'],
  closed: []
}

export class SinkLife {
  #state: SinkState = 'opening'

  get state(): SinkState {
    return this.#state
  }

  /** Nothing is written any more, whatever comes. */
  get isOver(): boolean {
    return this.#state === 'closing' || this.#state === 'closed' || this.#state === 'failed'
  }

  become(state: SinkState): void {
    assert(next[this.#state].includes(state), `a sink that is ${this.#state} cannot become ${state}`)
    this.#state = state
  }
}
