import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import type { BinaryFileOptions } from '../../../src/core/binary-file/options.ts'
import { type Internals, withInternals } from '../../../src/core/sink/internals.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { sized } from '../../helpers/sized.ts'

const LARGE_MIB = sized(64, 20)

const golden = new URL('../../fixtures/golden/binary/', import.meta.url)

function open(
  path: string,
  options: Partial<BinaryFileOptions> = {},
  internals: Partial<Internals> = {}
): BinaryFile {
  const file = withInternals(
    internals,
    () => new BinaryFile({ path, maxBytes: '10m', lock: native.canLock, fallback: false, ...options })
  )
  onTestFinished(async () => {
    await file.close().catch(() => {})
  })
  return file
}

function names(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort()
}

describe('writing and reading back', () => {
  test('the golden files are read exactly, backups first', () => {
    const folder = createFolder()
    for (const name of ['events.0.bin', 'events.bin']) copyFileSync(new URL(name, golden), join(folder, name))
    const expected = JSON.parse(readFileSync(new URL('expected.json', golden), 'utf8'))
    const path = join(folder, 'events.bin')
    expect([...open(path).read()]).toEqual(expected)
    expect([...open(join(folder, 'other.bin')).read(path)]).toEqual(expected)
    expect([...open(path).read(join(folder, 'events.0.bin'))].length).toBeLessThan(expected.length)
    expect(readFileSync(path)).toEqual(readFileSync(new URL('events.bin', golden)))
  })

  test('any text and any bytes survive; a lone surrogate becomes U+FFFD', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array()), { maxLength: 30 }),
        async (payloads) => {
          const file = open(join(createFolder(), 'a.bin'), { maxBytes: 100 })
          for (const payload of payloads) file.write(payload)
          expect([...file.readBytes()]).toEqual(payloads.map((payload) => Buffer.from(payload as string)))
          await file.close()
        }
      ),
      { numRuns: 30 }
    )
    const file = open(join(createFolder(), 'a.bin'))
    const texts = ['', '\0', '\n', '🚀', '\ufeff', 'a\ud800', '']
    for (const text of texts) file.write(text)
    expect([...file.read()]).toEqual(['', '\0', '\n', '🚀', '\ufeff', 'a\ufffd', ''])
    expect(file.stats()).toMatchObject({ records: 7, dropped: 0 })
  })

  test(`${LARGE_MIB} MiB payloads survive, as text and as bytes`, async () => {
    const file = open(join(createFolder(), 'a.bin'), { maxBytes: '1g' })
    const text = `${'x'.repeat(LARGE_MIB * 1024 * 1024 - 4)}🚀`
    file.write(text)
    file.write(Buffer.from(text))
    let count = 0
    for (const payload of file.read()) {
      expect(payload === text).toBe(true)
      count++
    }
    expect(count).toBe(2)
  })

  test('a ten-line Python program that follows the documented layout reads our files', async (context) => {
    if (spawnSync('python3', ['--version']).status !== 0) context.skip('python3 is not installed')
    const folder = createFolder()
    const texts = Array.from({ length: 200 }, (_, index) => `${index} ${'é🚀\n\0'.repeat(index % 9)}`)
    const file = open(join(folder, 'events.bin'), { maxBytes: 1000 })
    for (const text of texts) file.write(text)
    await file.close()
    const program = `
import glob, json, struct, sys
records = []
backups = sorted(glob.glob(sys.argv[1] + "/events.*.bin"), key=lambda name: int(name.split(".")[-2]))
for name in backups + [sys.argv[1] + "/events.bin"]:
    with open(name, "rb") as file:
        while prefix := file.read(4):
            payload = file.read(struct.unpack(">I", prefix)[0])
            records.append(payload.decode("utf-8"))
print(json.dumps(records))`
    const run = spawnSync('python3', ['-c', program, folder], { encoding: 'utf8' })
    expect(run.stderr).toBe('')
    expect(JSON.parse(run.stdout)).toEqual(texts)
  })

  test('a closed file refuses; a payload beyond u32 is refused; nothing of either is written', async () => {
    const path = join(createFolder(), 'a.bin')
    const file = open(path)
    let huge: Uint8Array | undefined
    try {
      huge = new Uint8Array(2 ** 32)
    } catch {
      // This Node or machine cannot make one; then nobody can write one either.
    }
    if (huge !== undefined) {
      expect(() => file.write(huge)).toThrow(expect.objectContaining({ code: 'ERR_TOO_LARGE' }))
    }
    await file.close()
    expect(() => file.write('x')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    expect(statSync(path).size).toBe(0)
    expect([...file.read()]).toEqual([])
  })

  test('using: leaving the block writes everything and closes', () => {
    const path = join(createFolder(), 'a.bin')
    let outside: BinaryFile
    {
      using file = new BinaryFile({ path, maxBytes: '1m', lock: native.canLock })
      file.write('inside')
      outside = file
    }
    expect(readFileSync(path, 'latin1')).toBe('\0\0\0\x06inside')
    expect(() => outside.write('x')).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
  })

  test.each([
    ['maxBytes', undefined],
    ['maxBytes', 0],
    ['maxBytes', -1],
    ['maxBytes', 'many'],
    ['maxBufferBytes', 0],
    ['compress', 'lzma'],
    ['prefix', 'x']
  ])('option %s = %s is refused', (name, value) => {
    expect(
      () => new BinaryFile({ path: '/nowhere/a.bin', maxBytes: 1, [name]: value } as BinaryFileOptions)
    ).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }))
  })
})

