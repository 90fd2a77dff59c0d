// Whoever repairs what a dead writer was appending to a log tells the lane its records came from how many of them stayed.
import type { LaneId } from '../../formats/lock-file.ts'
import type { AppendPlace } from './append-journal.ts'
import type { LaneSource } from './lane-source.ts'

/** Those that this thread reads. */
const known = new Map<string, LaneSource>()

/** See `SettleLane`. A lane that cannot be found here is settled by whoever takes it over, by what is in the file. */
export function settleLane(lane: LaneId, place: AppendPlace, keptBytes: number): void {
  known.get(keyOf(lane))?.settle(place, keptBytes)
}

/** From now on the lane is settled through `source`. */
export function addSource(source: LaneSource): void {
  if (source.id !== undefined) known.set(keyOf(source.id), source)
}

export function removeSource(source: LaneSource): void {
  if (source.id !== undefined && known.get(keyOf(source.id)) === source) known.delete(keyOf(source.id))
}

function keyOf({ owner, number }: LaneId): string {
  return `${owner}-${number}`
}
