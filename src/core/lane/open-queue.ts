// Chooses the queue of a sink: in memory alone, or over rings.
import type { RecordQueue } from '../queue/byte-queue.ts'
import type { Account } from '../sink/account.ts'
import { takeLane } from '../sink/internals.ts'
import type { LaneFormat } from './lane-codec.ts'
import { LaneQueue, type OwnLane } from './lane-queue.ts'
import { LaneSource } from './lane-source.ts'
import { addSource, removeSource } from './settle.ts'

/**
 * The queue of a sink that is being constructed. `memory` is what it has without a lane; `format` says what becomes of a
 * record of its ring.
 */
export function openQueue(
  account: Account,
  memory: RecordQueue,
  format: LaneFormat
): RecordQueue | LaneQueue {
  const given = takeLane()
  if (given === undefined) return memory
  const { ring, id, survives } = given
  const unit = format.unit === 'text' ? 'text' : (given.unit ?? 'line')
  const source = new LaneSource(ring, { ...format, unit }, id)
  addSource(source)
  return createQueue(account, memory, { source, isFilledHere: false, survives })
}

function createQueue(account: Account, memory: RecordQueue, own: OwnLane | undefined): LaneQueue {
  return new LaneQueue(
    {
      lost(dropped, source) {
        account.drop(dropped)
        if (source.isDamaged)
          account.warn('ERR_CORRUPT', `the lane of ${account.path} is damaged; the rest of it is left`)
      },
      emptied: (source) => removeSource(source)
    },
    memory,
    own
  )
}
