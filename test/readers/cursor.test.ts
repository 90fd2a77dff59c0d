// Reading goes on behind a cursor, whatever has become of the files; or says that it cannot.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
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
import type { ReadOptions } from '../../src/readers/read-options.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { createFolder } from '../helpers/folder.ts'

const lock = native.canLock
const fallback = false

interface Read {
  data: string
  cursor: string
}

async function read(path: string, options: ReadOptions = {}): Promise<Read[]> {
  const found: Read[] = []
  for await (const { data, cursor } of readRecords(path, options)) {
    if (cursor === undefined) throw new Error('a record without cursor')
    found.push({ data: String(data), cursor })
  }
  return found
}

const texts = (records: readonly Read[]): string[] => records.map(({ data }) => data)

/** From the cursor of every record, reading gives exactly the records behind it. */
async function expectEveryCursor(path: string, options: ReadOptions = {}): Promise<Read[]> {
  const all = await read(path, options)
  for (const [at, { cursor }] of all.entries()) {
    expect(texts(await read(path, { ...options, from: cursor }))).toEqual(texts(all.slice(at + 1)))
  }
  return all
}

async function lost(path: string, cursor: string): Promise<string> {
  const error = await read(path, { from: cursor }).then(
    (records) => ({ code: `read ${records.length} records`, message: '' }),
    (failure) => failure
  )
  expect(error.code).toBe('ERR_CURSOR_LOST')
  return error.message
}

/** Writes records `from` to `to`, with a rotation before each whose number is in `rotations`. */
type Log = { path: string; write(from: number, to: number, rotations?: number[]): Promise<void> }

const logs: Record<string, (folder: string) => Log> = {
  'rotating-file': (folder) => {
    const path = join(folder, 'app.log')
    return {
      path,
      async write(from, to, rotations = []) {
        const file = new RotatingFile({ path, maxBytes: 0, lock, fallback })
        for (let i = from; i < to; i++) {
          if (rotations.includes(i)) {
            await file.flush()
            await file.rotate()
          }
          file.writeLine(`record ${i}`)
        }
        await file.close()
      }
    }
  },
  'binary-file': (folder) => {
    const path = join(folder, 'events.bin')
    return {
      path,
      async write(from, to, rotations = []) {
        const file = new BinaryFile({ path, maxBytes: '1m', lock, fallback })
        for (let i = from; i < to; i++) {
          if (rotations.includes(i)) {
            await file.flush()
            await file.rotate()
          }
          file.write(Buffer.from(`record ${i}`))
        }
        await file.close()
      }
    }
  },
  'direct-file': (folder) => {
    const path = join(folder, 'direct.log')
    return {
      path,
      async write(from, to, rotations = []) {
        for (let i = from; i < to; ) {
          const file = new DirectFile({ path, bufferSize: '64k', numShards: 1, fallback })
          if (rotations.includes(i)) await file.rotate()
          do file.log(`record ${i++}`)
          while (i < to && !rotations.includes(i))
          await file.close()
        }
      }
    }
  }
}

