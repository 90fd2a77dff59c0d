// Rings that an independent writer made after the description in docs/formats.md: they are read for ever, and ours have
// the same bytes.
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LaneFolder } from '../../../src/core/lane/lane-folder.ts'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { DATA_AT, decodeRingHeader, encodeRingHeader } from '../../../src/formats/lane.ts'
import { ringName } from '../../../src/formats/lane-names.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { sharedEnds, takeAll, takeSome } from '../../helpers/lane.ts'

interface Golden {
  readonly number: number
  readonly isChecked: boolean
  readonly start: number
  readonly capacityBytes: number
  readonly written: number
  readonly drained: number
  readonly steps: readonly ({ append: string } | { release: number })[]
  readonly note: { from: number; skip: number; bytes: number; dev: string; ino: string; offset: string }
  readonly kind: string
}

const golden = new URL('../../fixtures/golden/lane/', import.meta.url)
const { rings } = JSON.parse(readFileSync(new URL('expected.json', golden), 'utf8')) as { rings: Golden[] }
const owner = '00112233445566778899aabbccddeeff'
const nameOf = ({ number }: Golden) => ({ log: '0123456789abcdef', owner, number })
const fileOf = (ring: Golden) => readFileSync(new URL(ringName(nameOf(ring)), golden))

/** Whether `next` appends: the records that are still there are those appended and not released. */
function left(ring: Golden): string[] {
  const records: string[] = []
  for (const next of ring.steps) {
    if ('append' in next) records.push(next.append)
    else records.splice(0, next.release)
  }
  return records
}

test.skipIf(!MappedRing.isAvailable).each(rings)('golden ring $number is read and drained', (ring) => {
  const folder = LaneFolder.open(realDisk, join(createFolder(), 'lane'))
  cpSync(golden, folder.path, { recursive: true })
  const opened = folder.openRing(nameOf(ring))!
  expect(opened.header).toMatchObject({ isChecked: ring.isChecked, capacityBytes: ring.capacityBytes })
  expect(JSON.parse(opened.header.description)).toMatchObject({
    kind: ring.kind,
    options: { maxBytes: 1_000_000 }
  })
  expect([opened.written, opened.drained]).toEqual([ring.written, ring.drained])
  const { dev, ino, offset, ...note } = ring.note
  expect(opened.noted).toEqual({ ...note, dev: BigInt(dev), ino: BigInt(ino), offset: BigInt(offset) })
  expect(takeAll(opened).map(String)).toEqual(left(ring))
  expect(opened.drained).toBe(ring.written)
  // The producer may go on.
  expect(opened.append('one more')).toBe(true)
  expect(takeAll(opened).map(String)).toEqual(['one more'])
  opened.close()
})

test.each(rings)('the header of golden ring $number is what ours is', (ring) => {
  const bytes = fileOf(ring)
  const header = decodeRingHeader(bytes)!
  const ours = encodeRingHeader(header.capacityBytes, header.isChecked, header.description)
  expect(bytes.subarray(0, header.headerBytes).equals(ours)).toBe(true)
})

test('the same steps in shared memory make the bytes of the golden ring without checksums', () => {
  const ring = rings.find(({ isChecked }) => !isChecked)!
  const { producer, consumer, bytes } = sharedEnds(ring.capacityBytes, ring.start)
  for (const next of ring.steps) {
    if ('release' in next) takeSome(consumer, 4096, next.release)
    // What a reference says of its file is the writer's own business.
    else expect(producer.append(next.append)).toBe(true)
  }
  expect([producer.written, consumer.drained]).toEqual([ring.written, ring.drained])
  const expected = fileOf(ring).subarray(4096 + DATA_AT)
  const made = bytes().subarray(4096 + DATA_AT)
  const differing = [...expected.keys()].filter((at) => expected[at] !== made[at])
  // The number of the file (a descriptor), in two bytes at most.
  expect(differing.length).toBeLessThanOrEqual(2)
})

test.skipIf(!MappedRing.isAvailable).each(rings)(
  'the same steps in a file make the bytes of golden ring $number',
  (ring) => {
    const fileSystemType = () => (ring.isChecked ? 0xef53 : 0x0102_1994)
    const folder = LaneFolder.open({ ...realDisk, fileSystemType }, join(createFolder(), 'lane'))
    const { description } = decodeRingHeader(fileOf(ring))!
    const made = folder.createRing(nameOf(ring), ring.capacityBytes, JSON.parse(description))
    // Rings begin at 0: this one as far from there as the golden one.
    const { path } = made
    made.close()
    const bytes = readFileSync(path)
    const { headerBytes } = decodeRingHeader(bytes)!
    for (const at of [0, 64]) bytes.writeBigUInt64LE(BigInt(ring.start), headerBytes + at)
    const fd = realDisk.open(path, 2, 0)
    realDisk.write(fd, bytes, 0, bytes.length, 0)
    realDisk.close(fd)
    const opened = folder.openRing(nameOf(ring))!
    const { dev, ino, offset, ...note } = ring.note
    for (const next of ring.steps) {
      if ('release' in next) takeSome(opened, 4096, next.release)
      else expect(opened.append(next.append)).toBe(true)
    }
    opened.note({ from: ring.drained, skip: 0, bytes: 9, dev: 7n, ino: 8n, offset: 9n })
    opened.note({ ...note, dev: BigInt(dev), ino: BigInt(ino), offset: BigInt(offset) })
    opened.close()
    const expected = fileOf(ring)
    // The first note of the independent writer was one that had been taken back.
    const mask = (whole: Buffer) => whole.fill(0, headerBytes + 192, headerBytes + 256)
    expect(mask(readFileSync(path)).equals(mask(expected))).toBe(true)
  }
)
