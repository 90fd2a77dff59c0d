// Removes what dead processes have left in a lane folder and nobody needs: rings in which nothing waits, of whatever log,
// and owners without rings. Logs with names that do not come again would else fill the memory.
import type { RingName } from '../../formats/lane-names.ts'
import type { LaneFolder } from './lane-folder.ts'
import { LaneSource } from './lane-source.ts'
import type { MappedRing } from './mapped-ring.ts'
import { LaneOwner, sweepOwners } from './owner.ts'

/** Does not throw: what cannot be removed is in nobody's way. */
export function sweepLanes(folder: LaneFolder): void {
  try {
    const { rings } = folder.list()
    for (const id of new Set(rings.map(({ owner }) => owner))) {
      const owner = LaneOwner.adopt(folder, id)
      if (owner !== undefined) sweepRings(owner, owner.rings)
      else for (const name of rings.filter(({ owner }) => owner === id)) sweepOrphan(folder, name)
    }
    sweepOwners(folder)
  } catch {
    // Whoever opens the log of such a ring says what is wrong with it.
  }
}

const swept = new Set<string>()

/** The same, once in a thread: for outputs that come and go, as much that has to stay may have to be looked at. */
export function sweepLanesOnce(folder: LaneFolder): void {
  if (swept.has(folder.path)) return
  swept.add(folder.path)
  sweepLanes(folder)
}

function sweepRings(owner: LaneOwner, rings: readonly RingName[]): void {
  const { folder } = owner
  try {
    for (const name of rings) if (isEmpty(folder.openRing(name))) folder.removeRing(name)
  } finally {
    owner.close()
  }
}

function sweepOrphan(folder: LaneFolder, name: RingName): void {
  const owner = LaneOwner.adoptOrphan(folder, name)
  if (owner !== undefined) sweepRings(owner, [name])
}

function isEmpty(ring: MappedRing | undefined): boolean {
  if (ring === undefined) return false
  try {
    const source = new LaneSource(ring, { unit: 'text' }, undefined)
    return !source.isUnsettled && !source.hasRecords
  } finally {
    ring.close()
  }
}
