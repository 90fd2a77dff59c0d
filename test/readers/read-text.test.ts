import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as zlib from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'

const hasZstd = 'zstdCompressSync' in zlib
const pack = {
  gz: (data: string) => zlib.gzipSync(data),
  br: (data: string) => zlib.brotliCompressSync(data),
  zst: (data: string) =>
    (zlib as unknown as { zstdCompressSync(data: string): Buffer }).zstdCompressSync(data)
}

describe('reading a text log', () => {
  test('returns backups and live file in the order of their records, numbers compared as numbers', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const backup = (time: number, number: number) => join(folder, formatBackupName('app.log', time, number))
    writeFileSync(path, 'live\n')
    writeFileSync(backup(1_700_000_000, 10), 'third\n')
    writeFileSync(backup(1_700_000_000, 9), 'second\n')
    writeFileSync(`${backup(1_600_000_000, 0)}.gz`, pack.gz('first\n'))
    writeFileSync(`${backup(1_700_000_001, 0)}.br`, pack.br('fourth\n'))
    const { lines, records, error } = await collect(path)
    expect(error).toBeUndefined()
    expect(lines).toEqual(['first', 'second', 'third', 'fourth', 'live'])
    expect(records[0].file).toBe(`${backup(1_600_000_000, 0)}.gz`)
    expect(records[4]).toMatchObject({ file: path, offset: 0 })
  })

  test('reads a backup once if a crash left it both plain and compressed', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const backup = join(folder, formatBackupName('app.log', 1_700_000_000, 0))
    writeFileSync(path, 'live\n')
    writeFileSync(backup, 'old\n')
    writeFileSync(`${backup}.gz`, pack.gz('old\n').subarray(0, 10))
    expect(await collect(path)).toMatchObject({ lines: ['old', 'live'], error: undefined })
  })

  test('takes nothing for a backup that is not named exactly like one', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, 'live\n')
    for (const name of [
      'app.log.1',
      'app.log.20261301-000000.1',
      'app.log.bak',
      '.app.log.lock',
      'app.logs'
    ]) {
      writeFileSync(join(folder, name), 'no\n')
    }
    writeFileSync(join(folder, 'app.log.20260101-000000.1.gz.tmp'), 'no\n')
    expect((await collect(path)).lines).toEqual(['live'])
  })

  test('reads backups although there is no live file, and a backup by its own name', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const backup = join(folder, `${formatBackupName('app.log', 1, 1)}.gz`)
    writeFileSync(backup, pack.gz('a\nb\n'))
    expect((await collect(path)).lines).toEqual(['a', 'b'])
    expect((await collect(backup)).lines).toEqual(['a', 'b'])
    expect((await collect(backup, { follow: true })).lines).toEqual(['a', 'b'])
  })

  test('gives each record its offset in the decompressed file', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a.log.gz'), pack.gz('one\n\nthree\r\nvier ü\n'))
    const { records } = await collect(join(folder, 'a.log.gz'))
    expect(records.map(({ offset, data }) => [offset, data.toString()])).toEqual([
      [0, 'one'],
      [4, ''],
      [5, 'three\r'],
      [12, 'vier ü']
    ])
  })

  test('returns every line of any content exactly, whatever the line lengths', async () => {
    const path = join(createFolder(), 'x.log')
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.nat(300), fc.integer({ min: 100_000, max: 700_000 })), { maxLength: 30 }),
        async (lengths) => {
          const lines = lengths.map((length, at) => String.fromCharCode(97 + (at % 26)).repeat(length))
          writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
          const { records } = await collect(path)
          let offset = 0
          expect(records.length).toBe(lines.length)
          for (const [at, line] of lines.entries()) {
            expect(records[at].offset).toBe(offset)
            expect(records[at].data.equals(Buffer.from(line))).toBe(true)
            offset += line.length + 1
          }
        }
      ),
      { numRuns: 30 }
    )
  })

  test('does not return the unterminated end of a live file unless asked, but that of a finished one', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, 'whole\npart')
    expect((await collect(path)).lines).toEqual(['whole'])
    expect((await collect(path, { includeUnterminated: true })).lines).toEqual(['whole', 'part'])
    writeFileSync(join(folder, formatBackupName('app.log', 1, 1)), 'old\nold end')
    expect((await collect(path)).lines).toEqual(['old', 'old end', 'whole'])
  })

  test('finds nothing in empty files', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, '')
    writeFileSync(join(folder, formatBackupName('app.log', 1, 1)), '')
    expect(await collect(path)).toMatchObject({ lines: [], error: undefined })
  })

  test('does not touch the files', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, 'a\nb')
    const before = statSync(path, { bigint: true })
    await collect(path, { includeUnterminated: true })
    const after = statSync(path, { bigint: true })
    expect([after.size, after.mtimeNs, after.ctimeNs]).toEqual([before.size, before.mtimeNs, before.ctimeNs])
    expect(readdirSync(folder)).toEqual(['app.log'])
  })

  test('reads names with spaces, quotes, brackets, newlines and Unicode, through links in the folder', async () => {
    const folder = join(createFolder(), 'a [b] *?\n"ü"')
    mkdirSync(folder)
    const path = join(folder, "-- $x 'y' [0-9].log")
    writeFileSync(path, 'live\n')
    writeFileSync(join(folder, formatBackupName("-- $x 'y' [0-9].log", 1, 1)), 'old\n')
    expect((await collect(path)).lines).toEqual(['old', 'live'])
    const link = join(createFolder(), 'link')
    symlinkSync(folder, link)
    expect((await collect(join(link, "-- $x 'y' [0-9].log"))).lines).toEqual(['old', 'live'])
  })

  test('closes its files when the loop is left', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'line\n'.repeat(1_000_000))
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    for (let at = 0; at < 20; at++) {
      for await (const record of readRecords(path)) {
        expect(record.data.toString()).toBe('line')
        break
      }
    }
    expect(open()).toBe(before)
  })

  test('answers several next() at once with one record each', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'a\nb\nc\n')
    const reader = readRecords(path)
    const results = await Promise.all([1, 2, 3, 4, 5].map(() => reader.next()))
    expect(results.map(({ value }) => value?.data.toString())).toEqual(['a', 'b', 'c', undefined, undefined])
  })
})

