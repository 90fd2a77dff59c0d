import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { formatBackupName } from '../../src/formats/backup-name.ts'
import { native } from '../../src/native/index.ts'
import type { ReadOptions } from '../../src/readers/read-options.ts'
import { readRecords } from '../../src/readers/read-records.ts'
import { createFolder } from '../helpers/folder.ts'

interface Follower {
  lines: string[]
  /** Waits for so many lines, then a little longer, so that a line too many would be seen. */
  has(count: number, waitMs?: number): Promise<string[]>
  stop(): Promise<void>
}

function follow(path: string, options: ReadOptions = {}): Follower {
  const stop = new AbortController()
  const lines: string[] = []
  const done = (async () => {
    for await (const { data, event } of readRecords(path, {
      ...options,
      follow: true,
      signal: stop.signal
    })) {
      lines.push(event === undefined ? data.toString() : `${event}: ${data}`)
    }
  })()
  onTestFinished(async () => {
    stop.abort()
    await done.catch(() => {})
  })
  return {
    lines,
    async has(count, waitMs = 10_000) {
      for (let waited = 0; lines.length < count && waited < waitMs; waited += 10) await sleep(10)
      await sleep(60)
      return lines
    },
    async stop() {
      stop.abort()
      await done
    }
  }
}

/** Waits until this process has the file open, and a little longer. */
async function opened(path: string): Promise<void> {
  const isOpen = () =>
    readdirSync('/proc/self/fd').some((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === path
      } catch {
        return false
      }
    })
  while (!isOpen()) await sleep(5)
  await sleep(300)
}

describe('following a text log', () => {
  test('returns what is there and then what is appended, whole lines only', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'a\nb')
    const follower = follow(path)
    expect(await follower.has(1)).toEqual(['a'])
    appendFileSync(path, 'b')
    expect(await follower.has(1)).toEqual(['a'])
    appendFileSync(path, 'b\nc\n')
    expect(await follower.has(3)).toEqual(['a', 'bbb', 'c'])
    await follower.stop()
  })

  test("from 'end' returns only lines that are finished later", async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'old\nunfin')
    const follower = follow(path, { from: 'end' })
    await opened(path)
    appendFileSync(path, 'ished\nnew\n')
    expect(await follower.has(2)).toEqual(['unfinished', 'new'])
  })

  test('waits for a file, and for a folder, that is not there yet', async () => {
    const folder = join(createFolder(), 'logs')
    const path = join(folder, 'app.log')
    const follower = follow(path, { from: 'end' })
    await sleep(50)
    mkdirSync(folder)
    await sleep(50)
    writeFileSync(path, '')
    await sleep(50)
    appendFileSync(path, 'first\n')
    expect(await follower.has(1)).toEqual(['first'])
  })

  test('goes on in the new file after a rename, with the backups made in between, in order', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const backup = (number: number) => join(folder, formatBackupName('app.log', 1_700_000_000, number))
    writeFileSync(path, '1\n')
    const follower = follow(path)
    await follower.has(1)
    appendFileSync(path, '2\n')
    renameSync(path, backup(9))
    writeFileSync(path, '3\n')
    renameSync(path, backup(10))
    writeFileSync(`${backup(11)}.gz`, gzipSync('4\n'))
    writeFileSync(path, '5\n')
    expect(await follower.has(5)).toEqual(['1', '2', '3', '4', '5'])
    appendFileSync(path, '6\n')
    expect(await follower.has(6)).toEqual(['1', '2', '3', '4', '5', '6'])
  })

  test('does not return a rotated file again when it has been compressed in the same moment', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    const backup = join(folder, formatBackupName('app.log', 1_700_000_000, 1))
    writeFileSync(path, '1\n2\n')
    const follower = follow(path)
    await follower.has(2)
    appendFileSync(path, '3\n')
    writeFileSync(`${backup}.gz`, gzipSync('1\n2\n3\n'))
    rmSync(path)
    writeFileSync(path, '4\n')
    expect(await follower.has(4)).toEqual(['1', '2', '3', '4'])
  })

  test('reads a renamed file to its end while the new one is missing', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, '1\n')
    const follower = follow(path)
    await follower.has(1)
    renameSync(path, join(folder, 'app.log.1'))
    await sleep(150)
    appendFileSync(join(folder, 'app.log.1'), '2\n')
    expect(await follower.has(2)).toEqual(['1', '2'])
    writeFileSync(path, '3\n')
    expect(await follower.has(3)).toEqual(['1', '2', '3'])
    // A program that reopens its log late, as with logrotate's "create".
    appendFileSync(join(folder, 'app.log.1'), 'late\n')
    expect(await follower.has(4)).toEqual(['1', '2', '3', 'late'])
  })

  test('survives deletion of the file and of its folder', async () => {
    const folder = join(createFolder(), 'logs')
    const path = join(folder, 'app.log')
    mkdirSync(folder)
    writeFileSync(path, '1\n')
    const follower = follow(path)
    await follower.has(1)
    rmSync(path)
    writeFileSync(path, '2\n')
    expect(await follower.has(2)).toEqual(['1', '2'])
    rmSync(folder, { recursive: true })
    await sleep(150)
    mkdirSync(folder)
    writeFileSync(path, '3\n')
    expect(await follower.has(3)).toEqual(['1', '2', '3'])
  })

  test('starts again when the file is truncated, also if it has grown past the old size meanwhile', async () => {
    const folder = createFolder()
    const path = join(folder, 'app.log')
    writeFileSync(path, '1\n')
    const follower = follow(path)
    await follower.has(1)
    copyFileSync(path, join(folder, 'app.log.1'))
    truncateSync(path)
    appendFileSync(path, '2\n3\n4\n')
    expect(await follower.has(4)).toEqual(['1', '2', '3', '4'])
    truncateSync(path)
    await sleep(150)
    appendFileSync(path, '5\n')
    expect(await follower.has(5)).toEqual(['1', '2', '3', '4', '5'])
  })

  test('does not merge a torn end that a repair has cut off with what is appended then', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, 'whole\ntorn by a ki')
    const follower = follow(path)
    await follower.has(1)
    await sleep(150)
    truncateSync(path, 6)
    appendFileSync(path, 'next line\n')
    expect(await follower.has(2)).toEqual(['whole', 'next line'])
  })

  test('ends at the signal, and at break, with all files closed', async () => {
    const path = join(createFolder(), 'app.log')
    writeFileSync(path, '1\n')
    const open = () => readdirSync('/proc/self/fd').length
    const warmUp = follow(path)
    await warmUp.has(1)
    await warmUp.stop()
    await sleep(20)
    const before = open()
    const follower = follow(path)
    await follower.has(1)
    await follower.stop()
    for await (const _ of readRecords(path, { follow: true })) break
    const waiting = readRecords(path, { follow: true, from: 'end' })
    const next = waiting.next()
    await sleep(50)
    await waiting.return()
    expect(await next).toEqual({ done: true, value: undefined })
    await sleep(20)
    expect(open()).toBe(before)
  })

  test('an event folder: logs that appear later are followed too', async () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a.log'), '1\n')
    const follower = follow(folder)
    await follower.has(1)
    writeFileSync(join(folder, 'b.log'), '2\n')
    await follower.has(2)
    appendFileSync(join(folder, 'a.log'), '3\n')
    expect(await follower.has(3)).toEqual(['a: 1', 'b: 2', 'a: 3'])
    await follower.stop()
  })
})

