// `from: { last: n }` and `tail -n` over damage, in every format: what is not returned is reported.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { encodeRecord, maxRecordBytes } from '../../src/formats/binary-file.ts'
import { publishedName } from '../../src/formats/spool.ts'
import { runCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'

const LONG = 'x'.repeat(2_000)

function frames(...texts: string[]): Buffer {
  const bytes = Buffer.alloc(texts.reduce((sum, text) => sum + maxRecordBytes(text), 0))
  let at = 0
  for (const text of texts) at = encodeRecord(bytes, at, text)
  return bytes.subarray(0, at)
}

test('a record that is too long is reported and hides none of the last ones, live or finished', async () => {
  const folder = createFolder()
  const logs: Record<string, Buffer> = {
    'a.bin': frames(LONG, 'two', 'three'),
    'b.log.20260101-000000.0.gz': gzipSync(`${LONG}\ntwo\nthree\n`),
    'c.0.bin.gz': gzipSync(frames(LONG, 'two', 'three'))
  }
  for (const [name, bytes] of Object.entries(logs)) {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    const options = { maxRecordBytes: 1_000, onCorrupt: 'skip-file' } as const
    for (const last of [3, 10]) {
      const { lines, stats } = await collect(path, { ...options, from: { last } })
      expect([lines, stats.damage.length], `${name}, last ${last}`).toEqual([['two', 'three'], 1])
    }
    expect((await collect(path, { ...options, from: { last: 1 } })).lines).toEqual(['three'])
  }
})

test('a torn backup is reported when the last records reach into it', async () => {
  const folder = createFolder()
  writeFileSync(join(folder, 'a.0.bin'), frames('one', 'two', 'three').subarray(0, -2))
  const path = join(folder, 'a.bin')
  writeFileSync(path, frames('four'))
  const damagesOf = async (last: number) => {
    const { lines, stats } = await collect(path, { from: { last }, onCorrupt: 'skip-file' })
    return [lines.join(), stats.damage.length]
  }
  expect(await damagesOf(1)).toEqual(['four', 0])
  expect(await damagesOf(2)).toEqual(['two,four', 1])
  expect(await damagesOf(9)).toEqual(['one,two,four', 1])
  expect(await runCli(['tail', path])).toMatchObject({ stdout: 'one\ntwo\nfour\n', code: 2 })
})

test('a backup that does not end with a line end has a last record all the same', async () => {
  const folder = createFolder()
  const path = join(folder, 'a.log')
  writeFileSync(`${path}.20260101-000000.0`, 'one\ntwo')
  writeFileSync(`${path}.20260101-000001.0.gz`, gzipSync('three\nfour'))
  for (const last of [1, 2, 3, 4]) {
    const { lines } = await collect(path, { from: { last } })
    expect(lines).toEqual(['one', 'two', 'three', 'four'].slice(-last))
  }
  writeFileSync(path, 'five\nnot yet')
  expect((await collect(path, { from: { last: 2 } })).lines).toEqual(['four', 'five'])
})

test('counting the lines of a spool is not ended by damage in it', async () => {
  const folder = join(createFolder(), 'spool')
  mkdirSync(folder)
  writeFileSync(join(folder, publishedName('app-1', 1_700_000_000_000_000_000n)), `one\n${LONG}\ntwo\n`)
  writeFileSync(join(folder, publishedName('app-1', 1_700_000_000_000_000_001n)), 'three\n')
  const options = { maxRecordBytes: 1_000, from: { last: 2 } } as const
  const { lines, error } = await collect(folder, { ...options, onCorrupt: 'skip-file' })
  expect([lines, error]).toEqual([['two', 'three'], undefined])
})
