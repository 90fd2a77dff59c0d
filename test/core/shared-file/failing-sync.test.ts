// Syncs that fail, folders that cannot be synced, locks that cannot be freed: what each of them may cost.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { lockStateBytes } from '../../../src/formats/lock-file.ts'
import { native } from '../../../src/native/index.ts'
import { createFaultyDisk, type Fault } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { collect } from '../../helpers/read.ts'
import { until } from '../../helpers/until.ts'

const lock = native.canLock
const kinds = {
  'rotating-file': (path: string, more: object = {}) =>
    new RotatingFile({
      path,
      durability: 'disk',
      maxBackups: 3,
      lock,
      fallback: false,
      maxBytes: 300,
      ...more
    }),
  'binary-file': (path: string, more: object = {}) =>
    new BinaryFile({ path, durability: 'disk', maxBackups: 3, lock, fallback: false, maxBytes: 300, ...more })
}
const record = (id: number | string): string => `${JSON.stringify({ id, pad: 'x'.repeat(40) })}\n`

async function ids(path: string, kind: string): Promise<string[]> {
  const format = kind === 'binary-file' ? 'binary-file' : 'text'
  const { lines } = await collect(path, { format })
  return lines.map((text) => String(JSON.parse(text).id))
}

describe.each(Object.entries(kinds))('%s', (kind, create) => {
  test('nothing is acknowledged before the name of a file that was found is on disk', async () => {
    const path = join(createFolder(), 'app.log')
    // Its writer promised less, or died before it had synced the folder.
    const first = create(path, { durability: 'os' })
    first.write(record('first'))
    await first.close()
    const faulty = createFaultyDisk()
    let failing = true
    faulty.fault = (operation) => (failing && /^fsync/.test(operation) ? 'EIO' : undefined)
    const file = withInternals({ disk: faulty.disk }, () => create(path))
    file.write(record('second'))
    let isAcknowledged = false
    const flushed = file.flush().then(() => {
      isAcknowledged = true
    })
    await until(() => file.stats().errors >= 2, { what: 'two syncs that failed' })
    expect(isAcknowledged).toBe(false)
    failing = false
    await flushed
    await file.close()
    expect(await ids(path, kind)).toEqual(['first', 'second'])
  })

  test.each(['EIO', 'ENOSPC'] as Fault[])(
    'while every sync fails with %s nothing acknowledged is removed, and the waiting record is not multiplied',
    async (fault) => {
      const faulty = createFaultyDisk()
      const path = join(createFolder(), 'app.log')
      const file = withInternals({ disk: faulty.disk }, () => create(path))
      const events: string[] = []
      for (const name of ['degraded', 'recovered'] as const) file.on(name, () => events.push(name))
      for (let i = 0; i < 12; i++) file.write(record(i))
      await file.flush()
      await until(
        () =>
          readdirSync(join(path, '..')).filter((name) => name.includes('.') && name !== 'app.log').length > 0
      )
      const before = new Set(await ids(path, kind))
      let failing = true
      faulty.fault = (operation) => (failing && /^(fdatasync|fsync)/.test(operation) ? fault : undefined)
      file.write(record('waiting'))
      const flushed = file.flush()
      await until(() => file.stats().errors >= 6, { what: 'six failures' })
      const rotations = file.stats().rotations
      failing = false
      await flushed
      await file.close()
      const after = await ids(path, kind)
      expect([...before].filter((id) => !after.includes(id))).toEqual([])
      const copies = after.filter((id) => id === 'waiting').length
      expect(copies).toBeGreaterThanOrEqual(1)
      expect(copies).toBeLessThanOrEqual(2)
      expect(file.stats().rotations - rotations).toBeLessThanOrEqual(1)
      expect(events).toEqual(['degraded', 'recovered'])
    }
  )

  test.each(['EACCES', 'EMFILE', 'ENOENT'] as Fault[])(
    'a folder that cannot be opened (%s) is no failed data sync: nothing is written twice',
    async (fault) => {
      const faulty = createFaultyDisk()
      const path = join(createFolder(), 'app.log')
      let failing = true
      faulty.fault = (operation, _call, [target]) =>
        failing && /^open/.test(operation) && target === join(path, '..') ? fault : undefined
      const file = withInternals({ disk: faulty.disk }, () => create(path, { maxBytes: 10_000 }))
      file.write(record(1))
      const flushed = file.flush()
      await until(() => file.stats().errors >= 3, { what: 'three failures' })
      expect(file.stats()).toMatchObject({ state: 'degraded', rotations: 0, records: 1 })
      failing = false
      await flushed
      await file.close()
      expect(await ids(path, kind)).toEqual(['1'])
    }
  )

  test.each(['EINVAL', 'ENOSYS', 'EPERM', 'EOPNOTSUPP'] as Fault[])(
    'a file system that cannot sync (%s) is refused at disk, and said once otherwise',
    async (fault) => {
      const faulty = createFaultyDisk()
      const path = join(createFolder(), 'app.log')
      faulty.fault = (operation) => (/^(fdatasync|fsync)/.test(operation) ? fault : undefined)
      expect(() => withInternals({ disk: faulty.disk }, () => create(path))).toThrow('ERR_UNSUPPORTED')
      const file = withInternals({ disk: faulty.disk }, () =>
        create(path, { durability: 'os', maxBackups: 0 })
      )
      const warnings: string[] = []
      file.on('warning', ({ code }) => warnings.push(code))
      for (let i = 0; i < 30; i++) file.write(record(i))
      await file.flush()
      await expect(file.flush('disk')).rejects.toThrow('ERR_UNSUPPORTED')
      expect(file.stats().state).toBe('open')
      await file.close()
      expect(await ids(path, kind)).toHaveLength(30)
      expect(warnings).toEqual(['ERR_UNSUPPORTED'])
    }
  )

  test.runIf(native.canLock)(
    'a lock that cannot be freed after the append does not repeat the records',
    async () => {
      const faulty = createFaultyDisk()
      const path = join(createFolder(), 'app.log')
      const file = withInternals({ disk: faulty.disk }, () => create(path, { maxBytes: 100_000 }))
      faulty.fault = (operation, call) => (operation === 'unlock' && call % 2 === 0 ? 'EIO' : undefined)
      for (let i = 0; i < 20; i++) {
        file.write(record(i))
        await file.flush()
      }
      await file.close()
      expect(await ids(path, kind)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)))
    }
  )
})

