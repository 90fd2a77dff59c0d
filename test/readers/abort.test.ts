// A signal ends reading, whoever else knows of it, and is left alone afterwards.

import { getEventListeners } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readRecords } from '../../src/readers/read-records.ts'
import { createFolder } from '../helpers/folder.ts'
import { runScript } from '../helpers/run-script.ts'

function createLogs() {
  const folder = createFolder()
  mkdirSync(join(folder, 'logs'))
  const path = join(folder, 'logs', 'app.log')
  writeFileSync(path, 'one\ntwo\n')
  return [path, join(folder, 'logs')]
}

test.each(['a file', 'a folder'])('of a timeout that nobody else holds ends following %s', async (what) => {
  const [file, folder] = createLogs()
  const code = `import { readRecords } from 'logboom'
    const collect = setInterval(() => globalThis.gc(), 20)
    const start = () => readRecords(process.argv[1], { follow: true, signal: AbortSignal.timeout(500) })
    const before = performance.now()
    for await (const record of start());
    console.log(performance.now() - before >= 499 ? 'in time' : 'early')
    clearInterval(collect)`
  const path = what === 'a file' ? file : folder
  expect(await runScript(code, [path], ['--expose-gc'])).toMatchObject({
    code: 0,
    stdout: 'in time\n',
    stderr: ''
  })
})

test.each(['a file', 'a folder'])('that aborted before ends reading %s at once', async (what) => {
  const [file, folder] = createLogs()
  const signal = AbortSignal.abort()
  const seen: string[] = []
  for await (const { data } of readRecords(what === 'a file' ? file : folder, { follow: true, signal }))
    seen.push(data.toString())
  expect(seen.length).toBeLessThanOrEqual(2)
})

test.each(['to the end', 'until a break', 'not at all'])(
  'that lives on keeps no reader that was read %s',
  async (how) => {
    const [file, folder] = createLogs()
    const { signal } = new AbortController()
    for (const path of [file, folder]) {
      const reader = readRecords(path, { signal })
      if (how === 'not at all') await reader.return()
      else for await (const _ of reader) if (how === 'until a break') break
    }
    expect(getEventListeners(signal, 'abort')).toEqual([])
  }
)

test('that many readers follow is no reason for a warning, nor are many logs in one folder, and ends all of them', async () => {
  const warnings: string[] = []
  const listen = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', listen)
  const folder = createFolder()
  for (let i = 0; i < 30; i++) writeFileSync(join(folder, `${i}.log`), 'x\n')
  const stop = new AbortController()
  const { signal } = stop
  let seen = 0
  const readers = Array.from({ length: 30 }, async (_, i) => {
    const path = i === 0 ? folder : join(folder, `${i}.log`)
    for await (const _ of readRecords(path, { follow: true, signal })) if (++seen === 59) stop.abort()
  })
  await Promise.all(readers)
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', listen)
  expect([seen >= 59, warnings]).toEqual([true, []])
})
