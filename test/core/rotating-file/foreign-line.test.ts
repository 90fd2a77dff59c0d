import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'

const lock = native.canLock

test.each([89, 90, 91, 99, 100])(
  'with %d bytes of an unfinished line in the file, the newline counts, too',
  async (length) => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, 'x'.repeat(length))
    const file = new RotatingFile({ path, maxBytes: 100, lock })
    file.write('123456789\n')
    await file.close()
    const names = readdirSync(folder).filter((name) => !name.startsWith('.'))
    for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(100)
    expect(readFileSync(path, 'utf8').split('\n')).toContain('123456789')
    expect(names.length).toBe(length === 89 ? 1 : 2)
  }
)
