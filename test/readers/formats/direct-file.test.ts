// Damaged direct files through readRecords and the commands: a record as it was written, or a report, never silence.
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { DirectFile } from 'logboom'
import { describe, expect, test } from 'vitest'
import { runCli } from '../../helpers/cli.ts'
import { buildDirectFile } from '../../helpers/direct-file-bytes.ts'
import { createFolder } from '../../helpers/folder.ts'
import { collect } from '../../helpers/read.ts'

/** Four flushes of 30 records of 300 to 900 bytes. */
const flushes = [0, 1, 2, 3].map((flush) =>
  Array.from({ length: 30 }, (_, at) => `flush ${flush} record ${at} ${'p'.repeat(300 + ((at * 37) % 600))}`)
)
const whole = buildDirectFile(flushes.map((texts) => [texts.map((text) => Buffer.from(text))]))
const ALL = flushes.flat()

function write(bytes: Buffer): string {
  const path = join(createFolder(), 'a.log')
  writeFileSync(path, bytes)
  return path
}

const damages: Record<string, (bytes: Buffer) => Buffer> = {
  'bytes inserted in the second flush': (b) =>
    Buffer.concat([b.subarray(0, 20_000), Buffer.from('xyz'), b.subarray(20_000)]),
  'bytes missing from the second flush': (b) => Buffer.concat([b.subarray(0, 30_000), b.subarray(30_008)]),
  'a byte inserted at the very start': (b) => Buffer.concat([Buffer.from('!'), b]),
  'the first bytes missing': (b) => b.subarray(100),
  'a byte missing from the last flush': (b) =>
    Buffer.concat([b.subarray(0, b.length - 2_000), b.subarray(b.length - 1_999)]),
  'a bit of the first byte flipped': (b) => flip(b, 0),
  'the first block zeroed': (b) => Buffer.from(b).fill(0, 0, 512),
  'the first flush zeroed': (b) => Buffer.from(b).fill(0, 0, 18_000),
  'a block in the middle zeroed': (b) => Buffer.from(b).fill(0, 40_448, 40_960),
  'a seal zeroed': (b) => Buffer.from(b).fill(0, sealsOf(b)[1], sealsOf(b)[1] + 512),
  'a seal zeroed and a bit of its flush flipped': (b) =>
    flip(Buffer.from(b).fill(0, sealsOf(b)[1], sealsOf(b)[1] + 512), 20_000),
  'something behind the end': (b) =>
    Buffer.concat([b, Buffer.alloc(4096), Buffer.from('left over'), Buffer.alloc(503)])
}

function flip(bytes: Buffer, at: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped[at] ^= 8
  return flipped
}

function sealsOf(bytes: Buffer): number[] {
  const places: number[] = []
  for (let at = bytes.indexOf('LBSEAL1\n'); at !== -1; at = bytes.indexOf('LBSEAL1\n', at + 1))
    places.push(at - 12)
  return places
}

describe('a damaged direct file', () => {
  test.each(Object.entries(damages))('with %s: nothing invented, nothing silent', async (_what, damage) => {
    const path = write(damage(whole))
    for (const format of ['direct-file', 'auto']) {
      const { lines, stats, error } = await collect(path, { format, onCorrupt: 'skip-file' })
      expect(error).toBeUndefined()
      expect(lines.filter((line) => !ALL.includes(line))).toEqual([])
      expect(stats.damage.length).toBeGreaterThan(0)
      // One flush is damaged, or the seal of one.
      expect(new Set(lines).size).toBeGreaterThanOrEqual(90)
      expect((await collect(path, { format })).error?.code).toBe('ERR_CORRUPT')
    }
    expect((await runCli(['verify', path])).code).toBe(2)
    expect((await runCli(['cat', path])).code).toBe(2)
  })

  test('the last records do not hide the damage they would have to reach back over', async () => {
    const path = write(flip(whole, 20_000))
    for (const last of [61, 90, 1_000]) {
      const { lines, stats } = await collect(path, { from: { last }, onCorrupt: 'skip-file' })
      expect(lines).toEqual([...flushes[0], ...flushes[2], ...flushes[3]].slice(-last))
      expect(stats.damage.length).toBe(1)
      expect((await collect(path, { from: { last } })).error?.code).toBe('ERR_CORRUPT')
      expect((await runCli(['tail', '-n', String(last), path])).code).toBe(2)
    }
    const { lines, error } = await collect(path, { from: { last: 60 } })
    expect([lines, error]).toEqual([[...flushes[2], ...flushes[3]], undefined])
  })

  test('whose end a crash cut off gives what it has and says so; a writer that goes on is waited for', async () => {
    for (const length of [whole.length - 1, whole.length - 600, whole.length - 5_000, 17_000, 600]) {
      const path = write(whole.subarray(0, length))
      const live = await collect(path)
      expect(live.lines).toEqual(ALL.slice(0, live.lines.length))
      const backup = join(path, '..', 'a.log.20260101-000000.0')
      copyFileSync(path, backup)
      const finished = await collect(backup, { onCorrupt: 'skip-file' })
      expect(finished.lines).toEqual(ALL.slice(0, finished.lines.length))
      expect(finished.lines.length).toBeGreaterThanOrEqual(live.lines.length)
      expect(finished.stats.damage.length).toBeGreaterThan(0)
    }
  })

  test('the last records are those that are read, however its end was torn', async () => {
    for (const length of [whole.length - 1, whole.length - 600, whole.length - 5_000, 17_000, 600]) {
      const bytes = whole.subarray(0, length)
      const live = write(bytes)
      const backup = write(Buffer.alloc(0))
      writeFileSync(`${backup}.20260101-000000.0`, bytes)
      const packed = write(Buffer.alloc(0))
      writeFileSync(`${packed}.20260101-000000.0.gz`, gzipSync(bytes))
      for (const path of [live, backup, packed]) {
        const { lines } = await collect(path, { onCorrupt: 'skip-file' })
        for (const last of [1, 7, 40]) {
          const found = await collect(path, { from: { last }, onCorrupt: 'skip-file' })
          expect(found.lines, `${length} bytes, last ${last}`).toEqual(lines.slice(-last))
        }
      }
    }
  })

  test.each(Object.keys(damages))('is known by its backups, too, with %s', async (what) => {
    const path = write(Buffer.alloc(0))
    writeFileSync(`${path}.20260101-000000.0.gz`, gzipSync(damages[what](whole)))
    for (const isThere of [true, false]) {
      if (!isThere) rmSync(path)
      const { lines, stats } = await collect(path, { onCorrupt: 'skip-file' })
      expect(lines.filter((line) => !ALL.includes(line))).toEqual([])
      expect(new Set(lines).size).toBeGreaterThanOrEqual(90)
      expect(stats.damage.length).toBeGreaterThan(0)
    }
  })

  test('an offset leads to the record that begins there, damage before it or not', async () => {
    const path = write(flip(whole, 20_000))
    const { records } = await collect(path, { onCorrupt: 'skip-file' })
    for (const at of [0, 1, 29, 30, 31, 60, 89]) {
      const { lines } = await collect(path, { from: records[at].offset, onCorrupt: 'skip-file' })
      expect(lines).toEqual(records.slice(at).map(({ data }) => data.toString()))
    }
  })
})

