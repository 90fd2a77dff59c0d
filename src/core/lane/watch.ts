// Looks again every few seconds whether owners of lanes have died: one timer, and one look at each folder, for all sinks
// of a thread.
import type { RingName } from '../../formats/lane-names.ts'
import { realDisk } from '../../io/disk.ts'
import { LaneFolder } from './lane-folder.ts'

const INTERVAL_MS = 2_000

/** The rings in a folder at one moment. */
export interface FoundRings {
  readonly folder: LaneFolder
  readonly rings: readonly RingName[]
}

/** What is there when it is asked first, for everybody who asks. */
export class LaneLook {
  readonly #found = new Map<string | undefined, readonly FoundRings[]>()

  /** In `dir`, if it is given, and in the usual folders. */
  ringsIn(dir: string | undefined): readonly FoundRings[] {
    let found = this.#found.get(dir)
    if (found === undefined) {
      found = LaneFolder.existing(realDisk, dir).map((folder) => ({ folder, rings: ringsIn(folder) }))
      this.#found.set(dir, found)
    }
    return found
  }
}

function ringsIn(folder: LaneFolder): readonly RingName[] {
  try {
    return folder.list().rings
  } catch {
    // Without a folder that can be read there is nothing to take over.
    return []
  }
}

const watchers = new Set<(look: LaneLook) => void>()
let timer: NodeJS.Timeout | undefined

/** Calls `watcher`, which does not throw, from now on; the result ends that. */
export function watchLanes(watcher: (look: LaneLook) => void): () => void {
  watchers.add(watcher)
  timer ??= setInterval(() => {
    const look = new LaneLook()
    for (const each of watchers) each(look)
  }, INTERVAL_MS).unref()
  return () => {
    watchers.delete(watcher)
    if (watchers.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}
