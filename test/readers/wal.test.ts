// Write-ahead logs read back: through readRecords, and what info, verify and repair say.
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { segmentName } from '../../src/formats/wal.ts'
import { WalEncoder } from '../../src/formats/wal-encoder.ts'
import { createContext } from '../../src/readers/engine/context.ts'
import { walReader } from '../../src/readers/formats/wal.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'
import { batchEnds, overwrite, segmentsOf, writeLog } from '../helpers/wal-damage.ts'

const golden = join(import.meta.dirname, '../fixtures/golden/wal')

async function createLog(count = 35): Promise<{ walDir: string; names: string[]; lines: string[] }> {
  const walDir = join(createFolder(), 'wal')
  const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096 })
  const lines = Array.from({ length: count }, (_, i) => `${i + 1} ${'x'.repeat(i * 20)}`)
  for (let i = 0; i < lines.length; i += 3) await log.log(lines.slice(i, i + 3))
  await log.close()
  return { walDir, names: readdirSync(walDir).filter((name) => name.endsWith('.wal')), lines }
}

function copyEtcd(): string {
  const folder = createFolder()
  for (const name of readdirSync(join(golden, 'etcd-server'))) {
    if (!name.endsWith('.wal.gz')) continue
    const file = gunzipSync(readFileSync(join(golden, 'etcd-server', name)))
    writeFileSync(join(folder, name.slice(0, -3)), file)
  }
  return folder
}

async function reports(path: string) {
  const found = []
  for await (const report of walReader.verify(path, createContext())) found.push(report)
  return found
}

