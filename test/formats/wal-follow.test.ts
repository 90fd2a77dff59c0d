// Entries and commit marks gone over many at a time say the same as one by one, in sound logs and in damaged ones.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CONF_STATE, WalEncoder } from '../../src/formats/wal-encoder.ts'
import { WalReplay } from '../../src/formats/wal-replay.ts'
import { decodeMemory } from '../helpers/wal-memory.ts'

/** What a writer, ours or another one, may have put into a log. */
const part = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      batch: fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 6 })
    })
  },
  { weight: 1, arbitrary: fc.record({ snapshotBehind: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ term: fc.bigInt(0n, 300n), gap: fc.integer({ min: -3, max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ vote: fc.bigInt(0n, 2n), commitBehind: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ empty: true }) }
)
const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 })

type Part = typeof part extends fc.Arbitrary<infer T> ? T : never

function encode(first: bigint, parts: readonly Part[]): Buffer {
  const encoder = new WalEncoder()
  encoder.writeCrc()
  encoder.writeMetadata(undefined)
  let last = first
  for (const each of parts) {
    if ('batch' in each) last = encoder.writeBatch(last + 1n, each.batch)
    else if ('snapshotBehind' in each) {
      const index = last > BigInt(each.snapshotBehind) ? last - BigInt(each.snapshotBehind) : last
      encoder.writeSnapshot({ index, term: 1n }, CONF_STATE)
    } else if ('term' in each) {
      last = last + 1n + BigInt(each.gap) > 0n ? last + 1n + BigInt(each.gap) : last + 1n
      encoder.writeEntry(last, each.term, 'of another writer')
    } else if ('vote' in each) {
      const commit = last > BigInt(each.commitBehind) ? last - BigInt(each.commitBehind) : last
      encoder.writeState({ term: 1n, vote: each.vote, commit })
    } else encoder.writeEntry(++last, 1n, undefined)
  }
  return Buffer.from(encoder.bytes)
}

function verdict(file: Buffer, follows: boolean, stepBytes: number) {
  const replay = new WalReplay()
  const step = decodeMemory(replay, file, () => {}, { follows, stepBytes })
  const { damage, lastIndex, commit, firstIndex, firstInSegment, snapshotIndex } = replay
  const { entries, replaced, foreign, marked, committed } = replay
  const { offset, crc } = replay.decoder
  return {
    ...{ step, damage, lastIndex, commit, firstIndex, firstInSegment, snapshotIndex },
    ...{ entries, replaced, foreign, marked, committed, offset, crc }
  }
}

test('going over records many at a time ends in the same state as one by one', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0n, 126n, 2n ** 32n - 3n, 2n ** 49n - 4n, 2n ** 53n - 4n),
      fc.array(part, { maxLength: 12 }),
      edits,
      fc.integer({ min: 1, max: 3000 }),
      (first, parts, changes, stepBytes) => {
        const file = encode(first, parts)
        for (const [at, value] of changes) file[at % file.length] = value
        expect(verdict(file, true, stepBytes)).toEqual(verdict(file, false, stepBytes))
      }
    ),
    { numRuns: 500 }
  )
})

test('a limit stops before the entry behind it, and fewer places than entries are no loss', () => {
  const encoder = new WalEncoder()
  encoder.writeCrc()
  encoder.writeMetadata(undefined)
  const texts = Array.from({ length: 20 }, (_, i) => `entry ${i + 1}`)
  for (let at = 0; at < 20; at += 4) encoder.writeBatch(BigInt(at + 1), texts.slice(at, at + 4))
  const file = Buffer.from(encoder.bytes)
  const replay = new WalReplay()
  const bounds = new Int32Array(2 * 7)
  const frames = new Int32Array(7)
  const found: string[] = []
  replay.begin({ name: 'segment', sequence: 0n, index: 0n }, file.length, true)
  for (;;) {
    const count = replay.follow(18n, bounds, frames)
    const { window, windowPosition } = replay.decoder
    for (let i = 0; i < count; i++) {
      found.push(window.toString('latin1', bounds[2 * i], bounds[2 * i + 1]))
      expect(file.readUInt32LE(windowPosition + frames[i])).toBeGreaterThan(found[found.length - 1].length)
    }
    if (count > 0) continue
    const step = replay.next()
    if (step === 'more') {
      replay.decoder.makeRoom()
      file.copy(replay.decoder.window, replay.decoder.fillOffset, replay.decoder.fillPosition)
      replay.decoder.filled(file.length - replay.decoder.fillPosition)
    } else if (step === 'record' && replay.decoder.type === 2) found.push(replay.entry.data.toString())
    else if (step !== 'record') break
  }
  expect(found).toEqual(texts)
  expect(replay.commit).toBe(20n)
})
