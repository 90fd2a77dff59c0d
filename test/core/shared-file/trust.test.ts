// Whom a shared file trusts: what lies at the names it uses may have been put there by others.
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { emptyLockState, encodeLockState, lockFileBytes } from '../../../src/formats/lock-file.ts'
import { native } from '../../../src/native/index.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'

const NOBODY = 65_534
const isRoot = process.geteuid?.() === 0
const foreign = 'somebody else needs this. '.repeat(20)
const kinds = {
  'rotating-file': (path: string, more: object = {}) =>
    new RotatingFile({ path, lock: native.canLock, fallback: false, ...more }),
  'binary-file': (path: string, more: object = {}) =>
    new BinaryFile({ path, maxBytes: 1_000, lock: native.canLock, fallback: false, ...more })
}

describe.each(Object.entries(kinds))('%s', (_kind, create) => {
  test
    .runIf(native.canLock)
    .each(['a hard link', 'a foreign file', 'a file that begins almost as one of ours'])(
    '%s in place of the lock file is refused and left alone',
    (plant) => {
      const folder = createFolder()
      const victim = join(folder, 'victim')
      const lock = join(folder, '.app.log.lock')
      const content = plant.startsWith('a file') ? `LBLOCK2\n${foreign}` : foreign
      writeFileSync(plant === 'a hard link' ? victim : lock, content)
      if (plant === 'a hard link') linkSync(victim, lock)
      expect(() => create(join(folder, 'app.log'))).toThrow(expect.objectContaining({ code: 'ERR_NOT_FILE' }))
      expect(readFileSync(lock, 'utf8')).toBe(content)
    }
  )

  test.runIf(native.canLock)('a hard link to a lock file of ours is refused, too: it is another log', () => {
    const folder = createFolder()
    const state = Buffer.alloc(lockFileBytes)
    encodeLockState(emptyLockState(), state)
    writeFileSync(join(folder, 'other.lock'), state)
    linkSync(join(folder, 'other.lock'), join(folder, '.app.log.lock'))
    expect(() => create(join(folder, 'app.log'))).toThrow(expect.objectContaining({ code: 'ERR_NOT_FILE' }))
  })

  test.runIf(isRoot).each(['app.log', '.app.log.lock'])(
    'a planted %s of another user is refused, and used where that is allowed',
    async (name) => {
      if (name !== 'app.log' && !native.canLock) return
      const folder = createFolder()
      chmodSync(folder, 0o1777)
      writeFileSync(join(folder, name), '')
      chmodSync(join(folder, name), 0o666)
      chownSync(join(folder, name), NOBODY, NOBODY)
      const path = join(folder, 'app.log')
      expect(() => create(path)).toThrow(expect.objectContaining({ code: 'ERR_OWNER' }))
      expect(readFileSync(join(folder, name), 'utf8')).toBe('')
      const file = create(path, { foreignOwner: 'allow' })
      file.write('shared on purpose\n')
      await file.close()
      expect(readFileSync(path, 'latin1')).toContain('shared on purpose')
    }
  )

  test.runIf(isRoot && native.canLock)(
    'a file of another user that comes later is refused, too',
    async () => {
      const folder = createFolder()
      const path = join(folder, 'app.log')
      const file = create(path)
      file.write('first\n')
      await file.flush()
      renameSync(path, join(folder, 'moved'))
      writeFileSync(path, '')
      chownSync(path, NOBODY, NOBODY)
      file.write('secret\n')
      expect(() => file.flushSync()).toThrow('ERR_OWNER')
      expect(statSync(path).size).toBe(0)
      rmSync(path)
      await file.close()
      expect(readFileSync(path, 'latin1')).toContain('secret')
    }
  )

  test('the probe of a disk whose sync failed is written to nobody else`s file', async () => {
    const folder = createFolder()
    const probe = join(folder, '.app.log.probe')
    writeFileSync(probe, foreign)
    const faulty = createFaultyDisk()
    let failures = 0
    faulty.fault = (operation) => (operation.startsWith('fdatasync') && failures++ < 3 ? 'EIO' : undefined)
    const file = withInternals({ disk: faulty.disk }, () =>
      create(join(folder, 'app.log'), { durability: 'disk' })
    )
    file.write('line\n')
    await file.flush()
    await file.close()
    expect(readFileSync(probe, 'utf8')).toBe(foreign)
    expect(readdirSync(folder).filter((name) => name.endsWith('.probe'))).toEqual(['.app.log.probe'])
  })

  test.runIf(native.canLock)('a lock file of ours that is open to others is made private', async () => {
    const folder = createFolder()
    const lock = join(folder, '.app.log.lock')
    writeFileSync(lock, '')
    chmodSync(lock, 0o666)
    await create(join(folder, 'app.log')).close()
    expect(statSync(lock).mode & 0o777).toBe(0o600)
  })

  test.runIf(native.canLock)(
    'numbers in a lock file that no name can hold are as if it were empty',
    async () => {
      const folder = createFolder()
      const path = join(folder, 'app.log')
      const file = create(path, { maxBytes: 50 })
      file.write(`${'x'.repeat(60)}\n`)
      await file.close()
      const lock = join(folder, '.app.log.lock')
      const state = readFileSync(lock)
      state.writeBigUInt64LE(1n << 60n, 48)
      state.writeUInt32LE(0xffff_ffff, 56)
      state.writeUInt32LE(native.crc32c(state, 0, 0, 60), 60)
      writeFileSync(lock, state)
      const next = create(path, { maxBytes: 50 })
      for (let i = 0; i < 5; i++) next.write(`${String(i).repeat(60)}\n`)
      await next.flush()
      await next.close()
      expect(next.stats()).toMatchObject({ dropped: 0, errors: 0 })
      expect(next.stats().rotations).toBeGreaterThan(0)
    }
  )
})