describe.skipIf(!native.canLock)('following the rotating file of other processes (need the addon)', () => {
  test.each([
    { compress: false, writers: 1 },
    { compress: false, writers: 3 },
    { compress: 'gzip', writers: 2 }
  ])(
    'returns every line once, in the order of each writer: $writers writers, compress $compress',
    async ({ compress, writers }) => {
      const folder = createFolder()
      const path = join(folder, 'app.log')
      const each = 6000
      const follower = follow(path)
      const code = `
        import { RotatingFile } from 'logboom'
        const [path, writer, compress] = process.argv.slice(1)
        const file = new RotatingFile({ path, maxBytes: 8192, compress: compress === 'false' ? false : compress })
        for (let at = 0; at < ${each}; at++) {
          file.write(writer + ' ' + at + ' ' + 'x'.repeat(at % 90) + '\\n')
          if (at % 50 === 0) await file.flush()
        }
        await file.close()`
      const children = Array.from({ length: writers }, (_, writer) =>
        spawn(process.execPath, ['--input-type=module', '-e', code, path, String(writer), String(compress)], {
          stdio: 'inherit'
        })
      )
      await Promise.all(children.map((child) => once(child, 'exit')))
      const lines = await follower.has(writers * each, 20_000)
      expect(readdirSync(folder).length).toBeGreaterThan(20)
      expect(lines.length).toBe(writers * each)
      for (let writer = 0; writer < writers; writer++) {
        const own = lines
          .filter((line) => line.startsWith(`${writer} `))
          .map((line) => Number(line.split(' ')[1]))
        expect(own).toEqual(Array.from({ length: each }, (_, at) => at))
      }
    }
  )
})