describe.each(Object.entries(logs))('%s', (_, create) => {
  test('every cursor goes on behind its record, in backups and in the live file', async () => {
    const log = create(createFolder())
    await log.write(0, 12, [4, 8])
    const all = await expectEveryCursor(log.path)
    expect(texts(all)).toEqual(Array.from({ length: 12 }, (_, i) => `record ${i}`))
  })

  test('a cursor of the live file goes on in the backup that it has become', async () => {
    const log = create(createFolder())
    await log.write(0, 10)
    const cursor = (await read(log.path)).at(-1)?.cursor
    await log.write(10, 40, [15, 20, 30])
    expect(texts(await read(log.path, { from: cursor }))).toEqual(
      Array.from({ length: 30 }, (_, i) => `record ${i + 10}`)
    )
  })

  test('a cursor goes on in a backup that was compressed, and the same files in another folder', async () => {
    const folder = createFolder()
    const log = create(folder)
    await log.write(0, 12, [6])
    const all = await read(log.path)
    for (const name of readdirSync(folder).filter((each) => /\d/.test(each))) {
      writeFileSync(join(folder, `${name}.gz`), gzipSync(readFileSync(join(folder, name))))
      rmSync(join(folder, name))
    }
    const moved = `${folder}-moved`
    renameSync(folder, moved)
    try {
      const path = join(moved, log.path.slice(folder.length))
      for (const [at, { cursor }] of all.entries()) {
        expect(texts(await read(path, { from: cursor }))).toEqual(texts(all.slice(at + 1)))
      }
    } finally {
      renameSync(moved, folder)
    }
  })

  test('a cursor whose file was removed is an error that names it', async () => {
    const folder = createFolder()
    const log = create(folder)
    await log.write(0, 4)
    const first = (await read(log.path))[1]
    await log.write(4, 12, [4, 8])
    const backups = readdirSync(folder)
      .filter((name) => /\d/.test(name))
      .sort()
    rmSync(join(folder, backups[0]))
    expect(await lost(log.path, first.cursor)).toContain('2 files are left')
  })

  test('a cursor of the newest record goes on with what is appended while it is followed', async () => {
    const log = create(createFolder())
    await log.write(0, 6, [3])
    const cursor = (await read(log.path)).at(-1)?.cursor
    const stop = new AbortController()
    const reader = readRecords(log.path, { from: cursor, follow: true, signal: stop.signal })
    const next = reader.next()
    await log.write(6, 9, [8])
    const found = [String((await next).value?.data)]
    const cursors = [reader.cursor]
    for await (const { data } of reader) {
      found.push(String(data))
      cursors.push(reader.cursor)
      if (found.length === 3) break
    }
    stop.abort()
    expect(found).toEqual(['record 6', 'record 7', 'record 8'])
    expect(texts(await read(log.path, { from: cursors[0] }))).toEqual(['record 7', 'record 8'])
    expect(texts(await read(log.path, { from: cursors[1] }))).toEqual(['record 8'])
    expect(texts(await read(log.path, { from: cursors[2] }))).toEqual([])
  })

  test('a cursor of another log is refused', async () => {
    const log = create(createFolder())
    await log.write(0, 2)
    const [{ cursor }] = await read(log.path)
    const other = join(createFolder(), 'other.log')
    copyFileSync(log.path, other)
    await expect(read(other, { from: cursor })).rejects.toMatchObject({ code: 'ERR_OPTION' })
  })

  test('an offset is refused where there are backups, because it does not say of which file', async () => {
    const log = create(createFolder())
    await log.write(0, 4, [2])
    await expect(read(log.path, { from: 8 })).rejects.toMatchObject({ code: 'ERR_OPTION' })
  })
})