test.runIf(native.canLock)(
  'an announced write of gigabytes costs no memory for what is not there',
  async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const file = new RotatingFile({ path, maxBytes: 0, fallback: false })
    file.write('whole\n')
    await file.close()
    truncateSync(path, 3 * 1024 ** 3)
    const { dev, ino } = statSync(path, { bigint: true })
    const state = Buffer.alloc(lockFileBytes)
    encodeLockState(
      { ...emptyLockState(), writing: true, pid: 1, dev, ino, offset: 6, length: 7 * 1024 ** 3 },
      state
    )
    writeFileSync(join(folder, '.app.log.lock'), state)
    const before = process.memoryUsage.rss()
    const next = new RotatingFile({ path, maxBytes: 0, fallback: false })
    next.write('next\n')
    await next.close()
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 ** 2)
    expect(readFileSync(path, 'utf8')).toBe('whole\nnext\n')
    expect(next.stats().repairs).toBe(1)
  }
)

test.each(['events.20251127093000.bin', 'events.999999999.bin', 'events.999999998.bin'])(
  '%s beside a binary file does not keep it from rolling over',
  async (name) => {
    const folder = createFolder()
    writeFileSync(join(folder, name), '')
    const file = new BinaryFile({
      path: join(folder, 'events.bin'),
      maxBytes: 50,
      lock: native.canLock,
      fallback: false
    })
    for (let i = 0; i < 10; i++) {
      file.write(`record ${i} ${'x'.repeat(30)}`)
      await file.flush()
    }
    await file.close()
    expect(file.stats()).toMatchObject({ records: 10, dropped: 0, errors: 0 })
  }
)

test('a backup at the end of all times and numbers does not keep a file from being rotated', async () => {
  const folder = createFolder()
  writeFileSync(join(folder, 'app.log.99991231-235959.999999999'), '')
  const path = join(folder, 'app.log')
  const file = new RotatingFile({ path, maxBytes: 20, lock: native.canLock, fallback: false })
  for (let i = 0; i < 5; i++) {
    file.write(`line ${i} 0123456789\n`)
    await file.flush()
  }
  await file.close()
  expect(file.stats()).toMatchObject({ records: 5, dropped: 0, errors: 0, rotations: 4 })
})

test('without mkdir nothing is made, and the folder may come later', async () => {
  const folder = join(createFolder(), 'later')
  const path = join(folder, 'app.log')
  const file = new RotatingFile({ path, mkdir: false, lock: native.canLock, fallback: false })
  file.write('line\n')
  expect(existsSync(folder)).toBe(false)
  mkdirSync(folder)
  await file.flush()
  await file.close()
  expect(readFileSync(path, 'utf8')).toBe('line\n')
})

test('a log that is linked to a stream is refused with the way to write to streams', () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  symlinkSync('/dev/stdout', join(folder, 'out'))
  symlinkSync('out', path)
  expect(() => new RotatingFile({ path })).toThrow(/ERR_SYMLINK/)
  expect(() => new RotatingFile({ path })).toThrow(/'pino\/file' or winston's Console/)
  rmSync(join(folder, 'out'))
  symlinkSync('app.log', join(folder, 'out'))
  expect(() => new RotatingFile({ path })).toThrow(
    /is a symbolic link, which is never followed \[ERR_SYMLINK\]/
  )
})
