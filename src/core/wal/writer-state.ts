// The state of a log's writer. Every change goes through `become`, which knows what may follow what:
//
//   healthy ⇄ syncing      a sync runs in the background, and appending goes on
//   → broken → sealed      a write failed; what was acknowledged before was synced, and the segment cut to that
//   → suspect              a sync failed (that of a broken one, too): what it holds may be gone, whatever another sync says
//   → lost                 the segment's file was removed, moved, replaced or shortened by somebody
//   → healthy              with a new segment
//   → failed               for good
import { StateMachine } from '../../base/state-machine.ts'

export type WriterState = 'healthy' | 'syncing' | 'broken' | 'sealed' | 'suspect' | 'lost' | 'failed'

const next: Record<WriterState, readonly WriterState[]> = {
  healthy: ['syncing', 'broken', 'suspect', 'lost', 'failed'],
  syncing: ['healthy', 'broken', 'suspect', 'lost', 'failed'],
  broken: ['sealed', 'suspect', 'lost', 'failed'],
  suspect: ['healthy', 'lost', 'failed'],
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
