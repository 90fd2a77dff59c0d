// logboom convert: between any two formats, with exact counts of what the new one cannot hold.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { Conversion, type ConversionReport } from '../../src/cli/conversion.ts'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { EventFiles } from '../../src/core/event-files/event-files.ts'
import type { Kind } from '../../src/core/registry.ts'
import { native } from '../../src/native/index.ts'
import { createContext } from '../../src/readers/engine/context.ts'
import { readBatches } from '../../src/readers/engine/read-batches.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { runCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { canMount, mountTmpfs } from '../helpers/mount.ts'
import { random } from '../helpers/random.ts'
import { sized } from '../helpers/sized.ts'

const golden = join(import.meta.dirname, '../fixtures/golden/wal')
const kinds: Kind[] = ['rotating-file', 'spool', 'direct-file', 'binary-file', 'wal', 'event-files']
const noLock = native.canLock ? [] : ['--no-lock']

/** Such that several files are made of even a small log. */
const lock = native.canLock
const options: Record<Kind, Record<string, unknown>> = {
  'rotating-file': { maxBytes: 2000, lock },
  spool: { maxBytes: 2000 },
  'direct-file': {},
  'binary-file': { maxBytes: 2000, lock },
  wal: { maxBytes: 4096 },
  'event-files': { output: 'binary-file', maxBytes: 2000, lock }
}

async function texts(path: string): Promise<string[]> {
  const found: string[] = []
  for await (const { data } of readRecords(path, { includeUnterminated: true }))
    found.push(data.toString('latin1'))
  return found
}

async function writeBinary(path: string, records: (string | Buffer)[]): Promise<void> {
  const file = new BinaryFile({ path, maxBytes: '1m', lock: native.canLock })
  for (const record of records) file.write(record)
  await file.close()
}

const lines = Array.from({ length: 300 }, (_, i) => `record ${i} \t"ü" ${'x'.repeat(i % 40)}\r`)
const asRead = lines.map((line) => Buffer.from(line).toString('latin1'))

describe('every pair of formats', () => {
  const convertTo = async (source: string, to: Kind, path: string): Promise<ConversionReport> => {
    const conversion = new Conversion(source, path, to, 'error', options[to])
    for await (const batch of readBatches(source, 'auto', createContext({ includeUnterminated: true })))
      await conversion.take(batch)
    return await conversion.finish()
  }

  test.each(kinds)('%s to every kind, unchanged and in order', async (from) => {
    const folder = createFolder()
    const text = join(folder, 'text.log')
    writeFileSync(text, lines.map((line) => `${line}\n`).join(''))
    const source = join(folder, 'source')
    await convertTo(text, from, source)
    expect(await texts(source)).toEqual(asRead)
    for (const to of kinds) {
      const path = join(folder, `new-${to}`)
      const { read, written, found } = await convertTo(source, to, path)
      expect([read.records, written.records, found.equals(written)]).toEqual([300, 300, true])
      expect({ to, texts: await texts(path) }).toEqual({ to, texts: asRead })
    }
  })
})

describe('every pair of formats, with records that are hard to hold', () => {
  const large = sized(10_000_000, 300_000)
  const bytes = (length: number) => Buffer.alloc(length).map(() => Math.floor(random() * 256)) as Buffer
  const hostileRecords = () => [
    Buffer.alloc(0),
    Buffer.from('\0'),
    Buffer.alloc(700),
    Buffer.from([0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80]),
    Buffer.from('\r\n'),
    Buffer.from('\n'),
    Buffer.from('\r'),
    Buffer.from('two\nlines\r\n'),
    Buffer.from('\u2028\u2029\u0085'),
    Buffer.from('LBSLOT1\n'),
    bytes(4_000),
    Buffer.from(bytes(large).map((byte) => (byte === 10 ? 11 : byte))),
    bytes(large),
    Buffer.from('{"level":30,"msg":"the end"}')
  ]
  const isLines = (kind: Kind) => kind === 'rotating-file' || kind === 'spool'
  const holds = (kind: Kind, data: Buffer) =>
    !(isLines(kind) && data.includes(10)) &&
    !((kind === 'direct-file' || kind === 'event-files') && data.length === 0)
  const digests = (records: readonly Buffer[]) =>
    records.map((data) => `${data.length} ${createHash('sha1').update(data).digest('hex')}`)
  const read = async (path: string, format: string): Promise<Buffer[]> => {
    const found: Buffer[] = []
    for await (const { data } of readRecords(path, { includeUnterminated: true, format } as never))
      found.push(Buffer.from(data))
    return found
  }
  /** What the files of random bytes are is not left to be guessed. */
  const formatOf = (kind: Kind) =>
    kind === 'rotating-file' ? 'text' : kind === 'event-files' ? 'binary-file' : kind

  test.each(kinds)('what %s holds comes to each other kind as it is, or is told', async (from) => {
    const folder = createFolder()
    const hostile = hostileRecords()
    await writeBinary(join(folder, 'a.bin'), hostile)
    const convertFrom = async (source: string, format: string, to: Kind, path: string) => {
      const conversion = new Conversion(source, path, to, 'error', options[to])
      const context = createContext({ includeUnterminated: true })
      for await (const batch of readBatches(source, format, context)) await conversion.take(batch)
      return await conversion.finish()
    }
    const source = join(folder, 'source')
    await convertFrom(join(folder, 'a.bin'), 'binary-file', from, source)
    const there = hostile.filter((data) => holds(from, data))
    expect(digests(await read(source, formatOf(from)))).toEqual(digests(there))
    for (const to of kinds) {
      const path = join(folder, `new-${to}`)
      const report = await convertFrom(source, formatOf(from), to, path)
      const expected = there.filter((data) => holds(to, data))
      const withNewlines = isLines(to) ? there.filter((data) => data.includes(10)).length : 0
      expect({ to, found: digests(await read(path, formatOf(to))) }).toEqual({ to, found: digests(expected) })
      expect([report.read.records, report.written.records, report.withNewlines]).toEqual([
        there.length,
        expected.length,
        withNewlines
      ])
      expect(report.empty).toBe(there.length - expected.length - withNewlines)
      expect(report.found.equals(report.written)).toBe(true)
      await rm(path, { recursive: true, force: true })
    }
  })
})

