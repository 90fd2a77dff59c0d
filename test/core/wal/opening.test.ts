// Opening a log: what is refused, what lies in the way, and what must be on disk first.
import {
  chownSync,
  constants,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { encodeSnapshotFile, snapshotName } from '../../../src/formats/snapshot-file.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { segmentsOf, writeLog } from '../../helpers/wal-damage.ts'
import { readLog } from '../../helpers/wal-log.ts'

async function openLog(options: WriteAheadLogOptions): Promise<WriteAheadLog> {
  const log = await WriteAheadLog.open({ fallback: false, ...options })
  onTestFinished(() => log.close().catch(() => {}))
  return log
}

describe('the lock file', () => {
  const content = 'somebody else needs this. '.repeat(20)

  it.each(['a hard link', 'a foreign file', 'a short foreign file', 'a folder', 'a symbolic link'])(
    '%s in its place is refused and left as it is',
    async (what) => {
      const folder = createFolder()
      const walDir = join(folder, 'wal')
      const victim = join(folder, 'victim')
      const lock = join(walDir, '.lock')
      mkdirSync(walDir)
      const text = what === 'a short foreign file' ? '1234\n' : content
      writeFileSync(victim, text)
      if (what === 'a hard link') linkSync(victim, lock)
      else if (what === 'a folder') mkdirSync(lock)
      else if (what === 'a symbolic link') symlinkSync(victim, lock)
      else writeFileSync(lock, text)
      const code = what === 'a symbolic link' ? 'ERR_SYMLINK' : 'ERR_NOT_FILE'
      await expect(
        WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })
      ).rejects.toMatchObject({ code })
      await expect(
        new WriteAheadLog({ walDir, segmentBytes: 65_536, fallback: false }).repair()
      ).rejects.toMatchObject({ code })
      expect(readFileSync(victim, 'utf8')).toBe(text)
      if (what.endsWith('file')) expect(readFileSync(lock, 'utf8')).toBe(text)
    }
  )

  it.each([
    '',
    '12',
    '9999999 some',
    '9999999 some.host\n',
    '9999999 some.host\n\n\n',
    '9999999 some.host\n0000000',
    '\n',
    '\0'.repeat(20)
  ])('what a writer has left there, %j, is in nobody’s way', async (text) => {
    const walDir = join(createFolder(), 'wal')
    mkdirSync(walDir)
    writeFileSync(join(walDir, '.lock'), text)
    await (await openLog({ walDir })).close()
    await (await openLog({ walDir })).close()
  })

  it('is signed on a full disk and by short writes', async () => {
    const faulty = createFaultyDisk()
    const walDir = join(createFolder(), 'wal')
    await writeLog({ walDir, segmentBytes: 65_536, fallback: false }, ['a'])
    let writes = 0
    faulty.fault = (operation) => (operation === 'write' && writes++ === 0 ? 'SHORT' : undefined)
    const log = await withInternals({ disk: faulty.disk }, () => openLog({ walDir }))
    expect(readFileSync(join(walDir, '.lock'), 'utf8')).toMatch(
      new RegExp(`^${process.pid} \\S+\\n[0-9a-f-]+\\.wal\\n$`)
    )
    await log.close()
  })
})

describe('things of others in the way', () => {
  it('a sub-folder in the temporary folder, or a file in its place, does not keep a log from being made', async () => {
    for (const prepare of [
      (path: string) => mkdirSync(join(path, 'sub'), { recursive: true }),
      (path: string) => writeFileSync(path, 'a file'),
      (path: string) => {
        mkdirSync(path)
        writeFileSync(join(path, 'notes.txt'), 'of somebody else')
      }
    ]) {
      const folder = createFolder()
      const walDir = join(folder, 'wal')
      prepare(`${walDir}.tmp`)
      const log = await openLog({ walDir })
      await log.log(['a'])
      expect(readLog(walDir).entries.length).toBe(1)
      // Without kernel locks a hidden folder says who has the log.
      const names = readdirSync(folder).filter((name) => !name.startsWith('.'))
      expect(names.toSorted()).toEqual(['wal', 'wal.tmp'])
    }
  })

  it('a folder called 0.tmp in the log’s folder or that of its snapshots is left alone', async () => {
    const folder = createFolder()
    const walDir = join(folder, 'wal')
    mkdirSync(join(walDir, '0.tmp', 'sub'), { recursive: true })
    mkdirSync(join(folder, 'snap', '0.tmp'), { recursive: true })
    const log = await openLog({ walDir, segmentBytes: 4096 })
    for (let i = 0; i < 30; i++) await log.log(['x'.repeat(400)])
    await (await log.createSnapshot())!.release()
    await log.close()
    expect(readdirSync(walDir)).toContain('0.tmp')
    expect((await openLog({ walDir })).snapshotIndex).toBe(30n)
  })

  it('what a writer that died left unfinished is used or removed', async () => {
    const walDir = join(createFolder(), 'wal')
    mkdirSync(`${walDir}.tmp`)
    writeFileSync(join(`${walDir}.tmp`, '0.tmp'), 'half a segment')
    writeFileSync(join(`${walDir}.tmp`, '.lock'), '9999999 host\n')
    const log = await openLog({ walDir })
    await log.close()
    writeFileSync(join(walDir, '3.tmp'), 'left')
    const again = await openLog({ walDir })
    await again.close()
    expect(readdirSync(walDir).toSorted()).toEqual([
      '.identity',
      '.lock',
      segmentsOf(walDir)[0].slice(walDir.length + 1)
    ])
  })
})