describe('readRecords', () => {
  it('returns the entries of all segments with index, file and offset', async () => {
    const { walDir, names, lines } = await createLog()
    const { lines: found, records, error } = await collect(walDir)
    expect(error).toBeUndefined()
    expect(found).toEqual(lines)
    expect(records.map(({ index }) => index)).toEqual(lines.map((_, i) => BigInt(i + 1)))
    expect(records[0].file).toBe(join(walDir, names[0]))
    for (const { file, offset, data } of records) {
      expect(
        readFileSync(file)
          .subarray(offset, offset + data.length + 40)
          .includes(data)
      ).toBe(true)
    }
  })

  it('begins at an index, with the last n, at an offset of the last segment, or at the end', async () => {
    const { walDir, lines } = await createLog()
    expect((await collect(walDir, { from: 20n })).lines).toEqual(lines.slice(19))
    expect((await collect(walDir, { from: { last: 4 } })).lines).toEqual(lines.slice(-4))
    expect((await collect(walDir, { from: { last: 1000 } })).lines).toEqual(lines)
    expect((await collect(walDir, { from: 'end' })).lines).toEqual([])
    const { records } = await collect(walDir, { from: { last: 2 } })
    expect((await collect(walDir, { from: records[0].offset })).lines).toEqual(lines.slice(-2))
  })

  it('reads the golden logs: one of an independent writer, and the raft log of a real etcd server', async () => {
    const two = await collect(join(golden, 'two-segments'))
    expect(two.lines.map((line) => JSON.parse(line).msg)).toEqual(['hello', 'world', 'boom'])
    const etcd = await collect(copyEtcd())
    expect(etcd.error).toBeUndefined()
    expect(etcd.records.length).toBe(124)
    expect(etcd.records[123].index).toBe(124n)
  })

  it('reads a log without commit marks to its end', async () => {
    const folder = createFolder()
    const encoder = new WalEncoder()
    encoder.writeCrc()
    encoder.writeMetadata(undefined)
    encoder.writeSnapshot({ index: 0n, term: 0n })
    for (const index of [1n, 2n, 3n]) encoder.writeEntry(index, 0n, `waldata${index}`)
    writeFileSync(join(folder, segmentName(0n, 0n)), encoder.bytes)
    expect((await collect(folder)).lines).toEqual(['waldata1', 'waldata2', 'waldata3'])
  })

  it('returns whole batches only, and ends cleanly at a torn tail', async () => {
    const { walDir, names, lines } = await createLog(38)
    const path = join(walDir, names[names.length - 1])
    truncateSync(path, readFileSync(path).length - 24)
    const { lines: found, error } = await collect(walDir)
    expect(error).toBeUndefined()
    expect(found).toEqual(lines.slice(0, 36))
    expect((await collect(walDir, { from: { last: 1 } })).lines).toEqual([lines[35]])
  })

  it('throws for damage after all intact records, or skips to the next segment and counts', async () => {
    const { walDir, names, lines } = await createLog()
    const path = join(walDir, names[1])
    const bytes = readFileSync(path)
    bytes[bytes.length - 300] ^= 1
    writeFileSync(path, bytes)
    const thrown = await collect(walDir)
    expect(thrown.error).toMatchObject({ code: 'ERR_CORRUPT', path })
    expect(thrown.lines).toEqual(lines.slice(0, thrown.lines.length))
    expect(thrown.lines.length).toBeGreaterThan(3)
    const skipped = await collect(walDir, { onCorrupt: 'skip-file' })
    expect(skipped.error).toBeUndefined()
    expect(skipped.lines[skipped.lines.length - 1]).toBe(lines[lines.length - 1])
    expect(skipped.stats.skippedBytes).toBeGreaterThan(0)
    expect(readFileSync(path)).toEqual(bytes)
  })

  it('reads a single segment, and a segment under another name', async () => {
    const { walDir, names } = await createLog()
    const one = await collect(join(walDir, names[1]))
    expect(one.error).toBeUndefined()
    expect(one.records.length).toBeGreaterThan(0)
    const copy = join(createFolder(), 'saved.bin')
    copyFileSync(join(walDir, names[1]), copy)
    expect((await collect(copy)).lines).toEqual(one.lines)
  })

  it('follows a log through cuts, every record once, batches whole', { timeout: 20_000 }, async () => {
    const walDir = join(createFolder(), 'wal')
    const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096 })
    onTestFinished(() => log.close())
    await log.log(['first'])
    const reader = readRecords(walDir, { follow: true })
    const found: string[] = []
    const reading = (async () => {
      for await (const { data } of reader) {
        found.push(data.toString())
        if (data.toString() === 'last') break
      }
    })()
    const expected = ['first']
    for (let i = 0; i < 200; i++) {
      const batch = [`${i} a ${'x'.repeat(i)}`, `${i} b`]
      expected.push(...batch)
      await log.log(batch)
      if (i % 40 === 0) await delay(20)
    }
    await log.log(['last'])
    await reading
    expect(found).toEqual([...expected, 'last'])
    expect(log.stats().rotations).toBeGreaterThan(2)
  })
})

describe('a reader behind a release', () => {
  async function behind(onCorrupt: 'throw' | 'skip-file') {
    const walDir = join(createFolder(), 'wal')
    const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096, fallback: false })
    onTestFinished(() => log.close())
    const fill = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await log.log([`${log.lastIndex + 1n} ${'x'.repeat(500)}`])
    }
    const release = async (): Promise<void> => (await log.createSnapshot())!.release()
    await fill(60)
    const signal = AbortSignal.timeout(15_000)
    const reader = readRecords(walDir, { follow: true, onCorrupt, signal })
    const found: bigint[] = []
    let error: unknown
    try {
      for await (const { index } of reader) {
        found.push(index!)
        if (found.length === 5) {
          await release()
          await fill(60)
          await release()
          await fill(10)
        }
        if (index === 130n) break
      }
    } catch (caught) {
      error = caught
    }
    return { found, error, damage: reader.stats().damage }
  }

  it('is told which entries were removed, by an error that is not ERR_CORRUPT', async () => {
    const { found, error } = await behind('throw')
    expect(error).toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(String(error)).toContain(`entries ${found.at(-1)! + 1n} to `)
  })

  it('goes on where damage is passed over, and the gap is noted', async () => {
    const { found, error, damage } = await behind('skip-file')
    expect(error).toBeUndefined()
    expect(found.at(-1)).toBe(130n)
    const gap = found.findIndex((index, i) => i > 0 && index !== found[i - 1] + 1n)
    expect(damage.length).toBe(1)
    expect(damage[0].reason).toBe(
      `entries ${found[gap - 1] + 1n} to ${found[gap] - 1n} were removed after a snapshot before they were read`
    )
  })
})

