// What becomes of a file that is there when a program starts.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { LoggerManager } from '../../../src/core/event-files/logger-manager.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const lock = native.canLock

function visible(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort()
}

describe('rotateOnStart', () => {
  test('leaves what is there as a backup, once, and an empty file as it is', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    for (const name of ['first', 'second']) {
      const file = new RotatingFile({ path, rotateOnStart: true, lock })
      for (let line = 0; line < 3; line++) {
        file.write(`${name}\n`)
        await file.flush()
      }
      file.reopen()
      file.write(`${name}\n`)
      await file.close()
      expect(file.stats().rotations).toBe(name === 'first' ? 0 : 1)
    }
    expect(visible(folder)).toHaveLength(2)
    expect(readFileSync(path, 'utf8')).toBe('second\n'.repeat(4))
  })

  test('leaves the records of a binary file in the next numbered one', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.bin')
    const other = new BinaryFile({ path, maxBytes: 1_000, lock })
    other.write('one')
    await other.close()
    const file = new BinaryFile({ path, maxBytes: 1_000, rotateOnStart: true, lock })
    file.write('two')
    await file.close()
    expect(visible(folder)).toEqual(['app.0.bin', 'app.bin'])
    expect([...file.read()]).toEqual(['one', 'two'])
  })
})

describe('truncateOnStart', () => {
  test('empties the file and leaves the backups', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, 'old\n')
    writeFileSync(join(folder, 'app.log.20260101-000000.0'), 'older\n')
    const other = new RotatingFile({ path, lock })
    const file = new RotatingFile({ path, truncateOnStart: true, lock })
    file.write('new\n')
    await file.flush()
    other.write('other\n')
    await other.close()
    file.write('newer\n')
    await file.close()
    expect(readFileSync(path, 'utf8')).toBe('new\nother\nnewer\n')
    expect(visible(folder)).toEqual(['app.log', 'app.log.20260101-000000.0'])
  })

  test('excludes rotateOnStart', () => {
    const path = join(createFolder(), 'app.log')
    expect(() => new RotatingFile({ path, rotateOnStart: true, truncateOnStart: true })).toThrow(
      /truncateOnStart.*exclude each other/
    )
  })
})

test('the file of an event that was closed because it was idle is no new start', async () => {
  const dir = createFolder()
  writeFileSync(join(dir, 'a.log'), 'from before\n')
  const files = new LoggerManager({
    dir,
    output: 'rotating-file',
    truncateOnStart: true,
    idleClose: 0,
    flushInterval: 0,
    lock
  })
  for (let line = 0; line < 3; line++) {
    files.logWithEvent('a', `line ${line}`)
    await files.flush()
    await files.close('a')
  }
  files.logWithEvent('a', 'last')
  await files.close()
  await until(() => readFileSync(join(dir, 'a.log'), 'utf8') === 'line 0\nline 1\nline 2\nlast\n')
})
