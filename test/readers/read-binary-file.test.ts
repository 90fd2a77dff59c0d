import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { native } from '../../src/native/index.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { repairBinaryFile } from '../../src/repair/binary-file.ts'
import { createFolder } from '../helpers/folder.ts'
import { random } from '../helpers/random.ts'
import { collect } from '../helpers/read.ts'

const golden = new URL('../fixtures/golden/binary/', import.meta.url)
const cli = new URL('../../dist/cli/main.js', import.meta.url).pathname

function writeLog(payloads: readonly string[], maxBytes = 1_000_000): string {
  const path = join(createFolder(), 'events.bin')
  const file = new BinaryFile({ path, maxBytes, lock: native.canLock })
  for (const payload of payloads) file.write(payload)
  file[Symbol.dispose]()
  return path
}

describe('reading a binary file', () => {
  test('the golden files, found out by content, with the offset of each record', async () => {
    const folder = createFolder()
    for (const name of ['events.0.bin', 'events.bin']) copyFileSync(new URL(name, golden), join(folder, name))
    const expected = JSON.parse(readFileSync(new URL('expected.json', golden), 'utf8'))
    const { lines, records, error } = await collect(join(folder, 'events.bin'))
    expect(error).toBeUndefined()
    expect(lines).toEqual(expected)
    expect(records[0]).toMatchObject({ file: join(folder, 'events.0.bin'), offset: 0 })
    expect(records[1].offset).toBe(4)
    expect((await collect(folder)).lines).toEqual(expected)
  })

  test('from the last records, across files', async () => {
    const payloads = Array.from({ length: 50 }, (_, index) => `event ${index}`)
    const path = writeLog(payloads, 100)
    for (const last of [0, 1, 7, 49, 50, 99]) {
      const expected = last === 0 ? [] : payloads.slice(-last)
      expect((await collect(path, { from: { last } })).lines).toEqual(expected)
    }
  })

  test('every truncation: a live file just ends, a backup is damaged', async () => {
    const path = writeLog(['one', '', 'three'])
    const whole = readFileSync(path)
    const backup = join(path, '..', 'events.0.bin')
    for (let size = 0; size <= whole.length; size++) {
      const intact = [7, 11, 20].filter((end) => end <= size).length
      writeFileSync(path, whole.subarray(0, size))
      const live = await collect(path, { format: 'binary-file' })
      expect(live).toMatchObject({ lines: ['one', '', 'three'].slice(0, intact), error: undefined })
      writeFileSync(backup, whole.subarray(0, size))
      writeFileSync(path, whole)
      const both = await collect(path, { format: 'binary-file' })
      const isCut = ![0, 7, 11, 20].includes(size)
      expect(both.error?.code).toBe(isCut ? 'ERR_CORRUPT' : undefined)
      expect(both.lines.slice(0, intact)).toEqual(['one', '', 'three'].slice(0, intact))
      const skipping = await collect(path, { format: 'binary-file', onCorrupt: 'skip-file' })
      expect(skipping.lines.slice(intact)).toEqual(['one', '', 'three'])
      truncateSync(backup, 0)
    }
  })

  test('a record longer than the limit is skipped and counted, its neighbours are returned', async () => {
    const path = writeLog(['before', 'x'.repeat(3_000_000), 'after'])
    const { lines, stats } = await collect(path, { maxRecordBytes: 1_000_000, onCorrupt: 'skip-file' })
    expect(lines).toEqual(['before', 'after'])
    expect(stats.damage).toMatchObject([{ offset: 10, bytes: 3_000_004 }])
  })

  test('following sees every record once, through rollovers', { timeout: 30_000 }, async () => {
    const path = writeLog(['old'])
    const stop = new AbortController()
    const seen: string[] = []
    const reading = (async () => {
      for await (const { data } of readRecords(path, { follow: true, signal: stop.signal }))
        seen.push(data.toString())
    })()
    const file = new BinaryFile({ path, maxBytes: 500, lock: native.canLock })
    onTestFinished(() => file.close())
    const payloads = Array.from({ length: 200 }, (_, index) => `new ${index}`)
    for (const payload of payloads) {
      file.write(payload)
      if (random() < 0.2) await file.flush()
      if (random() < 0.05) await delay(20)
    }
    await file.flush()
    await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(201)
    stop.abort()
    await reading
    expect(seen).toEqual(['old', ...payloads])
  })
})

