// Damage of any kind at any place of a log of small segments: whatever opening does, nothing intact behind the damage is gone
// without a copy and a word, and verify says no whenever opening refuses or cuts.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { copiesOf, copyFiles, framesOf, segmentsOf } from '../../helpers/wal-damage.ts'

const SEGMENT_BYTES = 65_536
const AT_ONCE = 20
const cases = sized(3_000, 20)
const STATE = 3

type Shape = { readonly name: string; readonly batches: () => Buffer[][]; readonly isReleased?: boolean }

const shapes: readonly Shape[] = [
  { name: 'small records', batches: () => batchesOf(600, 1, () => bytes(200 + below(200))) },
  { name: 'batches of several', batches: () => batchesOf(120, 8, () => bytes(below(300))) },
  { name: 'records of zeros', batches: () => batchesOf(150, 1, () => Buffer.alloc(400 + below(1_500))) },
  {
    name: 'records larger than a segment',
    batches: () => batchesOf(7, 1, () => bytes(30_000 + below(90_000)))
  },
  {
    name: 'a released snapshot',
    batches: () => batchesOf(500, 1, () => bytes(300)),
    isReleased: true
  }
]

interface Log {
  /** Of the log as it was closed. */
  readonly files: ReadonlyMap<string, Buffer>
  readonly folder: string
  readonly records: readonly Buffer[]
  /** The bytes of each whole batch, and the index of its last entry. */
  readonly batches: readonly { readonly bytes: Buffer; readonly last: bigint }[]
}

const logs = new Map<string, Log>()
const parent = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'logboom-test-'))
let folders = 0

function made(): string {
  const folder = join(parent, String(folders++))
  mkdirSync(folder)
  return folder
}

beforeAll(async () => {
  for (const shape of shapes) logs.set(shape.name, await createLog(shape))
})

afterAll(() => rmSync(parent, { recursive: true, force: true }))

async function createLog({ batches: make, isReleased }: Shape): Promise<Log> {
  const folder = made()
  const walDir = join(folder, 'wal')
  const log = await WriteAheadLog.open({
    walDir,
    segmentBytes: SEGMENT_BYTES,
    fallback: false,
    keepSegments: 100
  })
  const batches = make()
  const half = Math.floor(batches.length / 2)
  for (const batch of batches.slice(0, half)) await log.log(batch)
  if (isReleased === true) await (await log.createSnapshot())?.release()
  for (const batch of batches.slice(half)) await log.log(batch)
  await log.close()
  const files = new Map(segmentsOf(walDir).map((path) => [basename(path), readFileSync(path)]))
  expect(files.size).toBeGreaterThan(1)
  const found: { bytes: Buffer; last: bigint }[] = []
  let last = 0n
  let at = 0
  for (const path of segmentsOf(walDir)) {
    const content = files.get(basename(path)) as Buffer
    let start = -1
    for (const { offset, end, type } of framesOf(path)) {
      if (type === 2 && start === -1) start = offset
      if (type !== STATE || start === -1) continue
      last += BigInt(batches[at++].length)
      found.push({ bytes: content.subarray(start, end), last })
      start = -1
    }
  }
  expect(found.length).toBe(batches.length)
  return { files, folder, records: batches.flat(), batches: found }
}

type Damage = (
  content: Buffer,
  borders: readonly number[]
) => { readonly what: string; readonly result: Buffer }

