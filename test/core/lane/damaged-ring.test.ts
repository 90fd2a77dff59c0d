// Rings that somebody else has written: cut anywhere, any byte changed, made up. Whatever they hold, reading them ends, and
// gives no record that was not appended.
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemCode } from '../../../src/base/errors.ts'
import { LaneFolder } from '../../../src/core/lane/lane-folder.ts'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { LaneOwner } from '../../../src/core/lane/owner.ts'
import type { Ring } from '../../../src/core/lane/ring.ts'
import { SharedRing } from '../../../src/core/lane/shared-ring.ts'
import { checkWord, DATA_AT, recordType, TYPE_SHIFT, WHOLE } from '../../../src/formats/lane.ts'
import { type RingName, ringName } from '../../../src/formats/lane-names.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { description, nameOf, takeSome } from '../../helpers/lane.ts'
import { sized } from '../../helpers/sized.ts'

const HEADER_BYTES = 4096
const CAPACITY = 512

/** A folder whose rings carry checksums, as on a disk, or not. */
function createFolderOf(isChecked: boolean): LaneFolder {
  const disk = { ...realDisk, fileSystemType: () => (isChecked ? 0xef53 : 0x0102_1994) }
  return LaneFolder.open(disk, join(createFolder(memoryRoot), 'lane'))
}

interface Sample {
  readonly folder: LaneFolder
  readonly bytes: Buffer
  /** Everything that was ever appended, and how much of it, from the end, is still to be taken out. */
  readonly appended: readonly string[]
  readonly waiting: number
  /** Where to put a changed copy, to open it. */
  readonly copy: RingName
}

/** A ring that has gone round more than once, with an unused rest, a large record and a note. */
function createSample(isChecked: boolean): Sample {
  const folder = createFolderOf(isChecked)
  const ring = LaneOwner.create(folder).createRing(description, CAPACITY)
  const appended: string[] = []
  for (let n = 0; n < 9; n++) {
    const record = `${n}`.repeat(11 * n)
    expect(ring.append(record)).toBe(true)
    appended.push(record)
    if (n < 6) takeSome(ring, CAPACITY, 1)
  }
  const large = 'large '.repeat(100)
  expect(ring.append(large)).toBe(true)
  appended.push(large)
  ring.note({ from: ring.drained, skip: 1, bytes: 2, dev: 3n, ino: 4n, offset: 5n })
  const copy = { ...nameOf(ring), number: 2 }
  const bytes = readFileSync(ring.path)
  copyFileSync(
    folder.pathOf(`${ringName(nameOf(ring)).slice(0, -5)}-1.big`),
    folder.pathOf(`${ringName(copy).slice(0, -5)}-1.big`)
  )
  ring.close()
  return { folder, bytes, appended, waiting: 4, copy }
}

/** All that can be read, without releasing it. A limit: each record takes at least 16 bytes. */
function readAll(ring: Ring): { records: string[]; isDamaged: boolean } {
  const records: string[] = []
  const target = Buffer.alloc(4096)
  const ends = new Uint32Array(3)
  let from = ring.drained
  for (let turn = 0; turn <= CAPACITY / 16; turn++) {
    const read = ring.read(from, target, ends)
    for (let i = 0; i < read.records; i++) {
      records.push(target.toString('latin1', i === 0 ? 0 : ends[i - 1], ends[i]))
    }
    if (read.isDamaged) return { records, isDamaged: true }
    if (read.next === from) return { records, isDamaged: false }
    expect(read.next).toBeGreaterThan(from)
    from = read.next
  }
  throw new Error('reading does not end')
}

/** What of a changed copy of the sample can be read; undefined if it is refused. */
function readCopy({ folder, copy }: Sample, bytes: Buffer): ReturnType<typeof readAll> | undefined {
  writeFileSync(folder.pathOf(ringName(copy)), bytes)
  let ring: MappedRing | undefined
  try {
    ring = folder.openRing(copy)
  } catch (error) {
    expect(systemCode(error)).toBe('ERR_CORRUPT')
    return undefined
  }
  try {
    void ring!.noted
    return readAll(ring!)
  } finally {
    ring!.close()
  }
}

/** Whether `records` were appended one behind the other. */
function isRun(records: readonly string[], appended: readonly string[]): boolean {
  return appended.some((_, from) => records.every((record, index) => record === appended[from + index]))
}