it('damage with whole batches behind it is not taken for the end, followed or not', async () => {
  const walDir = join(createFolder(), 'wal')
  const lines = Array.from({ length: 20 }, (_, i) => `record ${i + 1}`)
  await writeLog({ walDir, segmentBytes: 65_536, fallback: false }, lines)
  const [path] = segmentsOf(walDir)
  overwrite(path, batchEnds(path)[9], Buffer.alloc(8))
  truncateSync(path, statSync(path).size + 100_000)
  for (const options of [{}, { follow: true, signal: AbortSignal.timeout(10_000) }]) {
    const { lines: found, error } = await collect(walDir, options)
    expect(found).toEqual(lines.slice(0, 10))
    expect(error).toMatchObject({ code: 'ERR_CORRUPT', path })
  }
})

it('reading and verifying a log while it is written reports no damage', { timeout: 30_000 }, async () => {
  const walDir = join(createFolder(), 'wal')
  const log = await WriteAheadLog.open({
    walDir,
    segmentBytes: 4_000_000,
    fallback: false,
    durability: 'os'
  })
  onTestFinished(() => log.close())
  const batch = Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(2000)}`)
  let isOver = false
  const writing = (async () => {
    for (let i = 0; i < 60; i++) {
      await log.log(batch)
      await nextTurn()
    }
    isOver = true
  })()
  while (!isOver) {
    expect((await collect(walDir, { from: { last: 10 } })).error).toBeUndefined()
    expect((await reports(walDir)).flatMap(({ damage }) => damage)).toEqual([])
  }
  await writing
})

describe('info, verify and repair', () => {
  it('describe the log', async () => {
    const { walDir, names } = await createLog()
    const quick = await walReader.info(walDir, { count: false })
    expect(quick.details).toMatchObject({ 'first index': '1', 'last index': '35', 'committed index': '35' })
    const counted = await walReader.info(walDir, { count: true })
    expect(counted.files.reduce((sum, { records }) => sum + (records ?? 0), 0)).toBe(35)
    expect(counted.files.length).toBe(names.length)
    expect((await walReader.info(copyEtcd(), { count: true })).details).toMatchObject({
      writer: expect.stringContaining('another program')
    })
  })

  it('name every damaged segment with offset and kind, and cut the log off at the first', async () => {
    const { walDir, names } = await createLog()
    expect((await reports(walDir)).flatMap(({ damage }) => damage)).toEqual([])
    for (const name of [names[1], names[2]]) {
      const bytes = readFileSync(join(walDir, name))
      bytes[200] ^= 16
      writeFileSync(join(walDir, name), bytes)
    }
    const found = (await reports(walDir)).filter(({ damage }) => damage.length > 0)
    expect(found.map(({ file }) => file)).toEqual([join(walDir, names[1]), join(walDir, names[2])])
    expect(found[0].damage[0].reason).toMatch(/^corrupt: /)
    const repaired = await walReader.repair!(walDir)
    expect(repaired.map(({ file }) => file)).toEqual(names.slice(1).map((name) => join(walDir, name)))
    expect((await reports(walDir)).flatMap(({ damage }) => damage)).toEqual([])
  })

  it('a missing segment is reported', async () => {
    const { walDir, names } = await createLog()
    const moved = join(createFolder(), 'x')
    mkdirSync(moved)
    for (const name of names) if (name !== names[1]) copyFileSync(join(walDir, name), join(moved, name))
    const [damaged] = (await reports(moved)).filter(({ damage }) => damage.length > 0)
    expect(damaged).toMatchObject({ file: join(moved, names[2]), damage: [{ offset: 0 }] })
  })
})