it('the folder of the log and the one above are synced before anything is acknowledged', async () => {
  const folder = createFolder()
  for (const prepare of ['nothing', 'a log', 'an empty folder']) {
    const faulty = createFaultyDisk()
    const walDir = join(folder, prepare.replaceAll(' ', '-'), 'wal')
    if (prepare === 'a log') await writeLog({ walDir, segmentBytes: 65_536, fallback: false }, ['a'])
    if (prepare === 'an empty folder') mkdirSync(walDir, { recursive: true })
    const names = new Map<number, string>()
    const synced: string[] = []
    const disk = {
      ...faulty.disk,
      open: (path: string, flags: number, mode: number) => {
        const fd = faulty.disk.open(path, flags, mode)
        names.set(fd, path)
        return fd
      },
      fsync: (fd: number) => {
        synced.push(names.get(fd) ?? '')
        faulty.disk.fsync(fd)
      }
    }
    const log = await withInternals({ disk }, () => openLog({ walDir }))
    const expected = prepare === 'nothing' ? `${walDir}.tmp` : walDir
    expect(synced, prepare).toContain(expected)
    expect(synced, prepare).toContain(join(walDir, '..'))
    await log.close()
  }
})

it('a folder above that cannot be listed is no reason to refuse a log', async () => {
  const faulty = createFaultyDisk()
  const folder = createFolder()
  const walDir = join(folder, 'wal')
  faulty.fault = (operation, _, [path]) => (operation === 'open' && path === folder ? 'EACCES' : undefined)
  const log = await withInternals({ disk: faulty.disk }, () => openLog({ walDir }))
  await log.log(['a'])
  await log.close()
  const again = await withInternals({ disk: faulty.disk }, () => openLog({ walDir }))
  expect(again.lastIndex).toBe(1n)
})

it('a file system that cannot sync folders is no reason to refuse a log', async () => {
  const faulty = createFaultyDisk()
  const walDir = join(createFolder(), 'wal')
  const folders = new Set<number>()
  const disk = {
    ...faulty.disk,
    open: (path: string, flags: number, mode: number) => {
      const fd = faulty.disk.open(path, flags, mode)
      if ((flags & constants.O_DIRECTORY) !== 0) folders.add(fd)
      else folders.delete(fd)
      return fd
    },
    fsync: (fd: number) => {
      if (folders.has(fd)) throw Object.assign(new Error('EINVAL: no sync of folders'), { code: 'EINVAL' })
      faulty.disk.fsync(fd)
    }
  }
  const log = await withInternals({ disk }, () => openLog({ walDir, segmentBytes: 4096 }))
  for (let i = 0; i < 30; i++) await log.log(['x'.repeat(400)])
  await (await log.createSnapshot())!.release()
  expect(folders.size).toBeGreaterThan(0)
  expect(log.stats()).toMatchObject({ errors: 0, state: 'open' })
})

it('a name that leaves no room for what is put behind it is refused at once', () => {
  const folder = createFolder()
  for (const length of [251, 252, 255, 300]) {
    expect(() => new WriteAheadLog({ walDir: join(folder, 'n'.repeat(length)) })).toThrow(/ERR_OPTION/)
    expect(
      () => new WriteAheadLog({ walDir: join(folder, 'wal'), snapDir: join(folder, 's'.repeat(length)) })
    ).toThrow(/ERR_OPTION/)
  }
  expect(() => new WriteAheadLog({ walDir: `/${'deep/'.repeat(820)}wal` })).toThrow(/ERR_OPTION/)
})

it('the longest name that is taken works through rotation, release and repair', async () => {
  const walDir = join(createFolder(), 'n'.repeat(250))
  const log = await openLog({ walDir, segmentBytes: 4096 })
  for (let i = 0; i < 30; i++) await log.log(['x'.repeat(400)])
  await (await log.createSnapshot())!.release()
  await log.close()
  rmSync(segmentsOf(walDir).at(-1)!)
  expect(await new WriteAheadLog({ walDir }).verify()).toMatchObject({ ok: false })
  await new WriteAheadLog({ walDir, segmentBytes: 65_536, fallback: false }).repair()
  expect((await openLog({ walDir })).lastIndex).toBe(30n)
})