test('a file whose small first frames are zeroed is still known for what it is', async () => {
  const records = ['one', 'two', 'three', 'four']
  const bytes = buildDirectFile(records.map((text) => [[Buffer.from(text)]]))
  for (const zeroed of [512, 1024, 1536]) {
    const path = write(Buffer.from(bytes).fill(0, 0, zeroed))
    const { lines, stats, error } = await collect(path, { onCorrupt: 'skip-file' })
    expect(error).toBeUndefined()
    expect(lines.slice(-2)).toEqual(['three', 'four'])
    expect(lines.filter((line) => !records.includes(line))).toEqual([])
    expect(stats.damage.length).toBeGreaterThan(0)
  }
})

test('a small file with a byte inserted, or missing, anywhere invents nothing and hides nothing', async () => {
  const records = ['first record', 'second', 'third', 'the fourth and last']
  const bytes = buildDirectFile([
    [[Buffer.from(records[0]), Buffer.from(records[1])]],
    [[Buffer.from(records[2])]],
    [[Buffer.from(records[3])]]
  ])
  for (let at = 0; at < bytes.length; at += 7) {
    for (const shifted of [
      Buffer.concat([bytes.subarray(0, at), Buffer.from('!'), bytes.subarray(at)]),
      Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
    ]) {
      const path = write(shifted)
      const { lines, stats } = await collect(path, { format: 'direct-file', onCorrupt: 'skip-file' })
      expect(
        lines.filter((line) => !records.includes(line)),
        `at ${at}`
      ).toEqual([])
      if (lines.length < records.length) {
        const backup = `${path}.20260101-000000.0`
        writeFileSync(backup, shifted)
        const finished = await collect(backup, { format: 'direct-file', onCorrupt: 'skip-file' })
        expect(stats.damage.length + finished.stats.damage.length, `at ${at}`).toBeGreaterThan(0)
      }
    }
  }
})

test('records that a text log of NUL bytes holds are text, and the reader is told', async () => {
  const path = write(Buffer.from('one\0\ntwo\n'))
  const { lines, error, stats } = await collect(path)
  expect([lines, error]).toEqual([['one\0', 'two'], undefined])
  expect(stats.notes).toMatchObject([{ path, text: expect.stringContaining('NUL bytes') }])
  expect(await runCli(['cat', path])).toMatchObject({ stdout: 'one\0\ntwo\n', code: 0 })
  expect((await runCli(['cat', path])).stderr).toContain('NUL bytes')
})

test('what DirectFile writes today is read with nothing to report', async () => {
  const path = join(createFolder(), 'a.log')
  const file = new DirectFile({ path, directIO: 'off' })
  for (const text of ALL) {
    file.log(text)
    if (text.includes('record 29')) await file.flush()
  }
  await file.close()
  const { lines, error, stats } = await collect(path)
  expect([lines.sort(), error, stats.notes]).toEqual([[...ALL].sort(), undefined, []])
  expect(readFileSync(path).includes('LBSEAL1')).toBe(true)
})