describe('rollover', () => {
  test('after the write that reaches maxBytes, whatever the size of the batch', async () => {
    const folder = createFolder()
    const file = open(join(folder, 'events.bin'), { maxBytes: 100 })
    const payloads = Array.from({ length: 95 }, (_, index) => String(index).padStart(16, '.'))
    for (const payload of payloads) file.write(payload)
    await file.close()
    // 20 bytes each: the fifth makes the file 100 bytes long.
    expect(names(folder)).toEqual(
      ['events.bin', ...Array.from({ length: 19 }, (_, n) => `events.${n}.bin`)].sort()
    )
    for (let number = 0; number < 19; number++)
      expect(statSync(join(folder, `events.${number}.bin`)).size).toBe(100)
    expect(statSync(join(folder, 'events.bin')).size).toBe(0)
    expect([...file.read()]).toEqual(payloads)
    expect(file.stats().rotations).toBe(19)
  })

  test('a record that crosses the limit stays whole in the file it began in', () => {
    const folder = createFolder()
    const file = open(join(folder, 'events.bin'), { maxBytes: 50 })
    for (const length of [40, 500, 1, 46]) file.write('x'.repeat(length))
    file.flushSync()
    expect([0, 1].map((number) => statSync(join(folder, `events.${number}.bin`)).size)).toEqual([
      44 + 504,
      5 + 50
    ])
    expect(statSync(join(folder, 'events.bin')).size).toBe(0)
  })

  test.skipIf(!native.canLock)(
    'numbers grow on after a restart, also when backups were removed',
    async () => {
      const folder = createFolder()
      const path = join(folder, 'events.bin')
      for (let start = 0; start < 3; start++) {
        const file = open(path, { maxBytes: 10 })
        file.write('0123456789')
        await file.close()
      }
      expect(names(folder)).toEqual(['events.0.bin', 'events.1.bin', 'events.2.bin', 'events.bin'])
      for (const name of ['events.1.bin', 'events.2.bin']) rmSync(join(folder, name))
      const file = open(path, { maxBytes: 10 })
      file.write('0123456789')
      await file.close()
      expect(names(folder)).toEqual(['events.0.bin', 'events.3.bin', 'events.bin'])
    }
  )

  test('without any note the number follows the highest in the folder, and nothing is overwritten', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'events.41.bin'), 'old')
    const file = open(join(folder, 'events.bin'), { maxBytes: 10, lock: false })
    writeFileSync(join(folder, 'events.42.bin'), 'foreign')
    file.write('0123456789')
    await file.close()
    expect(names(folder)).toEqual(['events.41.bin', 'events.42.bin', 'events.43.bin', 'events.bin'])
    expect(readFileSync(join(folder, 'events.42.bin'), 'latin1')).toBe('foreign')
  })

  test('a file that is too large already is rolled over before the next record', async () => {
    const folder = createFolder()
    const path = join(folder, 'events.bin')
    const large = open(path)
    for (let index = 0; index < 10; index++) large.write('0123456789')
    await large.close()
    const small = open(path, { maxBytes: 100 })
    small.write('next')
    await small.close()
    expect(statSync(join(folder, 'events.0.bin')).size).toBe(140)
    expect(readFileSync(path, 'latin1')).toBe('\0\0\0\x04next')
  })
})