it('what lies in the place of a segment and is no file is refused with a code, by verify as well', async () => {
  const walDir = join(createFolder(), 'wal')
  await writeLog({ walDir, segmentBytes: 4096, fallback: false }, Array(20).fill('x'.repeat(400)))
  const path = segmentsOf(walDir)[1]
  const content = readFileSync(path)
  for (const [place, code] of [
    [() => mkdirSync(path), 'ERR_NOT_FILE'],
    [() => symlinkSync('/dev/zero', path), 'ERR_SYMLINK']
  ] as const) {
    rmSync(path, { recursive: true })
    place()
    await expect(WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })).rejects.toMatchObject(
      { code }
    )
    await expect(new WriteAheadLog({ walDir }).verify()).rejects.toMatchObject({ code })
  }
  rmSync(path)
  writeFileSync(path, content)
  await openLog({ walDir })
})

describe('a log whose newest segment is gone', () => {
  it.each(['the last one of several', 'the only one', 'the last two'])(
    '%s: is refused with ERR_CORRUPT, verify says so, and repair makes it go on',
    async (what) => {
      const walDir = join(createFolder(), 'wal')
      const options = { walDir, segmentBytes: 4096, fallback: false as const }
      const texts = what === 'the only one' ? ['a'] : Array.from({ length: 40 }, () => 'x'.repeat(300))
      await writeLog(options, texts)
      const segments = segmentsOf(walDir)
      const gone = segments.slice(what === 'the last two' ? -2 : -1)
      for (const path of gone) rmSync(path)
      for (let attempt = 0; attempt < 2; attempt++) {
        await expect(WriteAheadLog.open(options)).rejects.toMatchObject({
          code: 'ERR_CORRUPT',
          path: gone.at(-1)
        })
      }
      const log = new WriteAheadLog(options)
      const { ok, damage } = await log.verify()
      expect({ ok, files: damage.map(({ file }) => file) }).toEqual({
        ok: false,
        files: [basename(gone.at(-1)!)]
      })
      const repaired = await log.repair()
      expect(repaired.map(({ path }) => path)).toEqual(segments.slice(0, -gone.length).slice(-1))
      expect((await log.verify()).ok).toBe(true)
      await log.log(['goes on'])
      await log.close()
      expect(readLog(walDir).entries.at(-1)?.text).toBe('goes on')
    }
  )

  it('is no matter where the folder is an older copy with its own lock file, or has none', async () => {
    const folder = createFolder()
    const walDir = join(folder, 'wal')
    const options = { walDir, segmentBytes: 4096, fallback: false as const }
    await writeLog(options, ['a'])
    cpSync(walDir, join(folder, 'older'), { recursive: true })
    await writeLog(
      options,
      Array.from({ length: 40 }, () => 'x'.repeat(300))
    )
    expect((await openLog({ walDir: join(folder, 'older') })).lastIndex).toBe(1n)
    rmSync(segmentsOf(walDir).at(-1)!)
    rmSync(join(walDir, '.lock'))
    await openLog(options)
  })
})

describe.skipIf(process.getuid?.() !== 0)('files of another user', () => {
  it('a snapshot file is not believed, which a warning says, unless that is wanted', async () => {
    const folder = createFolder()
    const options = { walDir: join(folder, 'wal'), fallback: false as const }
    await writeLog(options, ['a'])
    const snapshot = { index: 1_000n, term: 1n }
    const path = join(folder, 'snap', snapshotName(snapshot))
    mkdirSync(join(folder, 'snap'), { recursive: true })
    writeFileSync(path, encodeSnapshotFile(snapshot))
    chownSync(path, 12345, 12345)
    const log = new WriteAheadLog(options)
    const warnings: unknown[] = []
    log.on('warning', ({ code, path: about }) => warnings.push([code, about]))
    await log.start()
    expect(log.lastIndex).toBe(1n)
    expect((await log.verify()).ok).toBe(true)
    await log.close()
    expect(warnings).toEqual([['ERR_OWNER', path]])
    await expect(WriteAheadLog.open({ ...options, foreignOwner: 'allow' })).rejects.toMatchObject({
      code: 'ERR_CORRUPT'
    })
  })

  it.each(['.lock', 'the last segment'])(
    '%s is refused with ERR_OWNER, unless that is wanted',
    async (what) => {
      const walDir = join(createFolder(), 'wal')
      await writeLog({ walDir, segmentBytes: 65_536, fallback: false }, ['a'])
      const path = what === '.lock' ? join(walDir, '.lock') : segmentsOf(walDir)[0]
      chownSync(path, 12345, 12345)
      const before = readFileSync(path)
      await expect(
        WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })
      ).rejects.toMatchObject({
        code: 'ERR_OWNER'
      })
      expect(readFileSync(path).equals(before)).toBe(true)
      expect((await openLog({ walDir, foreignOwner: 'allow' })).lastIndex).toBe(1n)
    }
  )
})