describe('reading from a place', () => {
  const lines = Array.from({ length: 50_000 }, (_, at) => `line ${at}`)
  const setUp = () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const write = (name: string, from: number, to: number, packed = false) => {
      const text = lines
        .slice(from, to)
        .map((line) => `${line}\n`)
        .join('')
      writeFileSync(join(folder, name), packed ? pack.gz(text) : text)
    }
    write(`${formatBackupName('app.log', 1, 1)}.gz`, 0, 20_000, true)
    write(formatBackupName('app.log', 2, 1), 20_000, 40_000)
    write('app.log', 40_000, 50_000)
    return path
  }

  test.each([0, 1, 2, 9_999, 10_000, 10_001, 30_000, 30_001, 49_999, 50_000, 60_000])(
    'returns the last %d records across backups',
    async (last) => {
      expect((await collect(setUp(), { from: { last } })).lines).toEqual(last === 0 ? [] : lines.slice(-last))
    }
  )

  test('counts an unterminated line among the last ones only if it is returned', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'a\nb\nc')
    expect((await collect(path, { from: { last: 2 } })).lines).toEqual(['a', 'b'])
    expect((await collect(path, { from: { last: 2 }, includeUnterminated: true })).lines).toEqual(['b', 'c'])
  })

  test('goes on at the offset of a record of the live file, and never in the middle of a line', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'aa\nbb\ncc\n')
    const from = async (offset: number) => (await collect(path, { from: offset })).lines
    expect(await from(0)).toEqual(['aa', 'bb', 'cc'])
    expect(await from(3)).toEqual(['bb', 'cc'])
    expect(await from(4)).toEqual(['cc'])
    expect(await from(9)).toEqual([])
    expect(await from(10)).toEqual(['aa', 'bb', 'cc'])
  })

  test("returns nothing from 'end' without following", async () => {
    expect((await collect(setUp(), { from: 'end' })).lines).toEqual([])
  })
})