describe('other programs', () => {
  const path = (): string => {
    const file = join(createFolder(), 'app.log')
    writeFileSync(file, 'one\ntwo\nthree\n')
    return file
  }

  test('a file that was cut, or cut and written anew, is an error', async () => {
    const file = path()
    const { cursor } = (await read(file))[1]
    truncateSync(file, 0)
    await lost(file, cursor)
    writeFileSync(file, 'another\nlog of\nthe same length or more\n')
    await lost(file, cursor)
  })

  test('a file that was renamed to a name that is no backup is an error', async () => {
    const file = path()
    const { cursor } = (await read(file))[1]
    renameSync(file, `${file}.1`)
    writeFileSync(file, 'four\n')
    await lost(file, cursor)
  })

  test('a log that is gone is not found', async () => {
    const file = path()
    const { cursor } = (await read(file))[1]
    rmSync(file)
    await expect(read(file, { from: cursor })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  test('lines that are all the same are told apart by the names of backups', async () => {
    const folder = createFolder()
    const file = join(folder, 'app.log')
    const log = new RotatingFile({ path: file, maxBytes: 0, lock, fallback })
    for (let i = 0; i < 12; i++) {
      if (i > 0 && i % 3 === 0) {
        await log.flush()
        await log.rotate()
      }
      log.writeLine('tick')
    }
    await log.close()
    const all = await read(file)
    for (const [at, { cursor }] of all.entries())
      expect(await read(file, { from: cursor })).toHaveLength(11 - at)
  })
})

describe('wal', () => {
  test('every cursor goes on; one whose entries were released, or of another log, is an error', async () => {
    const folder = createFolder()
    const walDir = join(folder, 'log')
    const open = (dir: string) =>
      WriteAheadLog.open({ walDir: dir, snapDir: `${dir}-snap`, segmentBytes: '64k', fallback })
    const wal = await open(walDir)
    for (let i = 0; i < 20; i++) await wal.log([Buffer.from(`entry ${i} ${'x'.repeat(8_000)}`)])
    const all = await read(walDir)
    expect(all).toHaveLength(20)
    for (const [at, { cursor }] of all.entries()) {
      expect(texts(await read(walDir, { from: cursor }))).toEqual(texts(all.slice(at + 1)))
    }
    const snapshot = await wal.createSnapshot()
    await snapshot?.release()
    await wal.close()
    expect(existsSync(walDir)).toBe(true)
    await lost(walDir, all[0].cursor)
    const others = join(folder, 'other/log')
    mkdirSync(join(folder, 'other'))
    const another = await open(others)
    for (let i = 0; i < 5; i++) await another.log([Buffer.from(`another ${i}`)])
    await another.close()
    await lost(others, all[2].cursor)
    await lost(others, all[15].cursor)
  })
})

describe('spool', () => {
  test('a cursor goes on in its file, and behind it when it has been collected', async () => {
    const path = join(createFolder(), 'spool')
    const spool = new Spool({ path, fallback })
    for (let file = 0; file < 3; file++) {
      for (let i = 0; i < 3; i++) await spool.write(`record ${3 * file + i}\n`)
      await spool.flush()
    }
    await spool.close()
    const all = await expectEveryCursor(path)
    expect(all).toHaveLength(9)
    const [first] = readdirSync(path)
      .filter((name) => !name.startsWith('.'))
      .sort()
    rmSync(join(path, first))
    expect(texts(await read(path, { from: all[1].cursor }))).toEqual(texts(all.slice(3)))
  })
})

describe('a folder of logs', () => {
  async function events(): Promise<{ dir: string; write(from: number, to: number): Promise<void> }> {
    const dir = join(createFolder(), 'events')
    return {
      dir,
      async write(from, to) {
        const files = new EventFiles({ dir, output: 'rotating-file', maxBytes: 0, lock, fallback })
        for (let i = from; i < to; i++) files.log(i % 2 === 0 ? 'even' : 'odd', `record ${i}`)
        await files.close()
      }
    }
  }

  test('the cursor of the reader goes on in every log, also in one that is new', async () => {
    const { dir, write } = await events()
    await write(0, 10)
    const reader = readRecords(dir)
    for (let i = 0; i < 7; i++) await reader.next()
    const { cursor } = reader
    await reader.return()
    await write(10, 14)
    const files = new EventFiles({ dir, output: 'rotating-file', maxBytes: 0, lock, fallback })
    files.log('third', 'record 99')
    await files.close()
    const seen: number[] = []
    for await (const { data } of readRecords(dir, { from: cursor })) seen.push(Number(String(data).slice(7)))
    // All of the even ones up to 8, and the odd ones up to 3, had been read.
    expect(seen.sort((a, b) => a - b)).toEqual([5, 7, 9, 10, 11, 12, 13, 99])
    const all = readRecords(dir)
    let count = 0
    for await (const _ of all) count++
    expect(count).toBe(15)
    expect(await read(dir, { from: all.cursor })).toEqual([])
  })

  test('the cursor of one log is refused for a folder, and that of a folder for one log', async () => {
    const { dir, write } = await events()
    await write(0, 4)
    const reader = readRecords(dir)
    const { value } = await reader.next()
    await expect(read(dir, { from: value?.cursor })).rejects.toMatchObject({ code: 'ERR_OPTION' })
    expect(texts(await read(join(dir, 'even.log'), { from: value?.cursor }))).toEqual(['record 2'])
    await expect(read(join(dir, 'even.log'), { from: reader.cursor })).rejects.toMatchObject({
      code: 'ERR_OPTION'
    })
    await reader.return()
  })
})

describe('texts that are no cursors', () => {
  const wrong = [
    '',
    'START',
    'logboom:',
    'logboom:1:',
    'logboom:2:text:app.log:%3E:0:3:00000000:0:00000000',
    'logboom:1:text:app.log:%3E:0:3:00000000:0',
    'logboom:1:text:app.log:%3E:-1:3:00000000:0:00000000',
    'logboom:1:text:app.log:%3E:x:3:00000000:0:00000000',
    'logboom:1:text:app.log:%3E:0:3:zzzzzzzz:0:00000000',
    'logboom:1:text:app.log:%3E:0:3:00000000:100000:00000000',
    'logboom:1:text:app.log:%3E..%2Fother:0:3:00000000:0:00000000',
    'logboom:1:text:app.log:%E0%A4%A:0:3:00000000:0:00000000',
    'logboom:1:folder:',
    'logboom:1:folder:!!!',
    `logboom:1:folder:${Buffer.from('[1]').toString('base64url')}`,
    `logboom:1:folder:${Buffer.from('["logboom:1:folder:W10"]').toString('base64url')}`
  ]

  test.each(wrong)('%j', (from) => {
    expect(() => readRecords('app.log', { from })).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }))
  })

  test('numbers beyond every file are an error when reading begins', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'one\n')
    const [{ cursor }] = await read(path)
    const far = cursor.replace(/:0:3:/, `:${10n ** 30n}:3:`)
    expect(far).not.toBe(cursor)
    await lost(path, far)
  })
})
