// Lanes that processes have left when they died, and the folders they are in.
import { join } from 'node:path'
import { LaneFolder } from '../../src/core/lane/lane-folder.ts'
import type { MappedRing } from '../../src/core/lane/mapped-ring.ts'
import { LaneOwner, type RingSubject } from '../../src/core/lane/owner.ts'
import { realDisk } from '../../src/io/disk.ts'
import { atTestEnd } from './at-test-end.ts'
import { createFolder, memoryRoot } from './folder.ts'

/** One of the folders where sinks look for lanes, for this test alone. */
export function usualLaneFolder(): LaneFolder {
  const runtime = createFolder(memoryRoot)
  const before = process.env.XDG_RUNTIME_DIR
  process.env.XDG_RUNTIME_DIR = runtime
  atTestEnd(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR
    else process.env.XDG_RUNTIME_DIR = before
  })
  return LaneFolder.open(realDisk, join(runtime, 'logboom'))
}

export interface LivingLane {
  readonly ring: MappedRing
  /** What its owner does when it dies. */
  die(): void
}

export function livingLane(folder: LaneFolder, subject: RingSubject, records: readonly string[]): LivingLane {
  const owner = LaneOwner.create(folder)
  const ring = owner.createRing(subject, 64 * 1024)
  for (const record of records) if (!ring.append(record)) throw new Error('no room in the ring')
  let isDead = false
  const die = (): void => {
    if (isDead) return
    isDead = true
    ring.close()
    owner.close()
  }
  atTestEnd(die)
  return { ring, die }
}

export function deadLane(folder: LaneFolder, subject: RingSubject, records: readonly string[]): void {
  livingLane(folder, subject, records).die()
}
