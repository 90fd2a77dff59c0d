// What a worker is doing with its records, as one explicit state. Every change goes through `become`, which knows what
// may follow what.
//
//   buffered ⇄ aside                  all of it in memory; a thread publishes that as a file
//   buffered → filed → buffered       a temp file holds the beginning, or all of it; published or discarded
//   filed ⇄ suspect                   the temp file cannot be trusted or found; its content goes to a new one
//   any → abandoned                   given up for good
import { StateMachine } from '../../base/state-machine.ts'

export type WorkerState = 'buffered' | 'aside' | 'filed' | 'suspect' | 'abandoned'

const next: Record<WorkerState, readonly WorkerState[]> = {
  buffered: ['aside', 'filed', 'abandoned'],
  aside: ['buffered', 'abandoned'],
  filed: ['suspect', 'buffered', 'abandoned'],
  suspect: ['filed', 'buffered', 'abandoned'],
  abandoned: []
}

export class WorkerLife extends StateMachine<WorkerState> {
  constructor() {
    super('a spool worker', next, 'buffered')
  }
}
