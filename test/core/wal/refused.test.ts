// What logSync refuses while a disk fails in every way at once. It takes back what it wrote; where the disk does not even let
// it do that, the record may be found by the next start, but never beside, before or instead of one that was acknowledged.
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import type { IndexRange } from '../../../src/core/wal/writer-contract.ts'
import { createFaultyDisk, type FaultyDisk, type Operation } from '../../helpers/faulty-disk.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { readLog } from '../../helpers/wal-log.ts'

const patience = { passingMs: Number.POSITIVE_INFINITY, failingMs: Number.POSITIVE_INFINITY }
const operations: Operation[] = [
  'open',
  'write',
  'writeSynced',
  'fdatasync',
  'fsync',
  'truncate',
  'rename',
  'renameNoReplace',
  'unlink',
  'fallocate',
  'readdir'
]

type Durability = 'os' | 'disk'

function openLog(faulty: FaultyDisk, walDir: string, durability: Durability): WriteAheadLog {
  return withInternals({ disk: faulty.disk, patience }, () =>
    WriteAheadLog.openSync({ walDir, segmentBytes: 4096, durability, fallback: false })
  )
}

/** The entries that opening a copy of the log finds. */
async function afterDeath(walDir: string): Promise<Map<bigint, string>> {
  const copy = join(createMemoryFolder(), 'wal')
  cpSync(walDir, copy, { recursive: true })
  const log = await WriteAheadLog.open({ walDir: copy, segmentBytes: 4096, fallback: false })
  await log.close()
  return new Map(readLog(copy).entries.map(({ index, text }) => [index, text]))
}

/** More than there is room for in a segment: written by a call of its own, and then synced. */
const LARGE_BYTES = 5000

/** The next write of a large record succeeds, its sync does not, and then nothing does. */
function failAfterWriting(faulty: FaultyDisk): void {
  let failing = false
  faulty.fault = (operation) => {
    failing ||= operation === 'fdatasync'
    return failing && /^(truncate|write|fdatasync|fsync|open$)/.test(operation) ? 'EIO' : undefined
  }
}

class Calls {
  readonly acknowledged: { text: string; range: IndexRange }[] = []
  readonly refused = new Set<string>()
  readonly #log: WriteAheadLog
  #number = 0

  constructor(log: WriteAheadLog) {
    this.#log = log
  }

  logSync(bytes: number): void {
    const text = `${this.#number++} ${'x'.repeat(bytes)}`
    try {
      this.acknowledged.push({ text, range: this.#log.logSync([text]) })
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_IO' })
      this.refused.add(text)
    }
  }

  /** While the disk works. */
  async log(bytes: number): Promise<void> {
    const text = `${this.#number++} ${'x'.repeat(bytes)}`
    this.acknowledged.push({ text, range: await this.#log.log([text]) })
  }

  /** All that was acknowledged in its place, nothing else in between, nothing twice, and all in the order of the calls. */
  check(found: Map<bigint, string>): { refused: number } {
    for (const { text, range } of this.acknowledged) expect(found.get(range.firstIndex)).toBe(text)
    const texts = [...found.values()]
    const numbers = texts.map((text) => Number(text.split(' ')[0]))
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
    const refused = texts.filter((text) => this.refused.has(text))
    expect(texts.length).toBe(this.acknowledged.length + refused.length)
    // Only behind everything that was acknowledged.
    expect(texts.slice(this.acknowledged.length)).toEqual(refused)
    return { refused: refused.length }
  }
}

describe.each<Durability>(['os', 'disk'])('durability %s', (durability) => {
  it('a file that cannot be shortened: what was refused is never found, whenever the process dies', async () => {
    const faulty = createFaultyDisk()
    const walDir = join(createMemoryFolder(), 'wal')
    const log = openLog(faulty, walDir, durability)
    const calls = new Calls(log)
    for (let round = 0; round < 4; round++) {
      // With as much in between as a page has, and more.
      calls.logSync(round * 3000)
      faulty.fault = (operation) => (/^(truncate|fdatasync$|writeSynced)/.test(operation) ? 'EIO' : undefined)
      for (let count = 0; count < 3; count++) {
        calls.logSync(round * 2000)
        expect(calls.check(await afterDeath(walDir))).toEqual({ refused: 0 })
      }
      faulty.fault = (operation) => (operation === 'truncate' ? 'EIO' : undefined)
      calls.logSync(1)
    }
    expect(calls.refused.size).toBe(12)
    calls.logSync(100)
    await log.close()
    expect(calls.check(await afterDeath(walDir))).toEqual({ refused: 0 })
  })

  it('a disk that takes nothing: what was refused is gone as soon as anything else is written, or the log closed', async () => {
    for (const goOn of [true, false]) {
      const faulty = createFaultyDisk()
      const walDir = join(createMemoryFolder(), 'wal')
      const log = openLog(faulty, walDir, durability)
      const calls = new Calls(log)
      calls.logSync(10)
      failAfterWriting(faulty)
      for (let count = 0; count < 3; count++) calls.logSync(LARGE_BYTES)
      expect(calls.refused.size).toBe(3)
      // There is no way to take it back now: but no more than one of them can be there.
      expect(calls.check(await afterDeath(walDir))).toEqual({ refused: 1 })
      faulty.fault = () => undefined
      if (goOn) {
        calls.logSync(30)
        expect(calls.check(await afterDeath(walDir))).toEqual({ refused: 0 })
      }
      await log.close()
      expect(calls.check(await afterDeath(walDir))).toEqual({ refused: 0 })
    }
  })

  it('a log that failed is cut when it is started again, if the disk did not let it before', async () => {
    const faulty = createFaultyDisk()
    const walDir = join(createMemoryFolder(), 'wal')
    const log = withInternals({ disk: faulty.disk, patience: { passingMs: 0, failingMs: 0 } }, () => {
      return new WriteAheadLog({ walDir, segmentBytes: 4096, durability, fallback: false })
    })
    await log.start()
    log.logSync(['before'])
    failAfterWriting(faulty)
    expect(() => log.logSync(['refused'.padEnd(LARGE_BYTES)])).toThrow(/ERR_WAL_FAILED/)
    faulty.fault = () => undefined
    await log.start()
    log.logSync(['after'])
    await log.close()
    expect([...(await afterDeath(walDir)).values()]).toEqual(['before', 'after'])
  })

  it('a disk that refuses several operations at random: never out of order, never twice, and nothing once it works again', {
    timeout: 600_000
  }, async () => {
    const rounds = sized(300, 6)
    let refused = 0
    for (let round = 0; round < rounds; round++) {
      const faulty = createFaultyDisk()
      const walDir = join(createMemoryFolder(), 'wal')
      const log = openLog(faulty, walDir, durability)
      const calls = new Calls(log)
      for (let step = 0; step < 6; step++) {
        if (random() < 0.5) await calls.log(Math.floor(random() * 200))
        const failing = operations.filter(() => random() < 0.3)
        const rate = random() < 0.5 ? 1 : 0.6
        faulty.fault = (operation) => (failing.includes(operation) && random() < rate ? 'EIO' : undefined)
        const before = calls.refused.size
        for (let count = 0; count < 3; count++) calls.logSync(Math.floor(random() * 1500))
        faulty.fault = () => undefined
        if (calls.refused.size > before) calls.check(await afterDeath(walDir))
        if (random() < 0.3) calls.logSync(10)
      }
      await log.close()
      expect(calls.check(await afterDeath(walDir))).toEqual({ refused: 0 })
      refused += calls.refused.size
    }
    expect(refused).toBeGreaterThan(rounds)
  })
})