describe('damaged backups', () => {
  const text = Array.from({ length: 200 }, (_, at) => `{"id":${at},"x":"${'abc'.repeat(at % 7)}"}`)
  const content = text.map((line) => `${line}\n`).join('')
  const kinds = (['gz', 'br', 'zst'] as const).filter((kind) => kind !== 'zst' || hasZstd)

  test.each(kinds)(
    '%s: at every truncation point the intact lines come first, then ERR_CORRUPT',
    async (kind) => {
      const folder = createFolder()
      const path = join(folder, 'app.log')
      const name = `${join(folder, formatBackupName('app.log', 1, 1))}.${kind}`
      writeFileSync(path, 'live\n')
      const packed = pack[kind](content)
      let most = 0
      for (let length = 0; length < packed.length; length++) {
        writeFileSync(name, packed.subarray(0, length))
        const { lines, error } = await collect(path)
        expect(error).toMatchObject({ code: 'ERR_CORRUPT', path: name })
        expect(lines).toEqual(text.slice(0, lines.length))
        const intact = lines.map((line) => line.length + 1).reduce((a, b) => a + b, 0)
        expect(error?.offset).toBe(intact)
        expect(lines.length).toBeGreaterThanOrEqual(most)
        most = lines.length
      }
      // zstd gives nothing of a block of 128 KiB that is not whole.
      if (kind !== 'zst') expect(most).toBeGreaterThan(150)
    }
  )

  test('gz: returns as much of a cut file as zlib itself can recover', async () => {
    const path = join(createFolder(), 'x.log.gz')
    const packed = pack.gz(content)
    for (let length = 20; length < packed.length; length += 37) {
      writeFileSync(path, packed.subarray(0, length))
      const best = zlib.gunzipSync(packed.subarray(0, length), { finishFlush: zlib.constants.Z_SYNC_FLUSH })
      const lines = best.toString().split('\n').slice(0, -1)
      expect((await collect(path, { onCorrupt: 'stop' })).lines).toEqual(lines)
    }
  })

  test('gz: with any flipped byte it ends, either with an error or with the right lines', async () => {
    const path = join(createFolder(), 'x.log.gz')
    const packed = pack.gz(content)
    for (let at = 0; at < packed.length; at += 11) {
      const damaged = Buffer.from(packed)
      damaged[at] ^= 0x41
      writeFileSync(path, damaged)
      const { lines, error, stats } = await collect(path)
      if (error === undefined) expect(lines).toEqual(text)
      else expect(error.code).toBe('ERR_CORRUPT')
      expect(stats.damage.length).toBe(error === undefined ? 0 : 1)
    }
  })

  test('gz: a wrong byte in the middle of a large file costs only what follows it', async () => {
    const path = join(createFolder(), 'x.log.gz')
    // Stored, not compressed, so that the place of the damage in the content is known.
    const lines = Array.from({ length: 30_000 }, (_, at) => `${at} ${'x'.repeat(90)}`)
    const packed = zlib.gzipSync(lines.map((line) => `${line}\n`).join(''), { level: 0 })
    let header = 10
    const blocks: number[] = []
    for (let last = false; !last; header += 5 + packed.readUInt16LE(header + 1)) {
      blocks.push(header)
      last = (packed[header] & 1) === 1
    }
    const block = Math.floor(blocks.length / 2)
    packed.writeUInt16LE(0, blocks[block] + 3)
    writeFileSync(path, packed)
    const { lines: read, error } = await collect(path)
    expect(error?.code).toBe('ERR_CORRUPT')
    expect(read).toEqual(lines.slice(0, read.length))
    const contentBytes = read.map((line) => line.length + 1).reduce((a, b) => a + b, 0)
    expect(contentBytes).toBeGreaterThan(blocks[block] - 5 * block - 10 - 200)
  })

  test('bytes behind the end of the compressed data are reported', async () => {
    const path = join(createFolder(), 'x.log.gz')
    writeFileSync(path, Buffer.concat([pack.gz('a\n'), Buffer.alloc(100)]))
    const { lines, error } = await collect(path)
    expect(lines).toEqual(['a'])
    expect(error).toMatchObject({ code: 'ERR_CORRUPT', offset: 2 })
  })

  test("onCorrupt 'skip-file' goes on with the next file and counts, 'stop' ends there", async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, 'live\n')
    writeFileSync(`${join(folder, formatBackupName('app.log', 1, 1))}.gz`, 'this is not gzip')
    writeFileSync(join(folder, formatBackupName('app.log', 2, 1)), 'good\n')
    const skipped = await collect(path, { onCorrupt: 'skip-file' })
    expect(skipped).toMatchObject({ lines: ['good', 'live'], error: undefined })
    expect(skipped.stats).toMatchObject({ records: 2, skippedBytes: 16 })
    expect(skipped.stats.damage).toHaveLength(1)
    const stopped = await collect(path, { onCorrupt: 'stop' })
    expect(stopped).toMatchObject({ lines: [], error: undefined })
    expect((await collect(path)).error?.code).toBe('ERR_CORRUPT')
  })

  test.skipIf(!hasZstd)(
    'zst: of a large file that is cut in half, the blocks before are returned',
    async () => {
      const path = join(createFolder(), 'x.log.zst')
      const lines = Array.from({ length: 40_000 }, (_, at) => `${at} ${Math.sin(at)}`)
      const packed = pack.zst(lines.map((line) => `${line}\n`).join(''))
      writeFileSync(path, packed.subarray(0, packed.length / 2))
      const { lines: read, error } = await collect(path)
      expect(error?.code).toBe('ERR_CORRUPT')
      expect(read.length).toBeGreaterThan(10_000)
      expect(read).toEqual(lines.slice(0, read.length))
    }
  )

  test.skipIf(hasZstd)('zstd on a Node without it is ERR_UNSUPPORTED', async () => {
    const path = join(createFolder(), 'x.log.zst')
    writeFileSync(path, 'x')
    expect((await collect(path)).error?.code).toBe('ERR_UNSUPPORTED')
  })
})

