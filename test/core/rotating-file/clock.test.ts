// What the clock and the lock do to rotation by time and to retention by age.
import { readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { KernelLock } from '../../../src/core/shared-file/kernel-lock.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const lock = native.canLock

test('after a clock that was ahead backups are removed by the age of their files, and that is said once', async () => {
  const folder = createFolder()
  let aheadMs = 365 * 86_400_000
  const now = (): number => Date.now() + aheadMs
  const file = withInternals(
    { now },
    () =>
      new RotatingFile({ path: join(folder, 'a.log'), maxBytes: 100, maxAge: '1s', lock, fallback: false })
  )
  const warnings: string[] = []
  file.on('warning', ({ code }) => warnings.push(code))
  const put = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      file.write(`${'x'.repeat(80)}\n`)
      await file.flush()
    }
  }
  const backups = (): number => readdirSync(folder).filter((name) => /^a\.log\.\d/.test(name)).length
  await put(3)
  aheadMs = 0
  await put(20)
  const startMs = performance.now()
  await until(() => performance.now() - startMs > 1_200)
  await put(3)
  await until(() => backups() <= 4, { what: 'old backups to be removed' })
  await file.close()
  expect(warnings).toEqual(['ERR_CLOCK'])
})

test.runIf(native.canLock)(
  'a period that ends while the lock is held is over once the lock is free',
  async () => {
    const folder = createFolder()
    const path = join(folder, 'a.log')
    // The wall clock of the test begins 300 ms before a boundary of ten seconds.
    const startMs = performance.now()
    const boundary = Math.ceil(Date.now() / 10_000) * 10_000 + 10_000
    const now = (): number => boundary - 300 + (performance.now() - startMs)
    const file = withInternals({ now }, () => new RotatingFile({ path, rotateEvery: '10s', fallback: false }))
    file.write('before the boundary\n')
    await file.flush()
    const other = new KernelLock(realDisk, path, { mode: 0o600, dirMode: 0o700, mkdir: false }, true)
    expect(other.acquire(1_000)).toBeDefined()
    await until(() => performance.now() - startMs > 700)
    expect(file.stats().rotations).toBe(0)
    other.close()
    await until(() => file.stats().rotations === 1, { what: 'the rotation', timeoutMs: 3_000 })
    await file.close()
  }
)

test('a period that ends while no backup can be made is over once one can', async () => {
  const folder = createFolder()
  const backupDir = join(folder, 'old')
  // The wall clock of the test begins 300 ms before a boundary of ten seconds.
  const startMs = performance.now()
  const boundary = Math.ceil(Date.now() / 10_000) * 10_000 + 10_000
  const now = (): number => boundary - 300 + (performance.now() - startMs)
  const file = withInternals(
    { now },
    () =>
      new RotatingFile({ path: join(folder, 'a.log'), rotateEvery: '10s', backupDir, lock, fallback: false })
  )
  const warnings: string[] = []
  file.on('warning', ({ code }) => warnings.push(code))
  file.write('before the boundary\n')
  await file.flush()
  rmSync(backupDir, { recursive: true })
  writeFileSync(backupDir, '')
  await until(() => warnings.length > 0, { what: 'the failure to be told' })
  await until(() => performance.now() - startMs > 900)
  expect(file.stats().rotations).toBe(0)
  rmSync(backupDir)
  await until(() => file.stats().rotations === 1, { what: 'the rotation', timeoutMs: 3_000 })
  await file.close()
  expect(warnings).toHaveLength(1)
  expect(readdirSync(backupDir)).toHaveLength(1)
})

test('what a clock that was ahead made goes with what came behind it, also if the file says the same time', async () => {
  const folder = createFolder()
  const make = (name: string, mtimeMs: number): void => {
    writeFileSync(join(folder, name), 'old\n')
    utimesSync(join(folder, name), mtimeMs / 1000, mtimeMs / 1000)
  }
  const nowMs = Date.now()
  make('a.log.20991231-000000.0', Date.UTC(2099, 11, 31))
  make('a.log.20991231-000000.1', nowMs - 7_200_000)
  make('a.log.20991231-000000.2', Date.UTC(2099, 11, 31))
  make('a.log.20991231-000000.3', nowMs - 60_000)
  const file = new RotatingFile({ path: join(folder, 'a.log'), maxAge: '1h', lock, fallback: false })
  const backups = (): string[] => readdirSync(folder).filter((name) => /^a\.log\.\d/.test(name))
  await until(() => backups().length <= 2, { what: 'old backups to be removed' })
  await file.close()
  expect(backups().sort()).toEqual(['a.log.20991231-000000.2', 'a.log.20991231-000000.3'])
})

test('a clock beyond the year 9999 or before 1970 gives names that readers know', async () => {
  for (const ms of [Date.UTC(12_000, 1), -86_400_000]) {
    const folder = createFolder()
    const file = withInternals(
      { now: () => ms },
      () => new RotatingFile({ path: join(folder, 'a.log'), maxBytes: 20, lock, fallback: false })
    )
    for (let i = 0; i < 4; i++) {
      file.write(`line ${i} 0123456789\n`)
      await file.flush()
    }
    await file.close()
    expect(file.stats()).toMatchObject({ errors: 0, dropped: 0, rotations: 3 })
    expect(readdirSync(folder).filter((name) => /^a\.log\.\d{8}-\d{6}\.\d+$/.test(name))).toHaveLength(3)
  }
})
