import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Spool } from '../../src/core/spool/spool.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'

const name = (worker: number, time: number): string =>
  `app${worker}_17952185190000000${String(time).padStart(2, '0')}.log`

test('published files are read in the order of their times, temp files and notes are not', async () => {
  const folder = createFolder()
  for (const [worker, time] of [
    [3, 1],
    [0, 2],
    [1, 3]
  ]) {
    writeFileSync(join(folder, name(worker, time)), `${time} a\n${time} b\n`)
  }
  writeFileSync(join(folder, '.app0-1-0123456789abcdef00000000.tmp'), 'no\n')
  const expected = ['1 a', '1 b', '2 a', '2 b', '3 a', '3 b']
  expect((await collect(folder)).lines).toEqual(expected)
  for (const last of [1, 2, 3, 6, 9]) {
    expect((await collect(folder, { from: { last } })).lines).toEqual(expected.slice(-last))
  }
})

test('following returns what is published later', { timeout: 30_000 }, async () => {
  const folder = createFolder()
  const spool = new Spool({ path: folder, flushInterval: 0 })
  onTestFinished(() => spool.close())
  await spool.write('first\n')
  await spool.flush()
  const stop = new AbortController()
  const seen: string[] = []
  const reading = (async () => {
    for await (const { data } of readRecords(folder, { follow: true, signal: stop.signal }))
      seen.push(data.toString())
  })()
  await expect.poll(() => seen).toEqual(['first'])
  for (const record of ['second\n', 'third\nfourth\n']) {
    await spool.write(record)
    await spool.flush()
  }
  await expect.poll(() => seen).toEqual(['first', 'second', 'third', 'fourth'])
  stop.abort()
  await reading
})
