// Room that is kept free on the file system, on a disk whose free space a test says.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import type { RemovedEvent, WarningEvent } from '../../../src/core/sink/contract.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { type Disk, realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const lock = native.canLock
const KIB = 1024

/** A file system of `bytes`, of which the files of `folder` use theirs. */
function smallDisk(folder: string, size: { bytes: number }): Disk {
  const used = (): number =>
    readdirSync(folder).reduce(
      (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
      0
    )
  return { ...realDisk, freeBytes: () => size.bytes - used() }
}

function backupsOf(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith('app.log.'))
    .sort()
}

test('the oldest backups go first, as many as it takes', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  for (let day = 1; day <= 5; day++) writeFileSync(`${path}.2026010${day}-000000.0`, 'x'.repeat(10 * KIB))
  const disk = smallDisk(folder, { bytes: 100 * KIB })
  const removed: RemovedEvent[] = []
  // Of 100 KiB 50 are used, and 75 are to be free.
  const options = { path, minFreeBytes: 75 * KIB, lock, fallback: false } as const
  const file = withInternals({ disk }, () => new RotatingFile(options))
  file.on('removed', (event) => removed.push(event))
  file.write('one\n')
  await until(() => removed.length === 3)
  file.write('two\n')
  await file.close()
  expect(backupsOf(folder)).toEqual(['app.log.20260104-000000.0', 'app.log.20260105-000000.0'])
  expect(removed.map(({ reason, bytes }) => `${reason} ${bytes}`)).toEqual(
    Array(3).fill(`minFreeBytes ${10 * KIB}`)
  )
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n')
  expect(file.stats().errors).toBe(0)
})

test('with no backups left records wait, and are written when there is room again', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.log')
  const size = { bytes: 100 * KIB }
  const options = { path, minFreeBytes: 90 * KIB, lock, fallback: false } as const
  const file = withInternals({ disk: smallDisk(folder, size) }, () => new RotatingFile(options))
  const degraded: WarningEvent[] = []
  let recovered = 0
  file.on('degraded', (event) => degraded.push(event))
  file.on('recovered', () => recovered++)
  file.write('one\n')
  await file.flush()
  size.bytes = 80 * KIB
  // Long enough for the next look at the file system, whose result must not cost records.
  let lines = 0
  await until(() => {
    file.write(`line ${lines++}\n`)
    return degraded.length > 0
  })
  expect(degraded[0].code).toBe('ERR_SPACE')
  const written = readFileSync(path, 'utf8').length
  file.write('more\n')
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(statSync(path).size).toBe(written)
  size.bytes = 100 * KIB
  await until(() => recovered === 1)
  await file.close()
  const expected = ['one', ...Array.from({ length: lines }, (_, line) => `line ${line}`), 'more', '']
  expect(readFileSync(path, 'utf8')).toBe(expected.join('\n'))
})

test('the overflow policy decides what becomes of records for which there is no room', async () => {
  const folder = createFolder()
  const path = join(folder, 'app.bin')
  const disk = smallDisk(folder, { bytes: 10 * KIB })
  const file = withInternals({ disk }, () => {
    return new BinaryFile({
      path,
      maxBytes: 1_000,
      maxBufferBytes: 1_000,
      overflow: 'drop-newest',
      minFreeBytes: '1m',
      lock,
      fallback: false
    })
  })
  const states = new Set<string>()
  file.on('degraded', () => states.add('degraded'))
  await until(() => {
    file.write('x'.repeat(100))
    return states.size > 0 && file.stats().dropped > 10
  })
  await expect(file.close()).rejects.toThrow(/ERR_LOST|not written/)
})
