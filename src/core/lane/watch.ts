// Looks again and again whether owners of lanes have died: one timer, and one look at each folder, for all sinks of a
// thread. Nothing tells of a death, so it is looked often while others have rings of a log; who is alone with his waits
// for the folder to tell of new ones, and an idle process is not woken.
import { monotonicMs } from '../../base/clock.ts'
import type { RingName } from '../../formats/lane-names.ts'
import { realDisk } from '../../io/disk.ts'
import { watchFolder } from '../../io/watch-folder.ts'
import { LaneFolder } from './lane-folder.ts'

/** While others have rings. */
const INTERVAL_MS = 2_000
/** While nobody else has: folders that are made later are found by nothing else. */
const ALONE_INTERVAL_MS = 60_000

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

  /** All that were looked at. */
  get folders(): ReadonlySet<string> {
    return new Set([...this.#found.values()].flat().map(({ folder }) => folder.path))
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

/** Takes over what it can; true if there are, or may be, rings whose owners can still die. Does not throw. */
export type LaneWatcher = (look: LaneLook) => boolean

interface WatchedFolder {
  readonly ino: bigint | undefined
  readonly end: () => void
}

const watchers = new Set<LaneWatcher>()
const folders = new Map<string, WatchedFolder>()
let timer: NodeJS.Timeout | undefined
let dueMs = Number.POSITIVE_INFINITY

/** Calls `watcher` from now on; the result ends that. `look`: what it has seen before. */
export function watchLanes(watcher: LaneWatcher, look: LaneLook): () => void {
  watchers.add(watcher)
  for (const path of look.folders) followFolder(path)
  lookWithin(INTERVAL_MS)
  return () => {
    watchers.delete(watcher)
    if (watchers.size > 0) return
    clearTimeout(timer)
    timer = undefined
    for (const path of [...folders.keys()]) leaveFolder(path)
  }
}

function lookWithin(ms: number): void {
  const atMs = monotonicMs() + ms
  if (timer !== undefined && dueMs <= atMs) return
  clearTimeout(timer)
  dueMs = atMs
  timer = setTimeout(lookNow, ms).unref()
}

function lookNow(): void {
  timer = undefined
  const look = new LaneLook()
  let hasOthers = false
  for (const watcher of [...watchers]) hasOthers = watcher(look) || hasOthers
  if (watchers.size === 0) return
  const isTold = followFolders(look.folders)
  lookWithin(hasOthers || !isTold ? INTERVAL_MS : ALONE_INTERVAL_MS)
}

/** Has these folders tell of what is new in them; true if they do, and did when they were looked at. */
function followFolders(paths: ReadonlySet<string>): boolean {
  for (const path of folders.keys()) if (!paths.has(path)) leaveFolder(path)
  let isTold = paths.size > 0
  for (const path of paths) if (!followFolder(path)) isTold = false
  return isTold
}

function followFolder(path: string): boolean {
  const ino = inoOf(path)
  const known = folders.get(path)
  if (known !== undefined && known.ino === ino) return true
  leaveFolder(path)
  const changed = (): void => {
    // Where much happens nobody is to be woken for all of it, and what is new has an owner who has just begun.
    leaveFolder(path)
    lookWithin(INTERVAL_MS)
  }
  const end = watchFolder(path, changed)
  if (end !== undefined) folders.set(path, { ino, end })
  // What came since it was looked at was told by nobody.
  return false
}

function leaveFolder(path: string): void {
  folders.get(path)?.end()
  folders.delete(path)
}

function inoOf(path: string): bigint | undefined {
  try {
    return realDisk.stat(path).ino
  } catch {
    return undefined
  }
}