describe('damage', () => {
  function threeFiles(): { folder: string; path: string } {
    const folder = createFolder()
    const path = join(folder, 'events.bin')
    const file = open(path, { maxBytes: 30 })
    for (const payload of ['a0', 'a1', 'a2', 'a3', 'a4', 'b0', 'b1', 'b2', 'b3', 'b4', 'c0'])
      file.write(payload)
    file.flushSync()
    return { folder, path }
  }

  test('every truncation of a backup: its intact records, then what onCorrupt says', () => {
    const { folder, path } = threeFiles()
    const first = ['a0', 'a1', 'a2', 'a3', 'a4']
    const rest = ['b0', 'b1', 'b2', 'b3', 'b4', 'c0']
    for (let size = 29; size >= 0; size--) {
      truncateSync(join(folder, 'events.0.bin'), size)
      const intact = first.slice(0, Math.floor(size / 6))
      const reader = open(join(folder, 'reader.bin'))
      if (size % 6 === 0) {
        expect([...reader.read(path)]).toEqual([...intact, ...rest])
        continue
      }
      const seen: string[] = []
      expect(() => {
        for (const payload of reader.read(path)) seen.push(payload)
      }).toThrow(expect.objectContaining({ code: 'ERR_CORRUPT', path: join(folder, 'events.0.bin') }))
      expect(seen).toEqual(intact)
      expect([...reader.read(path, { onCorrupt: 'skip-file' })]).toEqual([...intact, ...rest])
      expect([...reader.read(path, { onCorrupt: 'stop' })]).toEqual(intact)
    }
  })

  test('every flipped bit of a file: intact records before it, no crash, no endless loop', () => {
    const { folder, path } = threeFiles()
    const file = join(folder, 'events.0.bin')
    const bytes = readFileSync(file)
    const reader = open(join(folder, 'reader.bin'))
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes)
      damaged[bit >> 3] ^= 1 << (bit & 7)
      writeFileSync(file, damaged)
      const before = Math.floor((bit >> 3) / 6)
      const read = [...reader.read(path, { onCorrupt: 'skip-file' })]
      expect(read.slice(0, before)).toEqual(['a0', 'a1', 'a2', 'a3', 'a4'].slice(0, before))
      expect(read.slice(-6)).toEqual(['b0', 'b1', 'b2', 'b3', 'b4', 'c0'])
    }
  })

  test('an absurd length in a small file costs no memory', () => {
    const path = join(createFolder(), 'a.bin')
    writeFileSync(path, Buffer.from([255, 255, 255, 255, 1, 2, 3]))
    const reader = open(join(createFolder(), 'reader.bin'))
    const before = process.memoryUsage().arrayBuffers
    expect(() => [...reader.read(path)]).toThrow(expect.objectContaining({ code: 'ERR_CORRUPT' }))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000)
  })

  test('a torn end that another program left is rolled over as it is, never cut, never written behind', async () => {
    const folder = createFolder()
    const path = join(folder, 'events.bin')
    const torn = Buffer.concat([
      Buffer.from([0, 0, 0, 2]),
      Buffer.from('ok'),
      Buffer.from([0, 0, 1, 0]),
      Buffer.from('half')
    ])
    writeFileSync(path, torn)
    const file = open(path)
    const warnings: string[] = []
    file.on('warning', ({ code }) => warnings.push(code))
    file.write('next')
    await file.close()
    expect(readFileSync(join(folder, 'events.0.bin'))).toEqual(torn)
    expect([...file.read(path, { onCorrupt: 'skip-file' })]).toEqual(['ok', 'next'])
    expect(warnings).toContain('ERR_CORRUPT')
  })

  test('whole records that another program appended are kept and written behind', async () => {
    const path = join(createFolder(), 'events.bin')
    const file = open(path)
    file.write('ours')
    file.flushSync()
    appendFileSync(path, Buffer.concat([Buffer.from([0, 0, 0, 6]), Buffer.from('theirs')]))
    file.write('again')
    expect([...file.read()]).toEqual(['ours', 'theirs', 'again'])
  })

  test('a file of another kind at the path is refused', () => {
    const folder = createFolder()
    expect(() => open(folder)).toThrow(expect.objectContaining({ code: 'ERR_NOT_FILE' }))
    expect(() => [...open(join(folder, 'reader.bin')).read(join(folder, 'missing.bin'))]).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_FOUND' })
    )
  })

  test('a backup that cannot be read is reported, not silently skipped', () => {
    const { folder, path } = threeFiles()
    const unreadable = join(folder, 'events.0.bin')
    const disk = {
      ...realDisk,
      open(file: string, flags: number, mode: number): number {
        if (file === unreadable)
          throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
        return realDisk.open(file, flags, mode)
      }
    }
    chmodSync(unreadable, 0)
    const reader = open(join(folder, 'reader.bin'), {}, { disk })
    const warnings: { code: string; path: string }[] = []
    reader.on('warning', (event) => warnings.push(event))
    expect(() => [...reader.read(path)]).toThrow(
      expect.objectContaining({ code: 'ERR_IO', path: unreadable })
    )
    expect([...reader.read(path, { onCorrupt: 'skip-file' })]).toEqual(['b0', 'b1', 'b2', 'b3', 'b4', 'c0'])
    return expect
      .poll(() => warnings)
      .toEqual([expect.objectContaining({ code: 'ERR_IO', path: unreadable })])
  })
})

