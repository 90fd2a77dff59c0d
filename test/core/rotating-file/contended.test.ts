import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { collect } from '../../helpers/read.ts'

// With nothing else to keep the process alive, awaiting flush() must; and closing while files of earlier
// rotations are still being synced must close each descriptor once.
test.skipIf(!native.canLock)(
  'processes that await every flush and rotate often end by themselves, without an error',
  async () => {
    for (let round = 0; round < 4; round++) {
      const folder = createFolder()
      const path = join(folder, 'app.log')
      const code = `
      import { RotatingFile } from 'logboom'
      const file = new RotatingFile({ path: ${JSON.stringify(path)}, maxBytes: 8192, compress: 'gzip' })
      for (let at = 0; at < 3000; at++) {
        file.write(process.argv[1] + ' ' + at + ' ' + 'x'.repeat(at % 90) + '\\n')
        if (at % 50 === 0) await file.flush()
      }
      await file.close()`
      const children = [0, 1].map((writer) =>
        spawn(process.execPath, ['--input-type=module', '-e', code, String(writer)], {
          stdio: ['ignore', 'ignore', 'pipe']
        })
      )
      const ends = await Promise.all(
        children.map(async (child) => {
          const [errors, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
          return { errors, code }
        })
      )
      expect(ends).toEqual([
        { errors: '', code: 0 },
        { errors: '', code: 0 }
      ])
      expect(readdirSync(folder).length).toBeGreaterThan(10)
      const { lines } = await collect(path)
      expect(lines.length).toBe(6000)
      expect(new Set(lines).size).toBe(6000)
    }
  }
)
