// A folder in which files may be made and whose names may not be read (mode 0300): every kind of file rotates there.
import { chmodSync, chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { works } from '../../helpers/mount.ts'
import { collect } from '../../helpers/read.ts'
import { runScript } from '../../helpers/run-script.ts'
import { built } from '../../helpers/script.ts'

const NOBODY = 65_534
const RECORDS = 60

const code = `
import { sinks } from ${built('core/registry.js')}
const [kind, options] = process.argv.slice(1)
const sink = sinks[kind].create({ fallback: false, ...JSON.parse(options) })
for (let record = 0; record < ${RECORDS}; record++) {
  const text = 'record ' + record + ' '.repeat(kind === 'direct-file' ? 5000 : 200)
  if (kind === 'event-files') sink.log('e', text)
  else sink.write(text + '\\n')
  if (record % 10 === 9) await sink.flush('os')
}
await sink.close()
const { rotations, dropped } = sink.stats()
console.log(JSON.stringify({ isRotated: rotations > 0, dropped }))
`

const kinds = [
  ['rotating-file', { path: 'e.txt', maxBytes: 100 }],
  ['binary-file', { path: 'e.bin', maxBytes: 100 }],
  ['direct-file', { path: 'e.dfw', maxBytes: '128k', bufferSize: '1m', numShards: 1 }],
  ['event-files', { dir: '.', output: 'rotating-file', maxBytes: 100 }],
  ['event-files', { dir: '.', output: 'binary-file', maxBytes: 100 }]
] as const

/** By the names of the files. */
const FORMATS = { 'e.txt': 'text', 'e.bin': 'binary-file', 'e.dfw': 'direct-file' } as const

describe.skipIf(process.getuid?.() !== 0 || !works('setpriv', '--version'))('(needs root)', () => {
  test.each(kinds)('%s %j rotates where names may not be read', { timeout: 30_000 }, async (kind, given) => {
    const dir = createFolder()
    chownSync(dir, NOBODY, NOBODY)
    chmodSync(dir, 0o300)
    const place = 'path' in given ? { path: join(dir, given.path) } : { dir }
    const ended = await runScript(code, [kind, JSON.stringify({ ...given, ...place })], [], {
      wrapper: ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
    })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(ended.stdout)).toEqual({ isRotated: true, dropped: 0 })
    const { lines, error } = await ('path' in given
      ? collect(join(dir, given.path), { format: FORMATS[given.path] })
      : collect(dir))
    expect(error).toBeUndefined()
    expect(lines.map((line) => line.trim())).toEqual(
      Array.from({ length: RECORDS }, (_, record) => `record ${record}`)
    )
  })
})

test('a binary file that may not read names goes on behind the last backup, though earlier ones were removed', async () => {
  const dir = createFolder()
  const path = join(dir, 'e.bin')
  writeFileSync(join(dir, 'e.7.bin'), '')
  writeFileSync(join(dir, 'e.907.bin'), '')
  const faulty = createFaultyDisk()
  // Without locks of the kernel the file has a folder of its own for its claim, which may be read.
  faulty.fault = (operation, _, args) => (operation === 'readdir' && args[0] === dir ? 'EACCES' : undefined)
  const to: string[] = []
  const file = withInternals(
    { disk: faulty.disk },
    () => new BinaryFile({ path, maxBytes: 10, fallback: false })
  )
  file.on('rotated', (event) => to.push(event.to))
  file.write('0123456789')
  file.write('0123456789')
  await file.close()
  expect(to).toEqual([join(dir, 'e.908.bin'), join(dir, 'e.909.bin')])
})
