// Whoever repairs what a dead writer was appending to a log tells the lane its records came from how many of them stayed.
import type { LaneId } from '../../formats/lock-file.ts'
import type { AppendPlace, SettleLane } from './append-journal.ts'
import type { LaneUnit } from './lane-codec.ts'
import { describe, formatOf } from './lane-format.ts'
import { LaneSource } from './lane-source.ts'
import type { MappedRing } from './mapped-ring.ts'
import { LaneLook } from './watch.ts'

/** Those that this thread reads. */
const known = new Map<string, LaneSource>()

/**
 * See `SettleLane`. `dir`: where lanes may be beside the usual folders; `unit`: what a record of the log is. A lane that
 * cannot be had here is settled by whoever takes it over, by what is in the file.
 */
export function laneSettler(dir: string | undefined, unit: LaneUnit): SettleLane {
  return (lane, place, keptBytes) => {
    const source = known.get(keyOf(lane))
    if (source !== undefined) source.settle(place, keptBytes)
    else settleInFolder(lane, place, keptBytes, dir, unit)
  }
}

function settleInFolder(
  lane: LaneId,
  place: AppendPlace,
  keptBytes: number,
  dir: string | undefined,
  unit: LaneUnit
): void {
  for (const { folder, rings } of new LaneLook().ringsIn(dir)) {
    const name = rings.find(({ owner, number }) => owner === lane.owner && number === lane.number)
    if (name === undefined) continue
    let ring: MappedRing | undefined
    try {
      ring = folder.openRing(name)
      if (ring === undefined) continue
      new LaneSource(ring, formatOf(describe(ring), unit), lane).settle(place, keptBytes)
    } catch {
      // A ring that cannot be used is said to be so by whoever takes it over.
    } finally {
      ring?.close()
    }
    return
  }
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
