// Rings in mapped files: what the functions refuse, and rings that somebody changes while both ends use them.
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemCode } from '../../src/base/errors.ts'
import { DATA_AT, encodeRingHeader, ringBytes } from '../../src/formats/lane.ts'
import { fallback } from '../../src/native/fallback.ts'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { random, seed } from '../helpers/random.ts'
import { sized } from '../helpers/sized.ts'

const HEADER_BYTES = 4096
const CAPACITY = 512

function codeOf(action: () => unknown): string | undefined {
  try {
    action()
  } catch (error) {
    return systemCode(error) ?? (error as Error).name
  }
  return undefined
}

/** The file of an empty ring, open. */
function createFile(isChecked = false, capacityBytes = CAPACITY): { fd: number; path: string } {
  const path = join(createFolder(), 'ring')
  const bytes = Buffer.alloc(ringBytes(HEADER_BYTES, capacityBytes))
  encodeRingHeader(capacityBytes, isChecked, '').copy(bytes)
  writeFileSync(path, bytes)
  const fd = openSync(path, 'r+')
  onTestFinished(() => closeSync(fd))
  return { fd, path }
}

test('the fallback has no mapped rings, and every function says so', () => {
  expect(fallback.laneAvailable()).toBe(false)
  expect(codeOf(() => fallback.laneMap(0, 4096, 512, false))).toBe('ERR_UNSUPPORTED')
  expect(codeOf(() => fallback.laneAppend({}, 'x'))).toBe('ERR_UNSUPPORTED')
  expect(codeOf(() => fallback.laneRelease({}, 0))).toBe('ERR_UNSUPPORTED')
})

