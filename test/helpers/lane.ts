// Rings for tests: of both backings, at any position, and as the bytes they are.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LaneFolder, type RingDescription } from '../../src/core/lane/lane-folder.ts'
import type { MappedRing } from '../../src/core/lane/mapped-ring.ts'
import { LaneOwner } from '../../src/core/lane/owner.ts'
import type { Ring } from '../../src/core/lane/ring.ts'
import { SharedRing } from '../../src/core/lane/shared-ring.ts'
import { DRAINED_AT, WRITTEN_AT } from '../../src/formats/lane.ts'
import { parseRingName, type RingName } from '../../src/formats/lane-names.ts'
import { realDisk } from '../../src/io/disk.ts'
import { atTestEnd } from './at-test-end.ts'
import { createFolder, memoryRoot } from './folder.ts'

export const description: RingDescription = {
  path: '/var/log/app.log',
  kind: 'rotating-file',
  options: { maxBytes: 1000 },
  pid: 1,
  thread: 0,
  createdMs: 0
}

/** A private folder for rings, on a memory file system where there is one. */
export function createLaneFolder(): LaneFolder {
  return LaneFolder.open(realDisk, join(createFolder(memoryRoot), 'lane'))
}

export interface Ends {
  readonly producer: Ring
  readonly consumer: Ring
  /** All bytes of the ring. */
  bytes(): Buffer
}

/** Both ends of a ring that begins at `position`. */
export function sharedEnds(capacityBytes: number, position = 0): Ends {
  const { buffer } = SharedRing.create(capacityBytes)
  setPositions(Buffer.from(buffer), position)
  const producer = new SharedRing(buffer)
  const consumer = new SharedRing(buffer)
  atTestEnd(() => producer.close())
  return { producer, consumer, bytes: () => Buffer.from(new Uint8Array(buffer)) }
}

export function mappedEnds(
  capacityBytes: number,
  position = 0,
  folder = createLaneFolder()
): Ends & { path: string } {
  const owner = LaneOwner.create(folder)
  const created = owner.createRing(description, capacityBytes)
  const { path } = created
  created.close()
  if (position > 0) {
    const bytes = readFileSync(path)
    setPositions(bytes, position)
    writeFileSync(path, bytes)
  }
  const producer = folder.openRing(nameOf(created))!
  const consumer = folder.openRing(nameOf(created))!
  atTestEnd(() => {
    for (const end of [producer, consumer]) end.close()
    owner.close()
  })
  return { producer, consumer, bytes: () => readFileSync(path), path }
}

function setPositions(ring: Buffer, position: number): void {
  for (const at of [WRITTEN_AT, DRAINED_AT]) ring.writeBigUInt64LE(BigInt(position), 4096 + at)
}

export function nameOf(ring: MappedRing): RingName {
  return parseRingName(ring.path.slice(ring.path.lastIndexOf('/') + 1))!
}

/** Everything from `drained` on, released. */
export function takeAll(ring: Ring, roomBytes = 4096): Buffer[] {
  const records: Buffer[] = []
  for (;;) {
    const taken = takeSome(ring, roomBytes, 16)
    if (taken.length === 0) return records
    records.push(...taken)
  }
}

/** At most `most` records from `drained` on, released. */
export function takeSome(ring: Ring, roomBytes: number, most: number): Buffer[] {
  let target = Buffer.alloc(roomBytes)
  const ends = new Uint32Array(most)
  let read = ring.read(ring.drained, target, ends)
  if (read.needs > 0) {
    target = Buffer.alloc(read.needs)
    read = ring.read(ring.drained, target, ends)
  }
  if (read.isDamaged || read.lost > 0) throw new Error(`cannot be read: ${JSON.stringify(read)}`)
  ring.release(read.next)
  return Array.from({ length: read.records }, (_, index) =>
    Buffer.from(target.subarray(index === 0 ? 0 : ends[index - 1], ends[index]))
  )
}