describe('the format of a log of large records', () => {
  const large = ['a', 'b', 'c'].map((name) => name.repeat(20_000))

  test.each<[string, object]>([
    ['in one file', { maxBytes: '1m' }],
    ['in backups, while the live file is empty', { maxBytes: 20_000 }],
    ['in compressed backups', { maxBytes: 20_000, compress: 'gzip' }]
  ])('is found out %s', async (_, options) => {
    const path = join(createFolder(), 'events.log')
    const file = new BinaryFile({ path, lock: native.canLock, fallback: false, maxBytes: 1, ...options })
    for (const text of large) {
      file.write(text)
      await file.flush()
    }
    await file.close()
    for (const from of ['start', { last: 3 }] as const) {
      const { lines, stats } = await collect(path, { from })
      expect([lines, stats.notes]).toEqual([large, []])
    }
    expect((await collect(dirname(path))).lines).toEqual(large)
  })

  test('is text where what looks like a length leads nowhere', async () => {
    const path = join(createFolder(), 'odd.log')
    for (const head of ['\0\0\0\0', '\0a\0b', '\0\0\x40\0']) {
      writeFileSync(path, `${head}${'text\n'.repeat(10_000)}`)
      const { lines, stats } = await collect(path)
      expect([lines.length, stats.notes.length]).toEqual([10_000, 1])
    }
  })
})

describe('repair', () => {
  test('cuts a torn end off, keeps a copy, and leaves whole files alone', async () => {
    const path = writeLog(['one', 'two'])
    appendFileSync(path, Buffer.from([0, 0, 1, 0, 1, 2, 3]))
    const damaged = readFileSync(path)
    const [report, ...more] = await repairBinaryFile([path])
    expect(more).toEqual([])
    expect(report).toEqual({ file: path, copy: `${path}.broken`, removedBytes: 7 })
    expect(readFileSync(`${path}.broken`)).toEqual(damaged)
    expect((await collect(path)).lines).toEqual(['one', 'two'])
    expect(await repairBinaryFile([path])).toEqual([])
  })

  test('an existing copy is never overwritten', async () => {
    const path = writeLog(['one'])
    writeFileSync(`${path}.broken`, 'precious')
    appendFileSync(path, 'xxx')
    expect(await repairBinaryFile([path])).toMatchObject([{ copy: `${path}.broken.1` }])
    expect(readFileSync(`${path}.broken`, 'utf8')).toBe('precious')
  })
})

describe('the commands', () => {
  const run = (...args: string[]) => spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' })

  test('cat, tail, info, verify and repair know binary files', () => {
    const path = writeLog(['one', 'two', 'three'], 14)
    expect(run('cat', path).stdout).toBe('one\ntwo\nthree\n')
    expect(run('tail', '-n', '2', path).stdout).toBe('two\nthree\n')
    expect(JSON.parse(run('info', '--count', '--json', path).stdout)).toMatchObject({ format: 'binary-file' })
    expect(run('verify', path)).toMatchObject({ status: 0 })
    const backup = join(path, '..', 'events.0.bin')
    truncateSync(backup, statSync(backup).size - 1)
    const found = run('verify', path)
    expect(found.status).toBe(2)
    expect(found.stdout).toContain(`damaged ${backup}`)
    expect(run('cat', path)).toMatchObject({ status: 2, stdout: 'one\nthree\n' })
    const repaired = run('repair', path)
    expect(repaired.status).toBe(0)
    expect(existsSync(`${backup}.broken`)).toBe(true)
    expect(run('verify', path).status).toBe(0)
  })
})
