// A log knows who it is, and a position in one log is not taken for one in another at its path.
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { readRecords } from '../../../src/readers/read-records.ts'
import { runCli } from '../../helpers/cli.ts'
import { createFolder } from '../../helpers/folder.ts'

const version1 = join(import.meta.dirname, '../../fixtures/version-0.1.0/wal')

async function write(walDir: string, ...batches: string[][]): Promise<void> {
  const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096, fallback: false })
  for (const batch of batches) await log.log(batch)
  await log.close()
}

async function read(
  path: string,
  from: string | 'start' = 'start'
): Promise<{ texts: string[]; cursors: string[] }> {
  const texts: string[] = []
  const cursors: string[] = []
  for await (const { data, cursor } of readRecords(path, { from })) {
    texts.push(String(data))
    cursors.push(cursor as string)
  }
  return { texts, cursors }
}

const identityOf = (walDir: string) => readFileSync(join(walDir, '.identity'), 'utf8')

test('a log gets an identity when it is made, keeps it, and info shows it', async () => {
  const folder = createFolder()
  const walDir = join(folder, 'wal')
  await write(walDir, ['a'])
  const identity = identityOf(walDir)
  expect(identity).toMatch(/^logboom-wal:1:[0-9a-f]{32}\n$/)
  await write(walDir, ['b'])
  expect(identityOf(walDir)).toBe(identity)
  await write(join(folder, 'other'), ['a'])
  expect(identityOf(join(folder, 'other'))).not.toBe(identity)
  const { stdout } = await runCli(['info', walDir])
  expect(stdout).toContain(identity.trim().slice('logboom-wal:1:'.length))
})

test('a log of version 0.1.0 gets one when it is opened', async () => {
  const walDir = join(createFolder(), 'wal')
  cpSync(version1, walDir, { recursive: true })
  const found = readdirSync(walDir).includes('wal') ? join(walDir, 'wal') : walDir
  expect(existsSync(join(found, '.identity'))).toBe(false)
  const before = (await read(found)).texts
  await write(found, ['more'])
  expect(identityOf(found)).toMatch(/^logboom-wal:1:/)
  expect((await read(found)).texts).toEqual([...before, 'more'])
})

test.each(['', '\0'.repeat(47), 'logboom-wal:1:0123'])(
  'what a power cut leaves of it (%j) is made anew',
  async (rest) => {
    const walDir = join(createFolder(), 'wal')
    await write(walDir, ['a'])
    writeFileSync(join(walDir, '.identity'), rest)
    await write(walDir, ['b'])
    expect(identityOf(walDir)).toMatch(/^logboom-wal:1:[0-9a-f]{32}\n$/)
  }
)

test.each([
  'a file of somebody else that is longer than an identity could ever be',
  'a short one',
  'one of exactly the length of ours: 12345678901',
  '\0\0\0 and more'
])('something of somebody else in its place (%j) is left alone, and the log works without', async (other) => {
  const walDir = join(createFolder(), 'wal')
  await write(walDir, ['a'])
  writeFileSync(join(walDir, '.identity'), other)
  await write(walDir, ['b'])
  expect(readFileSync(join(walDir, '.identity'), 'utf8')).toBe(other)
  const { texts, cursors } = await read(walDir)
  expect(texts).toEqual(['a', 'b'])
  expect((await read(walDir, cursors[0])).texts).toEqual(['b'])
})

test('a folder that was taken away from a running log is put back with the same identity', async () => {
  const folder = createFolder()
  const walDir = join(folder, 'wal')
  const log = await WriteAheadLog.open({ walDir, fallback: false })
  await log.log(['a'])
  const identity = identityOf(walDir)
  renameSync(walDir, join(folder, 'away'))
  await expect
    .poll(async () => {
      await log.log(['b'])
      return existsSync(join(walDir, '.identity'))
    })
    .toBe(true)
  await log.close()
  expect(identityOf(walDir)).toBe(identity)
})

test('a cursor goes on in a copy of its log, and not in another log whose entries are the same', async () => {
  const folder = createFolder()
  const walDir = join(folder, 'wal')
  await write(walDir, ['a'], ['b'], ['c'])
  const { cursors } = await read(walDir)
  mkdirCopy(walDir, join(folder, 'copy', 'wal'))
  expect((await read(join(folder, 'copy', 'wal'), cursors[0])).texts).toEqual(['b', 'c'])
  rmSync(walDir, { recursive: true })
  await write(walDir, ['a'], ['b'], ['c'])
  await expect(read(walDir, cursors[0])).rejects.toThrow(/another log.*ERR_CURSOR_LOST/)
  // One of a version without identities says nothing of it.
  const old = cursors[0].replace(/:%3D[0-9a-f]{32}:/, ':%3D:')
  expect(old).not.toBe(cursors[0])
  expect((await read(walDir, old)).texts).toEqual(['b', 'c'])
})

test('a log that was put back to an older state and went on from there is noticed by a cursor that was ahead', async () => {
  const folder = createFolder()
  const walDir = join(folder, 'wal')
  await write(walDir, ['a'], ['b'])
  mkdirCopy(walDir, join(folder, 'backup'))
  await write(walDir, ['c'], ['d'])
  const { cursors } = await read(walDir)
  rmSync(walDir, { recursive: true })
  mkdirCopy(join(folder, 'backup'), walDir)
  await expect(read(walDir, cursors[3])).rejects.toThrow(
    /the last one here is 2.*older copy.*ERR_CURSOR_LOST/
  )
  await write(walDir, ['other c'], ['other d'])
  await expect(read(walDir, cursors[3])).rejects.toThrow(/entry 4 is another one.*ERR_CURSOR_LOST/)
  expect((await read(walDir, cursors[1])).texts).toEqual(['other c', 'other d'])
})

function mkdirCopy(from: string, to: string): void {
  cpSync(from, to, { recursive: true })
}
