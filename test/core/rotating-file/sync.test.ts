import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { type Disk, realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'

const lock = native.canLock

test('a loop that awaits each flush to disk gets through', async () => {
  const path = join(createFolder(), 'app.log')
  await using file = new RotatingFile({ path, lock, durability: 'disk' })
  for (let i = 0; i < 50; i++) {
    file.write(`${i}\n`)
    await file.flush()
  }
  expect(file.stats()).toMatchObject({ records: 50, state: 'open' })
})

test('what was written while a sync ran is synced, too, when the file was rotated meanwhile', async () => {
  const path = join(createFolder(), 'app.log')
  let finishSync: (() => void) | undefined
  const sizes = new Map<string, number>()
  const noteSync = (fd: number): void => {
    const { ino, size } = realDisk.fstat(fd)
    sizes.set(String(ino), size)
  }
  // Each sync covers what is in the file when it begins, and takes until the test says so.
  const disk: Disk = {
    ...realDisk,
    fdatasync: (fd) => noteSync(fd),
    fdatasyncAsync: async (fd) => {
      const before = realDisk.fstat(fd).size
      const { ino } = realDisk.fstat(fd)
      if (finishSync === undefined) {
        await new Promise<void>((resolve) => {
          finishSync = resolve
        })
      }
      sizes.set(String(ino), Math.max(before, sizes.get(String(ino)) ?? 0))
    }
  }
  await using file = withInternals(
    { disk },
    () => new RotatingFile({ path, lock, durability: 'disk', maxBytes: 13 })
  )
  file.write('first\n')
  const first = file.flush()
  file.writeLine('second')
  const { ino, size } = statSync(path)
  expect(size).toBe(13)
  file.writeLine('third')
  const second = file.flush()
  finishSync?.()
  await Promise.all([first, second])
  expect(file.stats().rotations).toBe(1)
  expect(sizes.get(String(ino))).toBe(13)
})

test('rotating a closed file is refused and opens nothing', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new RotatingFile({ path, lock })
  file.write('line\n')
  await file.close()
  await expect(file.rotate()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
})

test('files that are synced in the background while the sink closes are closed once', async () => {
  const path = join(createFolder(), 'app.log')
  const warnings: unknown[] = []
  const open = new Set<number>()
  const closedTwice: number[] = []
  const disk: Disk = {
    ...realDisk,
    open: (...args) => {
      const fd = realDisk.open(...args)
      open.add(fd)
      return fd
    },
    close: (fd) => {
      if (!open.delete(fd)) closedTwice.push(fd)
      realDisk.close(fd)
    }
  }
  const file = withInternals({ disk }, () => new RotatingFile({ path, lock, maxBytes: 10 }))
  file.on('warning', (warning) => warnings.push(warning))
  for (let i = 0; i < 10; i++) file.writeLine('123456789')
  await new Promise((resolve) => setImmediate(resolve))
  await file.close()
  await new Promise((resolve) => setImmediate(resolve))
  expect(warnings).toEqual([])
  expect(closedTwice).toEqual([])
  expect(open.size).toBe(0)
})
