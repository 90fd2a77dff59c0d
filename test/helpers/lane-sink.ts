// A sink that takes its records from a ring in shared memory, as one in another thread would.
import { randomBytes } from 'node:crypto'
import { SharedRing } from '../../src/core/lane/shared-ring.ts'
import { type GivenLane, withInternals } from '../../src/core/sink/internals.ts'
import type { LaneId } from '../../src/formats/lock-file.ts'

export function laneId(number = 1): LaneId {
  return { owner: randomBytes(16).toString('hex'), number }
}

export function createLane(
  capacityBytes = 64 * 1024,
  unit?: GivenLane['unit']
): GivenLane & { ring: SharedRing } {
  const given = { ring: SharedRing.create(capacityBytes), id: laneId(), survives: false }
  return unit === undefined ? given : { ...given, unit }
}

export function onLane<T>(lane: GivenLane, create: () => T): T {
  return withInternals({ lane }, create)
}