describe('limits', () => {
  test('a line longer than maxRecordBytes is reported and skipped, its neighbours are returned', async () => {
    const path = join(createFolder(), 'app.log')
    for (const length of [101, 1000, 300_000, 2_000_000]) {
      writeFileSync(path, `first\n${'y'.repeat(100)}\n${'x'.repeat(length)}\nlast\n`)
      const { lines, stats, error } = await collect(path, { maxRecordBytes: 100, onCorrupt: 'skip-file' })
      expect(error).toBeUndefined()
      expect(lines).toEqual(['first', 'y'.repeat(100), 'last'])
      expect(stats.skippedBytes).toBe(length)
      expect(stats.damage).toMatchObject([{ file: path, offset: 107, bytes: length }])
    }
    expect((await collect(path, { maxRecordBytes: 100 })).error).toMatchObject({
      code: 'ERR_CORRUPT',
      offset: 107
    })
  })

  test('an unterminated line longer than maxRecordBytes is reported at the end of a finished file', async () => {
    const path = join(createFolder(), `${formatBackupName('app.log', 1, 1)}`)
    writeFileSync(path, `a\n${'x'.repeat(1_000_000)}`)
    const { lines, stats } = await collect(path, { maxRecordBytes: 100, onCorrupt: 'skip-file' })
    expect(lines).toEqual(['a'])
    expect(stats.skippedBytes).toBe(1_000_000)
  })

  test('memory stays small for a line of 2 GB and for a gzip bomb', { timeout: 120_000 }, () => {
    const folder = createFolder()
    execFileSync('truncate', ['-s', '2G', join(folder, 'hole.log')])
    const packed = zlib.gzipSync(Buffer.alloc(1 << 20)) // a member of 1 MiB; 1 000 of them make 1 GB of one line
    writeFileSync(join(folder, 'bomb.log.gz'), Buffer.concat(Array.from({ length: 1000 }, () => packed)))
    const code = `
      import { readRecords } from 'logboom'
      const before = process.memoryUsage().rss
      for (const name of ['hole.log', 'bomb.log.gz']) {
        const reader = readRecords(${JSON.stringify(folder)} + '/' + name, { onCorrupt: 'skip-file', maxRecordBytes: '1m' })
        for await (const record of reader) throw new Error('a record of ' + record.data.length)
      }
      console.log(process.resourceUsage().maxRSS * 1024 - before)`
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
    // Measured 40 to 75 MiB: what counts is that it does not grow with the 3 GB that were read.
    expect(Number(output)).toBeLessThan(128 * 1024 * 1024)
  })
})