describe('records that are no lines', () => {
  const records = ['plain', '', 'two\nlines', 'three\n\nlines', 'end\n', Buffer.from([0, 255, 10, 13])]
  const raw = records.map((record) => Buffer.from(record as string).toString('latin1'))

  test.each(['wal', 'binary-file'])('%s holds them all', async (to) => {
    const folder = createFolder()
    await writeBinary(join(folder, 'a.bin'), records)
    const path = join(folder, 'new')
    const { code, stderr } = await runCli([
      'convert',
      join(folder, 'a.bin'),
      '--to',
      to,
      path,
      ...(to === 'wal' ? [] : noLock)
    ])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(await texts(path)).toEqual(raw)
  })

  test('direct-file holds all but empty ones, which are counted', async () => {
    const folder = createFolder()
    await writeBinary(join(folder, 'a.bin'), records)
    const path = join(folder, 'new')
    const { code, stderr } = await runCli(['convert', join(folder, 'a.bin'), '--to', 'direct-file', path])
    expect(code).toBe(2)
    expect(stderr).toContain(`6 records read, 5 records written to ${path}, 1 empty left out`)
    expect(await texts(path)).toEqual(raw.filter((text) => text !== ''))
  })

  const inText: [string, number, string, string[]][] = [
    ['error', 2, '2 records written to PATH, 4 with a newline left out', ['plain', '']],
    [
      'escape',
      0,
      '6 records written to PATH, 4 with a newline escaped',
      ['plain', '', 'two\\nlines', 'three\\n\\nlines', 'end\\n', '\0\xff\\n\r']
    ],
    [
      'split',
      0,
      '11 records written to PATH, 4 with a newline split',
      ['plain', '', 'two', 'lines', 'three', '', 'lines', 'end', '', '\0\xff', '\r']
    ]
  ]
  test.each(inText)(
    '--newlines %s: lines get what lines can hold, counted',
    async (newlines, exit, said, expected) => {
      const folder = createFolder()
      await writeBinary(join(folder, 'a.bin'), records)
      for (const to of ['rotating-file', 'spool']) {
        const path = join(folder, to)
        const args = [
          'convert',
          join(folder, 'a.bin'),
          '--to',
          to,
          path,
          '--newlines',
          newlines,
          ...(to === 'spool' ? [] : noLock)
        ]
        const { code, stdout, stderr } = await runCli(args)
        expect({ to, code }).toEqual({ to, code: exit })
        expect(`${stdout}${stderr}`).toContain(`6 records read, ${said.replace('PATH', path)}`)
        const found: string[] = []
        const format = to === 'spool' ? 'spool' : 'text'
        for await (const { data } of readRecords(path, { format })) found.push(data.toString('latin1'))
        expect(found).toEqual(expected)
      }
    }
  )
})

test('the folder of an etcd server and one of an independent writer become binary files, byte for byte', async () => {
  const folder = createFolder()
  const member = join(folder, 'member')
  mkdirSync(member)
  for (const name of readdirSync(join(golden, 'etcd-server'))) {
    if (!name.endsWith('.wal.gz')) continue
    const bytes = gunzipSync(readFileSync(join(golden, 'etcd-server', name)))
    writeFileSync(join(member, name.slice(0, -3)), bytes)
  }
  for (const source of [member, join(golden, 'two-segments')]) {
    const path = join(folder, 'new', String(source.length))
    const { code, stderr } = await runCli(['convert', source, '--to', 'binary-file', path, ...noLock])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(await texts(path)).toEqual(await texts(source))
  }
})