const damages: readonly Damage[] = [
  (content, borders) => {
    const at = place(content, borders)
    const length = pick([1, 8, 16, 100, 512, 1_024, 4_096, 8_192, 20_000])
    return {
      what: `${length} zeros over ${at}`,
      result: Buffer.from(content).fill(0, at, Math.min(at + length, content.length))
    }
  },
  (content, borders) => {
    const result = Buffer.from(content)
    const at = Math.min(place(content, borders) + pick([0, 1, 3, 7, 8, 9, 12, below(64)]), content.length - 1)
    result[at] ^= 1 << below(8)
    return { what: `a flipped bit at ${at}`, result }
  },
  (content, borders) => {
    const at = place(content, borders)
    return { what: `cut at ${at}`, result: content.subarray(0, at) }
  },
  (content) => {
    const tail = bytes(pick([1, 7, 8, 100, 512, 5_000]))
    return { what: `${tail.length} bytes of garbage behind`, result: Buffer.concat([content, tail]) }
  },
  (content, borders) => {
    const at = place(content, borders)
    const junk = bytes(pick([1, 8, 100, 512, 4_096]))
    const result = Buffer.from(content)
    junk.copy(result, at)
    return { what: `${junk.length} bytes of garbage over ${at}`, result }
  },
  (content, borders) => {
    const at = place(content, borders)
    const length = pick([1, 3, 8, 512])
    const result = Buffer.concat([content.subarray(0, at), content.subarray(at + length)])
    return { what: `${length} bytes missing at ${at}`, result }
  },
  (content, borders) => {
    const at = place(content, borders)
    const length = pick([1, 8, 16, 512, 4_096])
    const result = Buffer.concat([content.subarray(0, at), Buffer.alloc(length), content.subarray(at)])
    return { what: `${length} zeros inserted at ${at}`, result }
  },
  (content, borders) => {
    const [from, to] = [place(content, borders), place(content, borders)]
    const result = Buffer.from(content)
    content.copy(result, to, from, from + 2_000)
    return { what: `older bytes from ${from} over ${to}`, result }
  }
]

/** At a border of frames, sectors or blocks, in the head, anywhere. */
function place(content: Buffer, borders: readonly number[]): number {
  const last = Math.max(0, content.length - 1)
  const anywhere = below(content.length)
  const at = pick([
    anywhere,
    pick(borders),
    pick(borders) - 8,
    anywhere - (anywhere % 512),
    anywhere - (anywhere % 4_096),
    (pick(borders) & ~511) + 512,
    below(64),
    0
  ])
  return Math.min(Math.max(0, at), last)
}

async function tryOne(shape: string, number: number): Promise<void> {
  const log = logs.get(shape) as Log
  const folder = made()
  const walDir = join(folder, 'wal')
  copyFiles(join(log.folder, 'wal'), walDir)
  const names = [...log.files.keys()]
  const told: string[] = []
  const times = pick([1, 1, 1, 2])
  for (let time = 0; time < times; time++) {
    const name = random() < 0.6 ? (names.at(-1) as string) : pick(names)
    const path = join(walDir, name)
    const borders = framesOf(join(log.folder, 'wal', name)).map(({ offset }) => offset)
    const { what, result } = pick(damages)(readFileSync(path), borders)
    writeFileSync(path, result)
    told.push(`${what} of ${name}`)
  }
  // A prepared segment has zeros behind its end.
  if (random() < 0.3) {
    const path = join(walDir, names.at(-1) as string)
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(pick([4_096, 65_536]))]))
    told.push('zeros behind')
  }
  const label = `${shape}, case ${number}: ${told.join('; ')}`
  const before = new Map(names.map((name) => [name, readFileSync(join(walDir, name))]))
  const options = {
    walDir,
    segmentBytes: SEGMENT_BYTES,
    fallback: false as const,
    snapDir: join(log.folder, 'snap')
  }
  const report = await new WriteAheadLog(options).verify()
  const opened = await tryOpen(options)
  const after = new Map(names.map((name) => [name, readFileSync(join(walDir, name))]))
  if (opened.error !== undefined) {
    expect({ label, code: opened.error.code }).toEqual({ label, code: 'ERR_CORRUPT' })
    expect({ label, ok: report.ok }).toEqual({ label, ok: false })
    for (const [name, content] of before) expect(content.equals(after.get(name) as Buffer), label).toBe(true)
    await new WriteAheadLog(options).repair()
    const again = await tryOpen(options)
    expect({ label, error: again.error?.message }).toEqual({ label, error: undefined })
    expectKept(walDir, before, label)
    expectPrefix(again, log, label)
  } else {
    expectPrefix(opened, log, label)
    const isCut = [...before].some(
      ([name, content]) => withoutZeros(content) > withoutZeros(after.get(name) as Buffer)
    )
    if (isCut) {
      expect({ label, ok: report.ok }).toEqual({ label, ok: false })
      expect(opened.events, label).toContain('repaired')
      expectKept(walDir, before, label)
    } else expect({ label, copies: copiesOf(walDir) }).toEqual({ label, copies: [] })
    const all = [...before.values()]
    const behind = log.batches.filter(({ last }) => last > opened.lastIndex)
    const lost = behind.filter((batch) => all.some((content) => content.includes(batch.bytes)))
    if (lost.length > 0) {
      expect({ label, isCut, events: opened.events }).toEqual({
        label,
        isCut: true,
        events: expect.arrayContaining(['repaired', 'ERR_CORRUPT'])
      })
    }
  }
  // What was released may be damaged, and stays so.
  const { damage } = await new WriteAheadLog(options).verify()
  const isBad = damage.some(
    ({ file }) =>
      file ===
      segmentsOf(walDir)
        .map((path) => basename(path))
        .at(-1)
  )
  expect({ label, isBad }).toEqual({ label, isBad: false })
  rmSync(folder, { recursive: true, force: true })
}

