// Cursors that were forged, cut, taken from elsewhere or overtaken by what happened to the files: in each format they mean
// exactly what comes behind their record, or are an error.
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { DirectFile } from '../../src/core/direct-file/direct-file.ts'
import { EventFiles } from '../../src/core/event-files/event-files.ts'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { Spool } from '../../src/core/spool/spool.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { native } from '../../src/native/index.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { createFolder } from '../helpers/folder.ts'

const lock = native.canLock
const fallback = false
const FILES = 3
const PER_FILE = 4

interface Read {
  data: string
  cursor: string
}

/** Writes records `from` to `to`, `PER_FILE` to a file, to the log in `folder`; returns its path. */
type Write = (folder: string, from: number, to: number) => Promise<string>

const record = (i: number): string => `record ${i} ${'y'.repeat(i)}`

const kinds: Record<string, Write> = {
  'rotating-file': async (folder, from, to) => {
    const path = join(folder, 'app.log')
    const file = new RotatingFile({ path, maxBytes: 0, lock, fallback })
    for (let i = from; i < to; i++) {
      if (i > 0 && i % PER_FILE === 0) {
        await file.flush()
        await file.rotate()
      }
      file.writeLine(record(i))
    }
    await file.close()
    return path
  },
  'binary-file': async (folder, from, to) => {
    const path = join(folder, 'app.bin')
    const file = new BinaryFile({ path, maxBytes: '1m', lock, fallback })
    for (let i = from; i < to; i++) {
      if (i > 0 && i % PER_FILE === 0) {
        await file.flush()
        await file.rotate()
      }
      file.write(Buffer.from(record(i)))
    }
    await file.close()
    return path
  },
  'direct-file': async (folder, from, to) => {
    const path = join(folder, 'direct.log')
    const file = new DirectFile({ path, bufferSize: '64k', numShards: 1, fallback })
    for (let i = from; i < to; i++) {
      if (i > 0 && i % PER_FILE === 0) {
        await file.flush()
        await file.rotate()
      }
      file.log(record(i))
    }
    await file.close()
    return path
  },
  'event-files': async (folder, from, to) => {
    const files = new EventFiles({ dir: folder, output: 'rotating-file', maxBytes: 70, lock, fallback })
    for (let i = from; i < to; i++) files.log('orders', record(i))
    await files.close()
    return join(folder, 'orders.log')
  },
  wal: async (folder, from, to) => {
    const walDir = join(folder, 'wal')
    const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096, fallback })
    for (let i = from; i < to; i++) await log.log([record(i)])
    await log.close()
    return walDir
  },
  spool: async (folder, from, to) => {
    const dir = join(folder, 'spool')
    const spool = new Spool({ dir, workers: 1, fallback })
    for (let i = from; i < to; i++) {
      await spool.write(`${record(i)}\n`)
      if (i % PER_FILE === PER_FILE - 1) await spool.flush()
    }
    await spool.close()
    return dir
  }
}

async function read(path: string, from?: string): Promise<Read[]> {
  const found: Read[] = []
  for await (const { data, cursor } of readRecords(path, { from: from ?? 'start' }))
    found.push({ data: String(data), cursor: cursor ?? '' })
  return found
}

const texts = (records: readonly Read[]): string[] => records.map(({ data }) => data)

