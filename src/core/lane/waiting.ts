// What waits in lanes, for those who look: which records of which log, since when, and whether somebody lives who writes
// them out. Nothing is changed.

import type { RingName } from '../../formats/lane-names.ts'
import { realDisk } from '../../io/disk.ts'
import { type LaneFolder, logKey } from './lane-folder.ts'
import { describe, formatOf } from './lane-format.ts'
import { LaneSource } from './lane-source.ts'
import type { MappedRing } from './mapped-ring.ts'
import { LaneOwner } from './owner.ts'
import { LaneLook } from './watch.ts'

export interface WaitingLane {
  /** Of the log; empty if the ring does not say. */
  readonly path: string
  readonly kind: string
  readonly options: Readonly<Record<string, unknown>>
  readonly folder: LaneFolder
  readonly pid: number
  /** When the ring was made, ms since 1970. */
  readonly sinceMs: number
  /** The process that fills it lives, or somebody is writing it out. */
  readonly isHeld: boolean
  /** Undefined while it is held, as they are taken out meanwhile. */
  readonly records: number | undefined
  readonly bytes: number
  /** Why it cannot be read. */
  readonly failure: unknown
}

/** The lanes of the log at `path`, or of all logs; in `dir`, if it is given, and in the usual folders. */
export function waitingLanes(path?: string, dir?: string): WaitingLane[] {
  const key = path === undefined ? undefined : logKey(realDisk, path)
  const lanes: WaitingLane[] = []
  for (const { folder, rings } of new LaneLook().ringsIn(dir)) {
    for (const name of rings) {
      if (key !== undefined && name.log !== key) continue
      const lane = look(folder, name)
      if (lane !== undefined) lanes.push(lane)
    }
  }
  return lanes
}

function look(folder: LaneFolder, name: RingName): WaitingLane | undefined {
  const unknown = {
    path: '',
    kind: '',
    options: {},
    folder,
    pid: 0,
    sinceMs: 0,
    records: undefined,
    bytes: 0
  }
  let ring: MappedRing | undefined
  let owner: LaneOwner | undefined
  try {
    owner = LaneOwner.adopt(folder, name.owner) ?? LaneOwner.adoptOrphan(folder, name)
    ring = folder.openRing(name)
    if (ring === undefined) return undefined
    const description = describe(ring)
    const { path, kind, options, pid, createdMs } = description
    const isHeld = owner === undefined
    const source = new LaneSource(ring, formatOf(description, 'line'), undefined)
    const counted = isHeld ? { records: undefined, bytes: source.waitingBytes } : source.count()
    return { path, kind, options, folder, pid, sinceMs: createdMs, isHeld, ...counted, failure: undefined }
  } catch (failure) {
    return { ...unknown, isHeld: owner === undefined, failure }
  } finally {
    ring?.close()
    owner?.close()
  }
}
