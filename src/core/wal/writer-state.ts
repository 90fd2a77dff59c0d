// The state of a log's writer. Every change goes through `become`, which knows what may follow what:
//
//   healthy ⇄ syncing      a sync runs in the background, and appending goes on
//   → broken → sealed      a write or sync failed; the segment was cut to what is on disk
//   → lost                 the segment's file was removed, moved, replaced or shortened by somebody
//   → healthy              with a new segment
//   → failed               for good
import { StateMachine } from '../../base/state-machine.ts'

export type WriterState = 'healthy' | 'syncing' | 'broken' | 'sealed' | 'lost' | 'failed'

const next: Record<WriterState, readonly WriterState[]> = {
  healthy: ['syncing', 'broken', 'lost', 'failed'],
  syncing: ['healthy', 'broken', 'lost', 'failed'],
  broken: ['sealed', 'lost', 'failed'],
  sealed: ['healthy', 'lost', 'failed'],
  lost: ['healthy', 'failed'],
  failed: []
}

export class WriterLife extends StateMachine<WriterState> {
  constructor() {
    super('the writer of a log', next, 'healthy')
  }

  /** Whether records may be appended to the segment. */
  get isSound(): boolean {
    return this.state === 'healthy' || this.state === 'syncing'
  }
}