describe('failures', () => {
  test('a failed sync seals the file; the records are in the next one, and numbered on', async () => {
    const folder = createFolder()
    const path = join(folder, 'events.bin')
    let fail = true
    const disk = {
      ...realDisk,
      async fdatasyncAsync(fd: number): Promise<void> {
        if (fail) {
          fail = false
          throw Object.assign(new Error('EIO: sync'), { code: 'EIO' })
        }
        await realDisk.fdatasyncAsync(fd)
      }
    }
    const file = open(path, { durability: 'disk' }, { disk })
    file.write('precious')
    await file.flush()
    expect(existsSync(join(folder, 'events.0.bin'))).toBe(true)
    expect(readFileSync(path, 'latin1')).toBe('\0\0\0\x08precious')
  })

  test('a disk that takes only part of a write: the records are whole and there once', async () => {
    const path = join(createFolder(), 'events.bin')
    let calls = 0
    const disk = {
      ...realDisk,
      write(fd: number, buffer: Uint8Array, offset: number, length: number, position: number | null): number {
        if (position !== null) return realDisk.write(fd, buffer, offset, length, position)
        if (++calls % 3 === 0 && calls < 30)
          throw Object.assign(new Error('ENOSPC: full'), { code: 'ENOSPC' })
        return realDisk.write(fd, buffer, offset, calls < 60 ? Math.max(1, length >> 1) : length, position)
      }
    }
    const file = open(path, { maxBytes: 5000 }, { disk })
    const payloads = Array.from({ length: 300 }, (_, index) => `${index}${'x'.repeat(index % 70)}`)
    for (const payload of payloads) file.write(payload)
    await file.close()
    expect([...file.read()]).toEqual(payloads)
  })
})
