// The places of dead owners that this thread has taken. One owner may have had rings of several logs, which several
// sinks of the thread take over.
import { type RingName, ringName } from '../../formats/lane-names.ts'
import type { LaneFolder } from './lane-folder.ts'
import { LaneOwner } from './owner.ts'

export interface HeldOwner {
  release(): void
}

interface Holding {
  readonly owner: LaneOwner
  /** Numbers of the rings that somebody here has taken over. */
  readonly rings: Set<number>
}

/** Rings that sinks of this thread have left, which is alive, so that nobody else can take them. */
const left = new Map<string, LaneOwner>()

/** A sink of this thread is closed and has left records in its ring, which another sink of the log may take over. */
export function leaveRing(owner: LaneOwner, number: number): void {
  left.set(`${owner.folder.path} ${owner.id} ${number}`, owner)
}

/**
 * The same where nobody takes records out of the ring any more: then it gets an owner that is dead, so that any process may
 * take it over. Only this thread may where that cannot be done.
 */
export function giveRingAway(owner: LaneOwner, name: RingName): void {
  const { folder } = owner
  let heir: LaneOwner | undefined
  try {
    if (folder.hasLarge(name)) throw new Error('its large records would have to be renamed as well')
    // Locked until the ring is its: nobody sweeps it away before.
    heir = LaneOwner.create(folder)
    const given = { ...name, owner: heir.id }
    folder.disk.renameNoReplace(folder.pathOf(ringName(name)), folder.pathOf(ringName(given)))
  } catch {
    heir?.close()
    leaveRing(owner, name.number)
    return
  }
  heir.close()
  owner.close()
}

const held = new Map<string, Holding>()

/**
 * The place of the owner of a ring, for that ring; undefined if the owner lives, or somebody else has the ring. Throws as
 * `LaneOwner.adopt` does.
 */
export function holdOwner(folder: LaneFolder, name: RingName): HeldOwner | undefined {
  const { owner: id, number } = name
  const key = `${folder.path} ${id}`
  const own = left.get(`${key} ${number}`)
  if (own !== undefined) {
    left.delete(`${key} ${number}`)
    return { release: () => own.close() }
  }
  let holding = held.get(key)
  if (holding === undefined) {
    const owner = LaneOwner.adopt(folder, id)
    if (owner === undefined) return holdOrphan(folder, name)
    holding = { owner, rings: new Set() }
    held.set(key, holding)
  }
  const { owner, rings } = holding
  if (rings.has(number)) return undefined
  rings.add(number)
  return {
    release() {
      if (!rings.delete(number) || rings.size > 0) return
      held.delete(key)
      owner.close()
    }
  }
}

function holdOrphan(folder: LaneFolder, name: RingName): HeldOwner | undefined {
  const owner = LaneOwner.adoptOrphan(folder, name)
  return owner && { release: () => owner.close() }
}