test('a short write of the state is an error, and what it should announce is not written', async () => {
  if (!native.canLock) return
  const faulty = createFaultyDisk()
  const path = join(createFolder(), 'app.log')
  const file = withInternals({ disk: faulty.disk }, () => new RotatingFile({ path, fallback: false }))
  let failing = true
  faulty.fault = (operation, _call, [, , , length]) =>
    failing && operation === 'write' && length === lockStateBytes ? 'SHORT' : undefined
  file.write('line\n')
  await until(() => file.stats().state === 'degraded')
  expect(readFileSync(path, 'utf8')).toBe('')
  failing = false
  await file.close()
  expect(readFileSync(path, 'utf8')).toBe('line\n')
})

test.each(Object.entries(kinds))(
  '%s: a descriptor that reports an error when it is closed is no failed sync',
  async (_kind, create) => {
    const faulty = createFaultyDisk()
    const path = join(createFolder(), 'app.log')
    faulty.fault = (operation) => (operation === 'close' ? 'EIO' : undefined)
    const file = withInternals({ disk: faulty.disk }, () => create(path))
    const troubles: string[] = []
    for (const name of ['degraded', 'warning'] as const) file.on(name, () => troubles.push(name))
    for (let i = 0; i < 20; i++) file.write(record(i))
    await file.flush()
    file.write(record(20))
    file.flushSync()
    await file.close()
    expect(file.stats()).toMatchObject({ errors: 0, dropped: 0 })
    expect(troubles).toEqual([])
  }
)