describe.skipIf(!MappedRing.isAvailable).each([
  { what: 'with checksums', isChecked: true },
  { what: 'without checksums', isChecked: false }
])('a ring $what (needs the addon)', ({ isChecked }) => {
  test('is read as it was appended', () => {
    const sample = createSample(isChecked)
    const expected = { records: sample.appended.slice(-sample.waiting), isDamaged: false }
    expect(readCopy(sample, sample.bytes)).toEqual(expected)
  })

  test('cut anywhere is refused', () => {
    const sample = createSample(isChecked)
    const path = sample.folder.pathOf(ringName(sample.copy))
    writeFileSync(path, sample.bytes)
    for (let length = sample.bytes.length - 1; length >= 0; length -= length < 200 ? 1 : 7) {
      truncateSync(path, length)
      expect(() => sample.folder.openRing(sample.copy)).toThrow('ERR_CORRUPT')
    }
  })

  test('with any byte changed is refused, or gives nothing that was not appended', () => {
    const sample = createSample(isChecked)
    const { bytes, appended } = sample
    for (const mask of sized([1, 2, 4, 8, 16, 32, 64, 128, 255], [1, 128])) {
      // All bytes of the header have one checksum, and those behind the notes are not looked at.
      for (let at = 0; at < bytes.length; at += at >= 100 && at < HEADER_BYTES - 100 ? 97 : 1) {
        if (at > HEADER_BYTES + 256 && at < HEADER_BYTES + DATA_AT) at = HEADER_BYTES + DATA_AT
        const changed = Buffer.from(bytes)
        changed[at] ^= mask
        const read = readCopy(sample, changed)
        if (at < HEADER_BYTES) expect(read, `byte ${at}`).toBeUndefined()
        if (read === undefined) continue
        // Nothing guards a payload in memory, which does not change by itself.
        const isInData = at >= HEADER_BYTES + DATA_AT
        const isSame = (record: string, index: number) =>
          record === appended[appended.length - sample.waiting + index]
        const differing = read.records.filter((record, index) => !isSame(record, index)).length
        if (isInData && !isChecked) expect(differing, `byte ${at}`).toBeLessThanOrEqual(1)
        else expect(isRun(read.records, appended), `byte ${at}: ${JSON.stringify(read)}`).toBe(true)
      }
    }
  })

  test('torn anywhere, as when pages of the time before came back, gives nothing that was not appended', () => {
    const sample = createSample(isChecked)
    const { bytes, appended } = sample
    for (let at = HEADER_BYTES + DATA_AT; at < bytes.length; at += 8) {
      for (const zeroBytes of [8, 64]) {
        const torn = Buffer.from(bytes)
        torn.fill(0, at, Math.min(at + zeroBytes, torn.length))
        const read = readCopy(sample, torn)!
        if (isChecked) expect(isRun(read.records, appended), `from ${at}`).toBe(true)
        else expect(read.records.length).toBeLessThanOrEqual(sample.waiting)
      }
    }
  })

  test('made up of anything is read to an end', () => {
    const sample = createSample(isChecked)
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: CAPACITY, maxLength: CAPACITY }),
        fc.integer({ min: 0, max: 2 ** 40 }),
        fc.nat(CAPACITY / 8),
        (data, position, distance) => {
          const bytes = Buffer.from(sample.bytes)
          const drained = BigInt(position * 8)
          bytes.writeBigUInt64LE(drained + BigInt(distance * 8), HEADER_BYTES)
          bytes.writeBigUInt64LE(drained, HEADER_BYTES + 64)
          bytes.set(data, HEADER_BYTES + DATA_AT)
          // Headers that are half right come further.
          for (let at = 0; at < CAPACITY; at += 32) bytes[HEADER_BYTES + DATA_AT + at + 3] |= 0x80
          const read = readCopy(sample, bytes)!
          expect(read.records.length).toBeLessThanOrEqual(CAPACITY / 16)
        }
      ),
      { numRuns: sized(5000, 300) }
    )
  })

  test('whose positions change while it is open is read to an end', () => {
    const sample = createSample(isChecked)
    const path = sample.folder.pathOf(ringName(sample.copy))
    writeFileSync(path, sample.bytes)
    const ring = sample.folder.openRing(sample.copy)!
    const target = Buffer.alloc(4096)
    const ends = new Uint32Array(100)
    const from = ring.drained
    const fd = realDisk.open(path, 2, 0)
    try {
      const position = Buffer.alloc(8)
      for (const written of [0n, 8n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 8n, BigInt(from + 12)]) {
        position.writeBigUInt64LE(written)
        realDisk.write(fd, position, 0, 8, HEADER_BYTES)
        expect(ring.read(from, target, ends).isDamaged, String(written)).toBe(true)
      }
      // The producer's end trusts its own position, and takes nothing where the other one cannot be.
      position.writeBigUInt64LE(2n ** 60n)
      realDisk.write(fd, position, 0, 8, HEADER_BYTES + 64)
      expect(ring.append('x')).toBe(false)
    } finally {
      realDisk.close(fd)
      ring.close()
    }
  })
})