describe.skipIf(!native.laneAvailable())('a mapped ring', () => {
  const map = (fd: number) => native.laneMap(fd, HEADER_BYTES, CAPACITY, false)

  test('is refused where the file is too short, not writable, or none', () => {
    const { fd, path } = createFile()
    expect(codeOf(() => native.laneMap(fd, HEADER_BYTES, 0, false))).toBe('EINVAL')
    expect(codeOf(() => native.laneMap(fd, 4095, CAPACITY, false))).toBe('EINVAL')
    expect(codeOf(() => native.laneMap(fd, HEADER_BYTES, CAPACITY + 8, false))).toBe('EINVAL')
    expect(codeOf(() => native.laneMap(fd, 2 ** 32 - 8, 2 ** 32 - 8, false))).toBe('EINVAL')
    expect(codeOf(() => native.laneMap(-1, HEADER_BYTES, CAPACITY, false))).toBe('EBADF')
    const readOnly = openSync(path, 'r')
    expect(codeOf(() => map(readOnly))).toBe('EACCES')
    closeSync(readOnly)
    truncateSync(path, HEADER_BYTES)
    expect(codeOf(() => map(fd))).toBe('EINVAL')
  })

  test('is refused where its positions are those of no ring', () => {
    const { fd } = createFile()
    const refused = [
      [8n, 16n],
      [1024n, 0n],
      [4n, 0n],
      [16n, 4n],
      [2n ** 53n, 2n ** 53n],
      [2n ** 64n - 8n, 2n ** 64n - 8n],
      [0n, 2n ** 64n - 8n]
    ]
    for (const [written, drained] of refused) {
      const position = Buffer.alloc(8)
      position.writeBigUInt64LE(written)
      writeSync(fd, position, 0, 8, HEADER_BYTES)
      position.writeBigUInt64LE(drained)
      writeSync(fd, position, 0, 8, HEADER_BYTES + 64)
      expect(
        codeOf(() => map(fd)),
        `${written} ${drained}`
      ).toBe('EBADMSG')
    }
  })

  test('takes no argument of another type', () => {
    const { fd } = createFile()
    const ring = map(fd)
    const other = native.replaceAtExit(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    expect(codeOf(() => native.laneWritten(other))).toBe('TypeError')
    expect(codeOf(() => native.laneUnmap(other))).toBe('TypeError')
    native.cancelReplace(other)
    const [target, ends, found] = [Buffer.alloc(99), new Uint32Array(9), new Float64Array(7)]
    for (const no of [undefined, null, 0, 'ring', {}, Buffer.alloc(8)] as never[]) {
      expect(codeOf(() => native.laneWritten(no))).toBe('TypeError')
      expect(codeOf(() => native.laneUnmap(no))).toBe('TypeError')
      expect(codeOf(() => native.laneAppend(no, 'x'))).toBe('TypeError')
      expect(codeOf(() => native.laneRead(ring, target, no, found))).toBe('TypeError')
      expect(codeOf(() => native.laneRead(ring, target, ends, no))).toBe('TypeError')
    }
    for (const no of [undefined, null, 0, {}, [1], new Uint16Array(4), Symbol('x')] as never[]) {
      expect(codeOf(() => native.laneAppend(ring, no))).toBe('TypeError')
      expect(codeOf(() => native.laneAppendReference(ring, no))).toBe('TypeError')
    }
    expect(codeOf(() => native.laneAppendReference(ring, Buffer.alloc(15)))).toBe('EINVAL')
    expect(codeOf(() => native.laneRead(ring, target, ends, new Float64Array(6)))).toBe('EINVAL')
    expect(codeOf(() => native.laneNotes(ring, Buffer.alloc(127)))).toBe('EINVAL')
    expect(codeOf(() => native.laneNote(ring, 2, Buffer.alloc(64)))).toBe('EINVAL')
    expect(codeOf(() => native.laneNote(ring, 0, Buffer.alloc(63)))).toBe('EINVAL')
    for (const wrong of [-1, Number.NaN, 2 ** 60, Number.POSITIVE_INFINITY]) {
      for (const column of [0, 1, 2]) {
        const state = new Float64Array(7)
        state[column] = wrong
        expect(
          codeOf(() => native.laneRead(ring, target, ends, state)),
          `${column} ${wrong}`
        ).toBe('EINVAL')
      }
    }
    expect(native.laneWritten(ring)).toBe(0)
    native.laneUnmap(ring)
    native.laneUnmap(ring)
    expect(codeOf(() => native.laneAppend(ring, 'x'))).toBe('EBADF')
    expect(codeOf(() => native.laneRead(ring, target, ends, found))).toBe('EBADF')
    expect(codeOf(() => native.laneNotes(ring, Buffer.alloc(128)))).toBe('EBADF')
  })

  test('takes a text of any characters up to the last byte there is room for', () => {
    const { fd, path } = createFile()
    const ring = map(fd)
    // 503 bytes, the header before and the zero behind them fill all of it.
    const texts = ['x'.repeat(503), `${'é'.repeat(251)}x`, `${'€'.repeat(167)}xx`, `${'😀'.repeat(125)}xxx`]
    for (const text of [...texts, '\ud800'.repeat(167)]) {
      expect(native.laneAppend(ring, `${text}xxxx`), 'one too many').toBe(false)
      expect(native.laneAppend(ring, text)).toBe(true)
      const length = Buffer.byteLength(text)
      expect(
        readFileSync(path)
          .subarray(HEADER_BYTES + DATA_AT + 8)
          .toString('utf8', 0, length)
      ).toBe(Buffer.from(text).toString())
      native.laneRelease(ring, native.laneWritten(ring))
    }
  })

  test('changed at random while both ends use it is used to an end, and nothing outside is touched', () => {
    // What ends with the data ends with the mapping.
    const capacity = 4096
    const rounds = sized(200_000, 4_000)
    const target = Buffer.alloc(700)
    const ends = new Uint32Array(40)
    for (const isChecked of [true, false]) {
      const { fd, path } = createFile(isChecked, capacity)
      const empty = readFileSync(path)
      let ring = native.laneMap(fd, HEADER_BYTES, capacity, isChecked)
      for (let round = 0; round < rounds; round++) {
        const what = `round ${round} of seed ${seed}`
        const choice = random()
        if (choice < 0.4) native.laneAppend(ring, 'é'.repeat(random() * 200))
        else if (choice < 0.5) native.laneAppend(ring, target.subarray(0, random() * 600))
        else if (choice < 0.55) native.laneAppendReference(ring, target.subarray(0, 16))
        else if (choice < 0.75) {
          const [used, count] = [Math.floor(random() * 300), Math.floor(random() * 20)]
          const found = Float64Array.of(
            count,
            used,
            native.laneDrained(ring) + Math.floor(random() * 3) * 8,
            0,
            0,
            0,
            0
          )
          const from = found[2]
          if (from > Number.MAX_SAFE_INTEGER) continue
          target.fill(0xee, 0)
          expect([0, 1, 2]).toContain(native.laneRead(ring, target.subarray(0, 600), ends, found))
          expect(found[1], what).toBeLessThanOrEqual(600)
          expect(found[0], what).toBeLessThanOrEqual(40)
          expect(found[2], what).toBeGreaterThanOrEqual(from)
          expect(found[2], what).toBeLessThanOrEqual(from + capacity)
          if (target.indexOf(Buffer.alloc(100, 0xee), 600) !== 600)
            throw new Error(`beyond the target: ${what}`)
        } else if (choice < 0.85) codeOf(() => native.laneRelease(ring, native.laneWritten(ring)))
        else if (choice < 0.97) {
          // Mostly headers of records, sometimes positions.
          const at = random() < 0.9 ? DATA_AT + Math.floor(random() * 512) * 8 : Math.floor(random() * 20) * 8
          const value = Buffer.alloc(4)
          value.writeUInt32LE(random() < 0.5 ? Math.floor(random() * 1000) : Math.floor(random() * 2 ** 32))
          writeSync(fd, value, 0, 4, HEADER_BYTES + at)
        } else {
          // Most of what was changed makes everything behind it unreadable: begin again.
          native.laneUnmap(ring)
          writeSync(fd, empty, 0, empty.length, 0)
          ring = native.laneMap(fd, HEADER_BYTES, capacity, isChecked)
        }
      }
      native.laneUnmap(ring)
      expect(readFileSync(path).subarray(0, HEADER_BYTES).equals(empty.subarray(0, HEADER_BYTES))).toBe(true)
    }
  })
})
