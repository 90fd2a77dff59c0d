// What a worker is doing with its records, as one explicit state. Every change goes through `become`, which knows what
// may follow what.
//
//   buffered ⇄ aside                  all of it in memory; a thread publishes that as a file
//   buffered → filed → buffered       a temp file holds the beginning, or all of it; published or discarded
//   filed ⇄ suspect                   the temp file cannot be trusted or found; its content goes to a new one
//   any → abandoned                   given up for good
import assert from 'node:assert'

export type WorkerPhase = 'buffered' | 'aside' | 'filed' | 'suspect' | 'abandoned'

const next: Record<WorkerPhase, readonly WorkerPhase[]> = {
  buffered: ['aside', 'filed', 'abandoned'],
  aside: ['buffered', 'abandoned'],
  filed: ['suspect', 'buffered', 'abandoned'],
  suspect: ['filed', 'buffered', 'abandoned'],
  abandoned: []
}

export class WorkerState {
  #phase: WorkerPhase = 'buffered'

  get phase(): WorkerPhase {
    return this.#phase
  }

  become(phase: WorkerPhase): void {
    assert(next[this.#phase].includes(phase), `a spool worker that is ${this.#phase} cannot become ${phase}`)
    this.#phase = phase
  }
}