test('each event of a folder of logs comes to a log of its own name', async () => {
  const folder = createFolder()
  const sink = new EventFiles({
    dir: join(folder, 'old'),
    output: 'binary-file',
    maxBytes: '1m',
    lock: native.canLock
  })
  for (let i = 0; i < 50; i++) sink.log(`event-${i % 3}`, `record ${i}`)
  await sink.close()
  const path = join(folder, 'new')
  const args = ['convert', join(folder, 'old'), '--to', 'event-files', path, '--output', 'wal']
  expect(await runCli(args)).toMatchObject({ code: 0, stderr: '' })
  const byEvent = async (at: string) => {
    const found: Record<string, string[]> = {}
    for await (const { data, event = '' } of readRecords(at)) {
      found[event] ??= []
      found[event].push(String(data))
    }
    return found
  }
  expect(await byEvent(path)).toEqual(await byEvent(join(folder, 'old')))
})

test('what is damaged in the source is told, exit code 2, and all the rest comes over', async () => {
  const folder = createFolder()
  const source = join(folder, 'source')
  writeFileSync(join(folder, 'a.log'), lines.map((line) => `${line}\n`).join(''))
  await runCli(['convert', join(folder, 'a.log'), '--to', 'wal', source, '--max-bytes', '4096'])
  const segment = join(source, readdirSync(source).filter((name) => name.endsWith('.wal'))[1])
  const bytes = readFileSync(segment)
  bytes[bytes.length >> 1] ^= 1
  writeFileSync(segment, bytes)
  const path = join(folder, 'new')
  const { code, stderr } = await runCli(['convert', source, '--to', 'wal', path])
  expect(code).toBe(2)
  expect(stderr).toContain(`${segment} is damaged at offset`)
  const found = await texts(path)
  expect(found.length).toBeGreaterThan(100)
  expect(asRead.filter((text) => found.includes(text))).toEqual(found)
})

test('records that the options of the new log remove are missed when it is read back', async () => {
  const folder = createFolder()
  writeFileSync(join(folder, 'a.log'), 'x'.repeat(99).concat('\n').repeat(200))
  const path = join(folder, 'new.log')
  const options = ['--max-bytes', '1000', '--max-backups', '2', ...noLock]
  const { code, stderr } = await runCli([
    'convert',
    join(folder, 'a.log'),
    '--to',
    'rotating-file',
    path,
    ...options
  ])
  expect(code).toBe(3)
  expect(stderr).toMatch(/has 30 records of 2970 bytes, and 200 records of 19800 bytes were written to it/)
})

test.skipIf(!canMount)(
  'on a full disk it ends with exit code 3 and says so, whatever the kind (needs root)',
  { timeout: 120_000 },
  async () => {
    const source = join(createFolder(), 'app.log')
    // More than a sink takes in while it cannot write.
    writeFileSync(source, `${'x'.repeat(999)}\n`.repeat(40_000))
    const root = mountTmpfs('2m')
    await Promise.all(
      sized(['rotating-file', 'wal', 'spool', 'binary-file', 'direct-file'], ['rotating-file']).map(
        async (kind) => {
          const { stdout, stderr, code } = await runCli(['convert', source, '--to', kind, join(root, kind)])
          expect({ kind, stdout, code }).toEqual({ kind, stdout: '', code: 3 })
          expect(stderr).toMatch(/ENOSPC/)
          expect(stderr).toMatch(/cannot be written; the rest of the log is not converted|not written to/)
        }
      )
    )
  }
)

test('of a log that is not there, or cannot be read, nothing is made', async () => {
  const folder = createFolder()
  const empty = join(folder, 'empty')
  mkdirSync(empty)
  for (const source of [join(folder, 'missing.log'), empty, '/dev/null'])
    for (const kind of ['rotating-file', 'wal', 'spool']) {
      const { stdout, code } = await runCli(['convert', source, '--to', kind, join(folder, 'new')])
      expect({ source, kind, stdout, code }).toEqual({ source, kind, stdout: '', code: 3 })
    }
  expect(readdirSync(folder)).toEqual(['empty'])
})

test('nothing is written where something is, or into what is read; bad usage is told', async () => {
  const folder = createFolder()
  const source = join(folder, 'logs', 'a.log')
  mkdirSync(join(folder, 'logs'))
  writeFileSync(source, 'a\n')
  const refused = async (args: string[], text: string) => {
    const { code, stderr } = await runCli(['convert', ...args])
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(text) })
  }
  await refused([source, '--to', 'rotating-file', source], 'exists; convert makes a new log')
  await refused([source, '--to', 'wal', join(folder, 'logs')], 'exists; convert makes a new log')
  await refused(
    [join(folder, 'logs'), '--to', 'wal', join(folder, 'logs', 'wal')],
    'is in the folder that is read'
  )
  await refused([source, join(folder, 'new')], '--to is missing')
  await refused([source, '--to', 'tape', join(folder, 'new')], 'unknown kind of sink "tape"')
  await refused([source, '--to', 'wal'], 'name a log and the path of the new one')
  await refused([source, '--to', 'wal', join(folder, 'new'), 'more'], 'unexpected argument "more"')
  await refused([source, '--to', 'wal', join(folder, 'new'), '--newlines', 'drop'], '--newlines must be')
  await refused([source, '--to', 'wal', join(folder, 'new'), '--max-bytes', '1'], 'must be at least 4096')
  expect(existsSync(join(folder, 'new'))).toBe(false)
  expect(readFileSync(source, 'utf8')).toBe('a\n')
})
