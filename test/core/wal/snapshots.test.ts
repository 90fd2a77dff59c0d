// Releases and snapshot folders: each log has its own, a release works on a full disk, and what cannot be removed is no
// reason to reject it.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { encodeSnapshotFile } from '../../../src/formats/snapshot-file.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { segmentsOf, writeLog } from '../../helpers/wal-damage.ts'

async function openLog(options: WriteAheadLogOptions): Promise<WriteAheadLog> {
  const log = await WriteAheadLog.open({ segmentBytes: 65_536, fallback: false, ...options })
  onTestFinished(() => log.close().catch(() => {}))
  return log
}

async function fill(log: WriteAheadLog, count: number, bytes = 400): Promise<void> {
  for (let i = 0; i < count; i++) await log.log(['x'.repeat(bytes)])
}

async function release(log: WriteAheadLog): Promise<void> {
  await (await log.createSnapshot())!.release()
}

function snapshotsIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.snap')) : []
}

describe('the folder of the snapshots', () => {
  it('is snap beside a folder called wal, else one of the log’s own', async () => {
    const data = createFolder()
    for (const name of ['wal', 'orders', 'payments']) {
      const log = await openLog({ walDir: join(data, name) })
      await fill(log, 3)
      await release(log)
    }
    expect(snapshotsIn(join(data, 'snap')).length).toBe(1)
    expect(snapshotsIn(join(data, 'orders.snap')).length).toBe(1)
    expect(snapshotsIn(join(data, 'payments.snap')).length).toBe(1)
  })

  it('goes on being snap where version 0.1 put the snapshots of this log, and those of others stay', async () => {
    const data = createFolder()
    const [orders, payments] = ['orders', 'payments'].map((name) => join(data, name))
    const snap = join(data, 'snap')
    const old = await openLog({ walDir: orders, snapDir: snap })
    await fill(old, 3)
    await release(old)
    await old.close()
    await writeLog({ walDir: payments, segmentBytes: 65_536, fallback: false }, ['a'])
    const foreign = '0000000000000001-0000000000000001.snap'
    writeFileSync(join(snap, foreign), encodeSnapshotFile({ index: 1n, term: 1n }))
    const log = await openLog({ walDir: orders })
    const other = await openLog({ walDir: payments })
    expect(log.snapshotIndex).toBe(3n)
    for (let i = 0; i < 4; i++) {
      await fill(log, 1)
      await release(log)
      await fill(other, 1)
      await release(other)
    }
    expect(existsSync(`${orders}.snap`)).toBe(false)
    expect(snapshotsIn(`${payments}.snap`).length).toBe(2)
    expect(snapshotsIn(snap)).toContain(foreign)
    expect(snapshotsIn(snap).length).toBe(3)
  })
})

describe('a snapshot ahead of the log', () => {
  async function consumed(options: WriteAheadLogOptions, count: number): Promise<void> {
    const log = await WriteAheadLog.open(options)
    await fill(log, count)
    await release(log)
    await log.close()
  }

  it.each(['an older copy', 'no folder at all', 'an empty folder'])(
    '%s in its place is refused, and repair makes the log go on behind it',
    async (what) => {
      const folder = createFolder()
      const walDir = join(folder, 'wal')
      const options = {
        walDir,
        snapDir: join(folder, 'snap'),
        segmentBytes: 65_536,
        fallback: false as const
      }
      await consumed(options, 20)
      cpSync(walDir, join(folder, 'copy'), { recursive: true })
      await consumed(options, 20)
      rmSync(walDir, { recursive: true })
      if (what === 'an older copy') renameSync(join(folder, 'copy'), walDir)
      if (what === 'an empty folder') mkdirSync(walDir)
      await expect(WriteAheadLog.open(options)).rejects.toThrow(/released.*ERR_CORRUPT/)
      expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: false })
      await new WriteAheadLog(options).repair()
      expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: true })
      const log = await openLog(options)
      expect(await log.createSnapshot()).toBeUndefined()
      expect(await log.log(['new'])).toEqual({ firstIndex: 41n, lastIndex: 41n })
      const found: bigint[] = []
      for await (const { index } of (await log.createSnapshot())!.entries) found.push(index)
      expect(found).toEqual([41n])
      await log.close()
      const again = await openLog(options)
      expect([again.lastIndex, again.snapshotIndex]).toEqual([41n, 40n])
    }
  )
})

describe('release', () => {
  it('resolves where a segment cannot be removed, warns, and removes it later', async () => {
    const faulty = createFaultyDisk()
    const walDir = join(createFolder(), 'wal')
    const log = await withInternals({ disk: faulty.disk }, () => openLog({ walDir, segmentBytes: 4096 }))
    const warnings: string[] = []
    log.on('warning', ({ code }) => warnings.push(code))
    await fill(log, 40)
    faulty.fault = (operation, _, [path]) =>
      operation === 'unlink' && String(path).endsWith('.wal') ? 'EACCES' : undefined
    await release(log)
    expect(log.snapshotIndex).toBe(40n)
    expect(segmentsOf(walDir).length).toBeGreaterThan(3)
    await nextTurn()
    expect(warnings).toEqual(['ERR_IO'])
    faulty.fault = () => undefined
    await fill(log, 1)
    await release(log)
    expect(segmentsOf(walDir).length).toBeLessThanOrEqual(2)
  })

  it('works without room for a snapshot file: the record in the log counts', async () => {
    const faulty = createFaultyDisk()
    const walDir = join(createFolder(), 'wal')
    const options = { walDir, segmentBytes: 4096 }
    const log = await withInternals({ disk: faulty.disk }, () => openLog(options))
    await fill(log, 20)
    await release(log)
    await fill(log, 20)
    faulty.fault = (operation, _, [path]) =>
      operation === 'open' && String(path).includes('snap') ? 'ENOSPC' : undefined
    await release(log)
    await log.close()
    expect(segmentsOf(walDir).length).toBeLessThanOrEqual(2)
    const again = await openLog(options)
    expect(again.snapshotIndex).toBe(40n)
    expect(await again.log(['41'])).toMatchObject({ firstIndex: 41n })
  })

  it('gives back what was kept for it when the disk is full, and the log goes on', async () => {
    const faulty = createFaultyDisk()
    const walDir = join(createFolder(), 'wal')
    const log = await withInternals({ disk: faulty.disk }, () => openLog({ walDir, segmentBytes: 4096 }))
    await fill(log, 30)
    // Full until the reserve is removed.
    let isFull = true
    faulty.fault = (operation, _, [path]) => {
      if (operation === 'unlink' && sizeOf(String(path)) === 65_536) isFull = false
      return isFull && /^(write|fallocate|open$)/.test(operation) ? 'ENOSPC' : undefined
    }
    const waiting = log.log(['waits'])
    await expect.poll(() => log.stats().state).toBe('degraded')
    await release(log)
    expect(await waiting).toMatchObject({ firstIndex: 31n })
    expect(segmentsOf(walDir).length).toBeLessThanOrEqual(3)
  })

  it('by `await using` gives a snapshot back that its consumer did not release', async () => {
    const log = await openLog({ walDir: join(createFolder(), 'wal') })
    await fill(log, 2)
    const first = (await log.createSnapshot())!
    await first[Symbol.asyncDispose]()
    const second = (await log.createSnapshot())!
    expect(second.prevIndex).toBe(0n)
    await second.release()
    await second[Symbol.asyncDispose]()
    expect(log.snapshotIndex).toBe(2n)
    expect(await log.createSnapshot()).toBeUndefined()
  })
})

function sizeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size
}
