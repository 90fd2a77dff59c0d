// Backups that upkeep has compressed, of every kind of file: read in order, once each, by every command.
import { readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as zlib from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import { encodeRecord, maxRecordBytes } from '../../src/formats/binary-file.ts'
import { formatNumberedName } from '../../src/formats/numbered-name.ts'
import { native } from '../../src/native/index.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { runCli } from '../helpers/cli.ts'
import { buildDirectFile } from '../helpers/direct-file-bytes.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'

const { zstdCompressSync } = zlib as { zstdCompressSync?: (bytes: Buffer) => Buffer }

const pack = {
  gz: (bytes: Buffer) => zlib.gzipSync(bytes),
  br: (bytes: Buffer) => zlib.brotliCompressSync(bytes),
  // Node 20 has no zstd; there the third one is a second gzip.
  zst: (bytes: Buffer) => zstdCompressSync?.(bytes) ?? zlib.gzipSync(bytes)
}
const THIRD = zstdCompressSync === undefined ? 'gz' : 'zst'

interface Kind {
  readonly format: string
  readonly live: string
  encode(texts: readonly string[]): Buffer
  backup(number: number): string
}

const kinds: readonly Kind[] = [
  {
    format: 'direct-file',
    live: 'a.log',
    encode: (texts) => buildDirectFile([[texts.map((text) => Buffer.from(text))]]),
    backup: (number) => formatBackupName('a.log', 1e9 + number, 0)
  },
  {
    format: 'binary-file',
    live: 'a.bin',
    encode: frames,
    backup: (number) => formatNumberedName('a.bin', number)
  },
  // As event files of the kind name them.
  {
    format: 'binary-file',
    live: 'a.log',
    encode: frames,
    backup: (number) => formatNumberedName('a.log', number)
  },
  { format: 'binary-file', live: 'a', encode: frames, backup: (number) => formatNumberedName('a', number) }
]

function frames(texts: readonly string[]): Buffer {
  const bytes = Buffer.alloc(texts.reduce((sum, text) => sum + maxRecordBytes(text), 0))
  let at = 0
  for (const text of texts) at = encodeRecord(bytes, at, text)
  return bytes.subarray(0, at)
}

/** 1, 2 (gz) | 3, 4 (br) | 5 (zst) | 6 (plain) | 7, 8 */
function createLog({ live, encode, backup }: Kind): { folder: string; path: string } {
  const folder = createFolder()
  writeFileSync(join(folder, `${backup(8)}.gz`), pack.gz(encode(['1', '2'])))
  writeFileSync(join(folder, `${backup(9)}.br`), pack.br(encode(['3', '4'])))
  writeFileSync(join(folder, `${backup(10)}.${THIRD}`), pack.zst(encode(['5'])))
  writeFileSync(join(folder, backup(11)), encode(['6']))
  writeFileSync(join(folder, live), encode(['7', '8']))
  return { folder, path: join(folder, live) }
}

const ALL = ['1', '2', '3', '4', '5', '6', '7', '8']

describe.each(kinds)('$format named $live', (kind) => {
  test('its backups are read in order, by path and by folder, with the format given and found out', async () => {
    const { folder, path } = createLog(kind)
    for (const format of ['auto', kind.format]) {
      expect(await collect(path, { format })).toMatchObject({ lines: ALL, error: undefined })
      const { lines, records, error } = await collect(folder, { format })
      expect([lines, error]).toEqual([ALL, undefined])
      expect(new Set(records.map(({ event }) => event))).toEqual(new Set(['a']))
    }
  })

  test('a compressed backup and its source count once', async () => {
    const { folder, path } = createLog(kind)
    const source = readFileSync(join(folder, kind.backup(11)))
    writeFileSync(join(folder, `${kind.backup(11)}.gz`), pack.gz(source))
    expect((await collect(path)).lines).toEqual(ALL)
    expect((await collect(folder)).lines).toEqual(ALL)
  })

  test('the last records reach back into compressed backups', async () => {
    const { path } = createLog(kind)
    for (let last = 0; last <= 9; last++)
      expect((await collect(path, { from: { last } })).lines).toEqual(last === 0 ? [] : ALL.slice(-last))
  })

  test('while the live file is empty, or gone, the log is told by its newest backup', async () => {
    const { folder, path } = createLog(kind)
    writeFileSync(path, '')
    for (let step = 0; step < 2; step++) {
      expect((await collect(path)).lines).toEqual(ALL.slice(0, 6))
      expect((await collect(folder)).lines).toEqual(ALL.slice(0, 6))
      rmSync(path, { force: true })
    }
    unlinkSync(join(folder, kind.backup(11)))
    expect((await collect(folder)).lines).toEqual(ALL.slice(0, 5))
  })

  test('following goes on through a rollover whose backup is compressed at once', {
    timeout: 20_000
  }, async () => {
    const { folder, path } = createLog(kind)
    const stop = new AbortController()
    const seen: string[] = []
    const reading = (async () => {
      for await (const { data } of readRecords(path, { follow: true, signal: stop.signal }))
        seen.push(data.toString())
    })()
    await expect.poll(() => seen, { timeout: 5_000 }).toEqual(ALL)
    const next = kind.encode(['9'])
    renameSync(path, join(folder, kind.backup(12)))
    writeFileSync(join(folder, `${kind.backup(12)}.gz`), pack.gz(readFileSync(join(folder, kind.backup(12)))))
    unlinkSync(join(folder, kind.backup(12)))
    writeFileSync(path, next)
    await expect.poll(() => seen, { timeout: 5_000 }).toEqual([...ALL, '9'])
    stop.abort()
    await reading
  })

  test('cat, tail, merge, verify and info know them', async () => {
    const { folder, path } = createLog(kind)
    const text = `${ALL.join('\n')}\n`
    expect(await runCli(['cat', path])).toMatchObject({ stdout: text, stderr: '', code: 0 })
    expect((await runCli(['merge', folder])).stdout).toBe(text)
    expect((await runCli(['tail', '-n', '5', path])).stdout).toBe('4\n5\n6\n7\n8\n')
    const verified = await runCli(['verify', path])
    expect([verified.code, verified.stdout.match(/^ok /gm)?.length]).toEqual([0, 5])
    const info = JSON.parse((await runCli(['info', '--count', '--json', path])).stdout)
    expect(info).toMatchObject({ format: kind.format })
    expect(info.files.map(({ records }: { records: number }) => records)).toEqual([2, 2, 1, 1, 2])
    // As a shell expands it.
    const names = [kind.live, kind.backup(10), kind.backup(11), kind.backup(8), kind.backup(9)]
    const given = names.map((name, at) => `${name}${['', `.${THIRD}`, '', '.gz', '.br'][at]}`)
    expect((await runCli(['cat', ...given], { cwd: folder })).stdout).toBe(text)
    expect((await runCli(['cat', ...given.slice(1)], { cwd: folder })).stdout).toBe('1\n2\n3\n4\n5\n6\n')
  })

  test('damage in a compressed backup is reported and costs no other file', async () => {
    const { folder, path } = createLog(kind)
    const file = join(folder, `${kind.backup(8)}.gz`)
    const packed = readFileSync(file)
    writeFileSync(file, packed.subarray(0, packed.length - 4))
    const { lines, stats } = await collect(path, { onCorrupt: 'skip-file' })
    expect(lines).toEqual(ALL)
    expect(stats.damage).toMatchObject([{ file, reason: 'compressed data is cut short' }])
    expect((await collect(path)).error?.code).toBe('ERR_CORRUPT')
    expect(await runCli(['verify', path])).toMatchObject({ code: 2 })
  })
})

describe('BinaryFile.read', () => {
  const openLog = (path: string) =>
    new BinaryFile({ path, maxBytes: 1e6, lock: native.canLock, fallback: false })

  test('gives the records of compressed backups, too', async () => {
    const { path } = createLog(kinds[1])
    const file = openLog(path)
    expect([...file.read()]).toEqual(ALL)
    await file.close()
  })

  test('gives the records before the damage of one, then throws or goes on', async () => {
    const { folder, path } = createLog(kinds[1])
    const packed = join(folder, `${kinds[1].backup(8)}.gz`)
    const texts = Array.from({ length: 500 }, (_, at) => `${at} ${Math.sin(at)}`)
    const bytes = pack.gz(kinds[1].encode(texts))
    writeFileSync(packed, bytes.subarray(0, bytes.length - 200))
    const file = openLog(path)
    const found: string[] = []
    expect(() => {
      for (const text of file.read()) found.push(text)
    }).toThrow(expect.objectContaining({ code: 'ERR_CORRUPT', path: packed }))
    expect(found.length).toBeGreaterThan(100)
    expect(found).toEqual(texts.slice(0, found.length))
    const warnings: string[] = []
    file.on('warning', ({ code }) => warnings.push(code))
    const all = [...file.read(path, { onCorrupt: 'skip-file' })]
    expect(all.slice(-6)).toEqual(ALL.slice(2))
    await expect.poll(() => warnings).toEqual(['ERR_CORRUPT'])
    await file.close()
  })
})