describe('mistakes', () => {
  test('nothing there: ERR_NOT_FOUND', async () => {
    const folder = createFolder()
    expect((await collect(join(folder, 'none.log'))).error?.code).toBe('ERR_NOT_FOUND')
    expect((await collect(join(folder, 'no', 'none.log'))).error?.code).toBe('ERR_NOT_FOUND')
    expect((await collect(folder)).error?.code).toBe('ERR_NOT_FOUND')
  })

  test('a FIFO does not block and is ERR_NOT_FILE', async () => {
    const path = join(createFolder(), 'fifo')
    execFileSync('mkfifo', [path])
    expect((await collect(path)).error?.code).toBe('ERR_NOT_FILE')
  })

  test('wrong options are thrown at once', () => {
    const wrong = [
      { form: 'text' },
      { from: -1 },
      { from: { last: -1 } },
      { from: 'middle' },
      { maxRecordBytes: 0 },
      { onCorrupt: 'ignore' },
      { follow: 1 },
      { signal: {} }
    ]
    for (const options of wrong) {
      expect(() => readRecords('x', options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_OPTION' })
      )
    }
  })

  test('an unknown format and an index for a text log are ERR_OPTION', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'x\n')
    expect((await collect(path, { format: 'csv' })).error?.code).toBe('ERR_OPTION')
    expect((await collect(path, { from: 1n })).error?.code).toBe('ERR_OPTION')
  })

  test('a file that retention removes while it is read is not an error', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const backups = [1, 2, 3].map((at) => join(folder, formatBackupName('app.log', at, 1)))
    for (const backup of backups) writeFileSync(backup, 'line\n'.repeat(100_000))
    writeFileSync(path, 'live\n')
    let count = 0
    for await (const { data } of readRecords(path)) {
      if (count++ === 0) for (const backup of backups.slice(0, 2)) rmSync(backup)
      if (data.toString() === 'live') count += 1_000_000
    }
    expect(count).toBe(1_200_001)
  })
})

describe('a folder of logs', () => {
  test('is read log by log, by name, each record with its event', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'payment.log'), 'p2\n')
    writeFileSync(join(folder, `${formatBackupName('payment.log', 1, 1)}.gz`), pack.gz('p1\n'))
    writeFileSync(join(folder, 'login.log'), 'l1\n')
    writeFileSync(join(folder, formatBackupName('gone.log', 1, 1)), 'g1\n')
    writeFileSync(join(folder, '.login.log.lock'), 'not a log')
    writeFileSync(join(folder, `${formatBackupName('login.log', 1, 1)}.gz.tmp`), 'half')
    mkdirSync(join(folder, 'sub'))
    const { records } = await collect(folder)
    expect(records.map(({ event, data }) => `${event} ${data}`)).toEqual([
      'gone g1',
      'login l1',
      'payment p1',
      'payment p2'
    ])
    expect(readFileSync(join(folder, 'login.log'), 'utf8')).toBe('l1\n')
  })
})