/** A record header whose check is right, whatever it says. */
function forgeHeader(ring: Buffer, isChecked: boolean, position: number, type: number, length: number): void {
  const at = HEADER_BYTES + DATA_AT + (position % CAPACITY)
  const word = (WHOLE | (type << TYPE_SHIFT) | length) >>> 0
  const hashed = type === recordType.unused ? 0 : Math.min(length, ring.length - at - 8)
  ring.writeUInt32LE(word, at)
  ring.writeUInt32LE(checkWord(isChecked, position, word, ring, at + 8, at + 8 + hashed), at + 4)
}

const forged = [
  {
    what: 'that goes beyond the end of the data',
    position: 3 * CAPACITY - 32,
    type: recordType.record,
    length: 100
  },
  { what: 'that goes beyond what was written', position: 2 * CAPACITY, type: recordType.record, length: 500 },
  { what: 'that skips less than the rest', position: 3 * CAPACITY - 64, type: recordType.unused, length: 16 },
  { what: 'that skips more than the rest', position: 3 * CAPACITY - 64, type: recordType.unused, length: 64 },
  { what: 'that names a file in too few bytes', position: 2 * CAPACITY, type: recordType.large, length: 8 },
  { what: 'that names a file in too many bytes', position: 2 * CAPACITY, type: recordType.large, length: 24 },
  { what: 'of a type that is not known', position: 2 * CAPACITY, type: 3, length: 16 }
]

test.each(forged)('a forged record $what is damage', ({ position, type, length }) => {
  const set = (bytes: Buffer, isChecked: boolean) => {
    bytes.writeBigUInt64LE(BigInt(position + 200), HEADER_BYTES)
    bytes.writeBigUInt64LE(BigInt(position), HEADER_BYTES + 64)
    // Sound, and for those who go on there to find.
    forgeHeader(bytes, isChecked, position + 24, recordType.record, 4)
    forgeHeader(bytes, isChecked, position, type, length)
  }
  const { buffer } = SharedRing.create(CAPACITY)
  set(Buffer.from(buffer), false)
  expect(readAll(new SharedRing(buffer))).toEqual({ records: [], isDamaged: true })
  if (!MappedRing.isAvailable) return
  for (const isChecked of [true, false]) {
    const sample = createSample(isChecked)
    const bytes = Buffer.from(sample.bytes)
    set(bytes, isChecked)
    expect(readCopy(sample, bytes)).toEqual({ records: [], isDamaged: true })
  }
})

test('a large record of a length that was made up is passed over, whatever the target', () => {
  const set = (bytes: Buffer, isChecked: boolean, length: bigint) => {
    bytes.writeBigUInt64LE(2n * BigInt(CAPACITY) + 32n, HEADER_BYTES)
    bytes.writeBigUInt64LE(2n * BigInt(CAPACITY), HEADER_BYTES + 64)
    bytes.writeUInt32LE(1, HEADER_BYTES + DATA_AT + 8)
    bytes.writeBigUInt64LE(length, HEADER_BYTES + DATA_AT + 16)
    forgeHeader(bytes, isChecked, 2 * CAPACITY, recordType.large, 16)
  }
  for (const length of [601n, 2n ** 32n, 2n ** 53n, 2n ** 64n - 1n]) {
    const { buffer } = SharedRing.create(CAPACITY)
    set(Buffer.from(buffer), false, length)
    const rings: Ring[] = [new SharedRing(buffer)]
    for (const isChecked of MappedRing.isAvailable ? [true, false] : []) {
      const sample = createSample(isChecked)
      const bytes = Buffer.from(sample.bytes)
      set(bytes, isChecked, length)
      writeFileSync(sample.folder.pathOf(ringName(sample.copy)), bytes)
      rings.push(sample.folder.openRing(sample.copy)!)
    }
    for (const ring of rings) {
      for (const room of [0, 100, 5000]) {
        const read = ring.read(ring.drained, Buffer.alloc(room), new Uint32Array(3))
        expect(read, `${length}`).toMatchObject({ records: 0, needs: 0, lost: 1, next: ring.written })
      }
      ring.close()
    }
  }
})

test('shared memory of no ring is refused, and a damaged record there ends the reading', () => {
  expect(() => new SharedRing(new SharedArrayBuffer(8192))).toThrow('memory of a ring')
  const ring = SharedRing.create(CAPACITY)
  for (const record of ['a', 'b', 'c']) ring.append(record)
  const bytes = Buffer.from(ring.buffer)
  for (let at = 0; at < 8; at++) {
    for (const mask of [1, 128]) {
      bytes[HEADER_BYTES + DATA_AT + 16 + at] ^= mask
      expect(readAll(ring), `byte ${at}`).toEqual({ records: ['a'], isDamaged: true })
      bytes[HEADER_BYTES + DATA_AT + 16 + at] ^= mask
    }
  }
  expect(readAll(ring)).toEqual({ records: ['a', 'b', 'c'], isDamaged: false })
})
