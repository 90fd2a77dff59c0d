import { chmodSync, chownSync, closeSync, openSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { realDisk } from '../../src/io/disk.ts'
import { createFolder } from '../helpers/folder.ts'

test('stat, lstat and fstat tell owner and permissions', () => {
  const path = join(createFolder(), 'file')
  writeFileSync(path, 'x')
  chmodSync(path, 0o4640)
  const own = { uid: process.getuid?.(), mode: 0o4640 }
  const fd = openSync(path, 'r')
  expect(realDisk.fstat(fd)).toMatchObject(own)
  closeSync(fd)
  expect(realDisk.lstat(path)).toMatchObject(own)
  symlinkSync(path, `${path}.link`)
  expect(realDisk.stat(`${path}.link`)).toMatchObject(own)
  expect(realDisk.lstat(`${path}.link`)).toMatchObject({ isSymlink: true, mode: 0o777 })
})

test.skipIf(process.getuid?.() !== 0)('the owner told is that of the file, not of the process', () => {
  const path = join(createFolder(), 'file')
  writeFileSync(path, 'x')
  chownSync(path, 65_534, 65_534)
  expect(realDisk.stat(path)).toMatchObject({ uid: 65_534 })
})
