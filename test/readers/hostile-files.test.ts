// Readers over files in every stage of decay: they end, they do not throw what is no LogboomError, and where there are
// checksums they return what was written or nothing.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import { encodeRecord, maxRecordBytes } from '../../src/formats/binary-file.ts'
import { formatNumberedName } from '../../src/formats/numbered-name.ts'
import { createContext } from '../../src/readers/engine/context.ts'
import { readers } from '../../src/readers/registry.ts'
import { tally } from '../helpers/counts.ts'
import { buildDirectFile } from '../helpers/direct-file-bytes.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'
import { isLong, sized } from '../helpers/sized.ts'

const golden = new URL('../fixtures/golden/', import.meta.url).pathname
const TEXTS = [
  'first record',
  'second',
  'third, which is longer than the others',
  '4',
  'fifth',
  'the last one'
]

const direct = buildDirectFile([
  [[Buffer.from(TEXTS[0]), Buffer.from(TEXTS[1])], [Buffer.from(TEXTS[2])]],
  [[Buffer.from(TEXTS[3])]],
  [[Buffer.from(TEXTS[4]), Buffer.from(TEXTS[5])]]
])

function binary(): Buffer {
  const bytes = Buffer.alloc(TEXTS.reduce((sum, text) => sum + maxRecordBytes(text), 0))
  let at = 0
  for (const text of TEXTS) at = encodeRecord(bytes, at, text)
  return bytes.subarray(0, at)
}

interface Subject {
  readonly format: string
  /** Names of the live file and of its plain backup. */
  readonly names: readonly [string, string]
  readonly bytes: Buffer
  /** Every record has a checksum. */
  readonly isChecked: boolean
}

const subjects: readonly Subject[] = [
  {
    format: 'text',
    names: ['a.log', formatBackupName('a.log', 1e9, 0)],
    bytes: Buffer.from(TEXTS.map((text) => `${text}\n`).join('')),
    isChecked: false
  },
  {
    format: 'binary-file',
    names: ['a.bin', formatNumberedName('a.bin', 0)],
    bytes: binary(),
    isChecked: false
  },
  {
    format: 'direct-file',
    names: ['a.log', formatBackupName('a.log', 1e9, 0)],
    bytes: direct,
    isChecked: true
  }
]

/**
 * One bit of every `step`th byte, in turn another one; in the long run all bits of the first bytes, which decide about
 * the format.
 */
function* flips(bytes: Buffer, step = 1): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += at < 32 ? 1 : step) {
    for (let bit = 0; bit < 8; bit++) {
      const isWanted = bit === at % 8 || (at < 32 && (isLong || bit === 7 - (at % 8)))
      if (!isWanted) continue
      const flipped = Buffer.from(bytes)
      flipped[at] ^= 1 << bit
      yield flipped
    }
  }
}

function* cuts(bytes: Buffer, step = 1): Generator<Buffer> {
  for (let length = 0; length <= bytes.length; length += step) yield bytes.subarray(0, length)
}

function* shifts(bytes: Buffer, step: number): Generator<Buffer> {
  for (let at = 0; at <= bytes.length; at += step) {
    yield Buffer.concat([bytes.subarray(0, at), Buffer.from('!'), bytes.subarray(at)])
    yield Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 3)])
  }
}

const OWN_CODES = [undefined, 'ERR_CORRUPT', 'ERR_FORMAT']

/** Reads in one of three ways, in turn. */
async function checkLog(path: string, { format, isChecked }: Subject, number: number): Promise<void> {
  const options = ([{ format }, { format: 'auto' }, { format, from: { last: 2 } }] as const)[number % 3]
  const what = `${path}, variant ${number}`
  tally('damaged files')
  const found = await collect(path, { ...options, onCorrupt: 'skip-file' })
  expect(OWN_CODES, `${what}: ${found.error?.stack}`).toContain(found.error?.code)
  if (!isChecked || options.format === 'auto') return
  const invented = found.lines.filter((line) => !TEXTS.includes(line))
  expect(invented, what).toEqual([])
}

describe.each(subjects)('$format', (subject) => {
  const { names, bytes, format } = subject
  const step = format === 'direct-file' ? sized(17, 67) : sized(1, 5)

  test('a live file and a backup with any bit flipped, cut anywhere, or shifted', {
    timeout: 120_000
  }, async () => {
    for (const name of names) {
      const path = join(createFolder(), name)
      let number = 0
      for (const damaged of [...flips(bytes, step), ...cuts(bytes, step), ...shifts(bytes, step)]) {
        writeFileSync(path, damaged)
        await checkLog(path, subject, number++)
      }
    }
  })

  test('a compressed backup with any bit flipped or cut anywhere', { timeout: 120_000 }, async () => {
    for (const [suffix, packed] of [
      ['gz', gzipSync(bytes)],
      ['br', brotliCompressSync(bytes)]
    ] as const) {
      const path = join(createFolder(), `${names[1]}.${suffix}`)
      let number = 0
      for (const damaged of [...flips(packed, sized(9, 31)), ...cuts(packed, sized(11, 37))]) {
        writeFileSync(path, damaged)
        await checkLog(path, subject, number++)
      }
    }
  })

  test('verify says damaged of a finished file whenever reading meets damage', async () => {
    const path = join(createFolder(), names[1])
    const reader = readers.find((each) => each.format === format)!
    for (const damaged of [...flips(bytes, step * 3), ...cuts(bytes, step * 3)]) {
      writeFileSync(path, damaged)
      const { stats } = await collect(path, { format, onCorrupt: 'skip-file' })
      let damages = 0
      for await (const report of reader.verify(path, createContext())) damages += report.damage.length
      if (stats.damage.length > 0) expect(damages).toBeGreaterThan(0)
    }
  })
})

test('the segments of a write-ahead log with any bit flipped or cut anywhere give no altered record', {
  timeout: 120_000
}, async () => {
  const source = join(golden, 'wal/two-segments')
  const folder = join(createFolder(), 'wal')
  mkdirSync(folder)
  const segments = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.wal')
  )
  for (const name of segments) cpSync(join(source, name), join(folder, name.split('/').at(-1) as string))
  const known = (await collect(folder)).lines
  expect(known.length).toBeGreaterThan(0)
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const sound = readFileSync(path)
    const used = sound.subarray(0, Math.min(sound.length, 2048))
    const rest = sound.subarray(used.length)
    for (const damaged of [...flips(used, sized(29, 61)), ...cuts(used, sized(29, 61))]) {
      writeFileSync(path, damaged.length === used.length ? Buffer.concat([damaged, rest]) : damaged)
      const found = await collect(folder, { onCorrupt: 'skip-file' })
      expect([...OWN_CODES, 'ERR_NOT_FOUND']).toContain(found.error?.code)
      expect(found.lines.filter((line) => !known.includes(line))).toEqual([])
    }
    writeFileSync(path, sound)
  }
})