/** The code of the error, or the records. */
async function outcome(path: string, cursor: string): Promise<string | string[]> {
  try {
    return texts(await read(path, cursor))
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe.each(Object.entries(kinds))('%s', (kind, write) => {
  const total = FILES * PER_FILE

  test('forged in any field, a cursor is an error or means the same', async () => {
    const path = await write(createFolder(), 0, total)
    const all = await read(path)
    expect(texts(all)).toEqual(Array.from({ length: total }, (_, i) => record(i)))
    const at = PER_FILE + 1
    const { cursor } = all[at]
    const rest = texts(all.slice(at + 1))
    const fields = cursor.split(':')
    const forged = new Set<string>()
    const values = [
      '',
      '0',
      '1',
      '-1',
      '9007199254740993',
      '18446744073709551616',
      `${10n ** 30n}`,
      'ffffffff'
    ]
    for (let field = 0; field < fields.length; field++) {
      const put = (value: string) => forged.add(fields.with(field, value).join(':'))
      for (const value of values) put(value)
      const number = Number(fields[field])
      if (Number.isSafeInteger(number)) for (const by of [-3, -1, 1, 2, 500]) put(String(number + by))
      put(`${fields[field]}x`)
      put(` ${fields[field]}`)
      put(fields[field].toUpperCase())
      put(fields[field].slice(0, -1))
    }
    for (let length = 0; length < cursor.length; length += 3) forged.add(cursor.slice(0, length))
    forged.delete(cursor)
    for (const text of forged) {
      if (text === 'start' || text === 'end') continue
      const found = await outcome(path, text).catch((error) => (error as { code: string }).code)
      if (typeof found === 'string')
        expect([text, found]).toEqual([text, expect.stringMatching(/^ERR_(OPTION|CURSOR_LOST)$/)])
      // Of a spool, what is behind a file that is not there.
      else if (kind === 'spool') expect(texts(all).join('|')).toContain(found.join('|'))
      else expect([text, found]).toEqual([text, rest])
    }
  })

  test('at the borders of files it goes on with the first record of the next one', async () => {
    const folder = createFolder()
    const path = await write(folder, 0, total)
    const all = await read(path)
    for (const at of all.keys())
      expect(texts(await read(path, all[at].cursor))).toEqual(texts(all.slice(at + 1)))
    // And with what is written later.
    await write(folder, total, total + PER_FILE)
    const more = await read(path, all[total - 1].cursor)
    expect(texts(more)).toEqual(Array.from({ length: PER_FILE }, (_, i) => record(total + i)))
  })

  test('from the future of a copy that was put back it is an error, also when that has grown again', async () => {
    const folder = createFolder()
    const path = await write(folder, 0, total - 2)
    const copy = createFolder()
    cpSync(folder, copy, { recursive: true })
    await write(folder, total - 2, total)
    const all = await read(path)
    rmSync(folder, { recursive: true })
    cpSync(copy, folder, { recursive: true })
    const { cursor } = all[total - 1]
    // A spool does not know what it held: its files are taken away.
    const isSpool = kind === 'spool'
    if (!isSpool) expect(await outcome(path, cursor)).toBe('ERR_CURSOR_LOST')
    await write(folder, 500, 503)
    const found = await outcome(path, cursor)
    if (isSpool) expect(found).toEqual([500, 501, 502].map(record))
    else expect(found).toBe('ERR_CURSOR_LOST')
    // Whatever is in the copy, too, goes on, unless the start of its file tells it from the one it was.
    const rest = [record(total - 3), ...[500, 501, 502].map(record)]
    expect(['ERR_CURSOR_LOST', rest]).toContainEqual(await outcome(path, all[total - 4].cursor))
  })

  test('it goes on in the same folder under another name', async () => {
    const folder = createFolder()
    const path = await write(folder, 0, total)
    const all = await read(path)
    const moved = join(createFolder(), 'moved')
    renameSync(folder, moved)
    const there = join(moved, path.slice(folder.length))
    for (const at of [0, PER_FILE - 1, PER_FILE, total - 1])
      expect(texts(await read(there, all[at].cursor))).toEqual(texts(all.slice(at + 1)))
  })

  test('of another log of the same name it is refused or an error, never another place', async () => {
    const path = await write(createFolder(), 0, total)
    const other = await write(createFolder(), 300, 300 + total)
    for (const { cursor } of await read(path)) {
      const found = await outcome(other, cursor)
      if (kind === 'spool')
        expect(typeof found === 'string' || found.length === 0 || found.length === total).toBe(true)
      else expect(found).toBe('ERR_CURSOR_LOST')
    }
  })

  test.skipIf(kind === 'wal' || kind === 'spool')(
    'in compressed files, and when the file is gone',
    async () => {
      const folder = createFolder()
      const path = await write(folder, 0, total)
      const all = await read(path)
      const backups = readdirSync(folder)
        .filter((name) => /\d/.test(name) && !name.startsWith('.'))
        .sort()
      for (const name of backups) {
        writeFileSync(join(folder, `${name}.gz`), gzipSync(readFileSync(join(folder, name))))
        rmSync(join(folder, name))
      }
      for (const at of all.keys())
        expect(texts(await read(path, all[at].cursor))).toEqual(texts(all.slice(at + 1)))
      rmSync(join(folder, `${backups[0]}.gz`))
      expect(await outcome(path, all[0].cursor)).toBe('ERR_CURSOR_LOST')
      expect(await outcome(path, all[total - 2].cursor)).toEqual([record(total - 1)])
    }
  )
})