interface Opened {
  readonly error: (Error & { code?: string }) | undefined
  readonly events: string[]
  readonly lastIndex: bigint
  /** The last record read back, and how many there are. */
  readonly records: Buffer[]
  readonly firstIndex: bigint
}

async function tryOpen(options: ConstructorParameters<typeof WriteAheadLog>[0]): Promise<Opened> {
  const log = new WriteAheadLog(options)
  const events: string[] = []
  log.on('repaired', () => events.push('repaired'))
  log.on('warning', ({ code }) => events.push(code))
  let error: Opened['error']
  const records: Buffer[] = []
  let firstIndex = 0n
  try {
    await log.start()
  } catch (reason) {
    error = reason as Error
  }
  try {
    for await (const { index, data } of error === undefined ? log.read() : []) {
      firstIndex ||= index
      records.push(Buffer.from(data))
    }
  } catch (reason) {
    // What was released before may be damaged: the log goes on behind it.
    expect(reason).toMatchObject({ code: 'ERR_CORRUPT' })
  }
  const { lastIndex } = log
  await log.close().catch(() => {})
  // Events come after the call that makes them.
  await nextTurn()
  return { error, events, lastIndex, records, firstIndex }
}

/** What is read is what was written, in order. */
function expectPrefix({ records, firstIndex }: Opened, log: Log, label: string): void {
  const wanted = log.records.slice(Number(firstIndex) - 1)
  const differs = records.findIndex((record, at) => !record.equals(wanted[at] ?? Buffer.from('none')))
  expect({ label, differs }).toEqual({ label, differs: -1 })
}

/** Every file is still there as it was, in its place or as a copy. */
function expectKept(walDir: string, before: ReadonlyMap<string, Buffer>, label: string): void {
  const kept = [...segmentsOf(walDir), ...copiesOf(walDir)].map((path) => readFileSync(path))
  for (const content of before.values()) {
    const used = content.subarray(0, withoutZeros(content))
    expect(
      kept.some((copy) => copy.subarray(0, used.length).equals(used)),
      label
    ).toBe(true)
  }
}

function withoutZeros(content: Buffer): number {
  let end = content.length
  while (end > 0 && content[end - 1] === 0) end--
  return end
}

function batchesOf(count: number, most: number, record: () => Buffer): Buffer[][] {
  return Array.from({ length: count }, () => Array.from({ length: 1 + below(most) }, record))
}

function bytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => below(256)))
}

function below(limit: number): number {
  return Math.floor(random() * limit)
}

function pick<T>(of: readonly T[]): T {
  return of[below(of.length)]
}

describe.each(shapes.map(({ name }) => name))('%s', (shape) => {
  test(`${cases} times`, { timeout: 30_000 + cases * 500 }, async () => {
    for (let done = 0; done < cases; done += AT_ONCE) {
      const count = Math.min(AT_ONCE, cases - done)
      await Promise.all(Array.from({ length: count }, (_, at) => tryOne(shape, done + at)))
    }
  })
})
