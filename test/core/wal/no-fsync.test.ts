// File systems that have no fsync for files: a log that promises to be on disk is refused there, any other one is served at
// 'os', which is said once.
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { createFaultyDisk, type Fault, type FaultyDisk, type Operation } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { readLog } from '../../helpers/wal-log.ts'

const syncs: Operation[] = ['fsync', 'fdatasync', 'fsyncAsync', 'fdatasyncAsync', 'writeSynced']

function createLog(faulty: FaultyDisk, options: Partial<WriteAheadLogOptions>) {
  const walDir = join(createFolder(), 'wal')
  const create = (): WriteAheadLog =>
    withInternals(
      { disk: faulty.disk },
      () => new WriteAheadLog({ walDir, segmentBytes: 4096, fallback: false, ...options })
    )
  return { walDir, create }
}

describe.each<Fault>(['EINVAL', 'ENOSYS', 'EPERM', 'EOPNOTSUPP'])('%s from fsync', (fault) => {
  function withoutFsync(): FaultyDisk {
    const faulty = createFaultyDisk()
    faulty.fault = (operation) => (syncs.includes(operation) ? fault : undefined)
    return faulty
  }

  it.each(['os', 'none'] as const)('durability %s: is said once, and nothing is lost', async (durability) => {
    const { walDir, create } = createLog(withoutFsync(), { durability })
    const log = create()
    const warnings: string[] = []
    log.on('warning', ({ code }) => warnings.push(code))
    const events: string[] = []
    for (const name of ['degraded', 'recovered'] as const) log.on(name, () => events.push(name))
    await log.start()
    const texts: string[] = []
    for (let i = 0; i < 40; i++) {
      texts.push(`record ${i} ${'x'.repeat(300)}`)
      await log.log([texts[i]])
    }
    log.write('line\n')
    await log.flush('os')
    log.flushSync('os')
    await expect(log.flush('disk')).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
    expect(() => log.flushSync('disk')).toThrow(/ERR_UNSUPPORTED/)
    expect(() => log.logSync(['never stored'])).toThrow(/ERR_UNSUPPORTED/)
    const snapshot = await log.createSnapshot()
    await snapshot?.release()
    await log.log(['last'])
    await log.close()
    expect(warnings).toEqual(['ERR_UNSUPPORTED'])
    expect(events).toEqual([])
    expect(log.stats().errors).toBe(0)
    const again = await WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })
    expect(again.lastIndex).toBe(42n)
    expect(again.snapshotIndex).toBe(41n)
    await again.close()
    expect(readLog(walDir).entries.at(-1)?.text).toBe('last')
  })

  it.each([{}, { syncInterval: '1s' }])('durability disk, %o: is refused', async (options) => {
    const { create } = createLog(withoutFsync(), options)
    const log = create()
    await expect(log.start()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
    await expect(log.log(['a'])).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
    await log.close()
  })

  it('durability disk: ends a log of transports at once, instead of trying for ever', async () => {
    const faulty = createFaultyDisk()
    const { walDir } = createLog(faulty, {})
    const log = withInternals({ disk: faulty.disk }, () =>
      WriteAheadLog.openSync({ walDir, segmentBytes: 65_536, fallback: false })
    )
    log.write('before\n')
    await log.flush()
    faulty.fault = (operation) => (syncs.includes(operation) ? fault : undefined)
    log.write('late\n')
    await expect(log.flush()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
    expect(log.stats().state).toBe('failed')
    await expect(log.close()).rejects.toMatchObject({ code: 'ERR_LOST' })
    expect(log.stats().dropped).toBe(1)
  })
})

it('a folder that cannot be synced is no reason to refuse a log', async () => {
  const faulty = createFaultyDisk()
  const { create } = createLog(faulty, {})
  const folders = new Set<unknown>()
  const { disk } = faulty
  faulty.fault = (operation, _, [fd]) =>
    operation === 'fsync' && !disk.fstat(fd as number).isFile && folders.add(fd) ? 'EINVAL' : undefined
  const log = create()
  const warnings: unknown[] = []
  log.on('warning', (warning) => warnings.push(warning))
  await log.start()
  await log.log(['a'])
  await log.flush('disk')
  await log.close()
  expect(folders.size).toBeGreaterThan(0)
  expect(warnings).toEqual([])
})
