// Chooses the ring of an output: in a mapped file where that can be had, else in shared memory, which ends with the process.
import { randomBytes } from 'node:crypto'
import { errorMessage, LogboomError } from '../../base/errors.ts'
import type { Kind } from '../../core/registry.ts'
import type { LaneOptions } from '../../core/sink/common-options.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import { GrowingRing } from './growing-ring.ts'
import { logSubject } from './lane-subject.ts'
import { type LargeAdded, MappedLane } from './mapped-lane.ts'
import type { OutputRing } from './output-ring.ts'
import type { RecordUnit } from './protocol.ts'

/** A ring in shared memory becomes no larger than this, unless a single record needs it. */
const SHARED_BYTES = 8 * 1024 * 1024

export interface RingChoice {
  readonly kind: Kind
  readonly sinkOptions: object
  readonly unit: RecordUnit
  readonly lane: false | LaneOptions | undefined
  readonly maxBufferBytes: number
  /** Called with each ring that is added to the first one. */
  readonly added: (ring: SharedArrayBuffer, rings: number) => void
  readonly largeAdded: LargeAdded
}

export interface ChosenRing {
  readonly ring: OutputRing
  readonly id: LaneId
  /** Why what was asked for could not be had. */
  readonly failure: LogboomError | undefined
}

export function createRing(choice: RingChoice): ChosenRing {
  const { lane, maxBufferBytes, added, largeAdded } = choice
  let failure: LogboomError | undefined
  if (lane !== false) {
    try {
      const subject = logSubject(choice.kind, choice.sinkOptions)
      const ring = new MappedLane(lane ?? {}, subject, choice.unit, largeAdded)
      return { ring, id: ring.id, failure }
    } catch (error) {
      failure = error instanceof LogboomError ? error : new LogboomError('ERR_IO', errorMessage(error))
    }
  }
  const ring = new GrowingRing(Math.min(SHARED_BYTES, maxBufferBytes), added)
  return { ring, id: { owner: randomBytes(16).toString('hex'), number: 1 }, failure }
}
