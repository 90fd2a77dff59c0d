// Chooses the ring of an output: in a mapped file where that can be had and the sink can take its records from there, else in
// shared memory, which ends with the process.
import { randomBytes } from 'node:crypto'
import { LogboomError } from '../../base/errors.ts'
import { sinks } from '../../core/registry.ts'
import type { LaneOptions } from '../../core/sink/common-options.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import { GrowingRing } from './growing-ring.ts'
import { type LaneSubject, MappedLane } from './mapped-lane.ts'
import type { OutputRing } from './output-ring.ts'

/** A ring in shared memory becomes no larger than this, unless a single record needs it. */
const SHARED_BYTES = 8 * 1024 * 1024

export interface RingChoice extends LaneSubject {
  readonly lane: false | LaneOptions | undefined
  readonly maxBufferBytes: number
  /** Called with each ring that is added to the first one. */
  readonly added: (ring: SharedArrayBuffer, rings: number) => void
}

export interface ChosenRing {
  readonly ring: OutputRing
  readonly id: LaneId
  /** Why what was asked for could not be had. */
  readonly failure: LogboomError | undefined
}

export function createRing(choice: RingChoice): ChosenRing {
  const { lane, kind, maxBufferBytes, added } = choice
  let failure: LogboomError | undefined
  if (lane !== false && 'lane' in sinks[kind].options) {
    try {
      const ring = new MappedLane(lane ?? {}, choice)
      return { ring, id: ring.id, failure }
    } catch (error) {
      failure = error instanceof LogboomError ? error : undefined
    }
  }
  const ring = new GrowingRing(Math.min(SHARED_BYTES, maxBufferBytes), added)
  return { ring, id: { owner: randomBytes(16).toString('hex'), number: 1 }, failure }
}
