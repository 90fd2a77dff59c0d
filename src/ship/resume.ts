// Where a shipper goes on, when its target keeps the checkpoint with the records and so knows better than a file that is lost
// or of yesterday.
import { LogboomError } from '../base/errors.ts'
import type { CheckpointState } from './checkpoint.ts'
import type { HeldPosition } from './target.ts'

/**
 * The state to go on from. The target leaves out what it has, so that this may be before its position, never behind it.
 * Throws `ERR_LOCKED` if what is there was shipped from another checkpoint that is not this one's past.
 */
export function resumeFrom(
  state: CheckpointState,
  held: HeldPosition | undefined,
  target: string
): CheckpointState {
  if (held === undefined) return state
  const isFresh = state.cursor === null && state.records === 0 && state.pending.length === 0
  if (held.stream !== state.stream && !isFresh) {
    const message = `${target}: what is there was shipped from another checkpoint (${held.stream}, and this is ${state.stream})`
    throw new LogboomError('ERR_LOCKED', message)
  }
  const noted = state.pending.reduce((sum, { records }) => sum + records, state.records)
  // What was noted is sent again as it was.
  if (held.stream === state.stream && held.records <= noted) return state
  const { stream, after, records, batches } = held
  return { ...state, stream, cursor: after, records, batches, pending: [] }
}
