// Odd company: many short-lived processes, all at the limit at once, different options, several sinks in one process,
// a folder full of old backups.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { formatBackupName, groupBackups } from '../../../src/formats/backup-name.ts'
import { createFolder } from '../../helpers/folder.ts'
import { startProcess } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'
import { exact, filesOf, readWhole, verify } from '../../helpers/verify.ts'
import { noLocks, runWriters, startWriter, type WriterSettings } from '../../helpers/writers.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

describe.skipIf(noLocks)('sharing one log (needs the locks of the addon)', { timeout: 300_000 }, () => {
  const shortLived = sized(200, 30)

  test(`${shortLived} processes that live for a moment lose and repeat nothing`, async () => {
    const path = join(createFolder(), 'app.log')
    const code = `
      import { RotatingFile } from 'logboom'
      const file = new RotatingFile({ path: ${JSON.stringify(path)}, maxBytes: 3000, compress: 'gzip' })
      const writer = process.argv[1]
      for (let n = 1; n <= 20; n++) file.write('#' + writer + ':' + n + ':50:' + 'x'.repeat(50 - writer.length - String(n).length - 7) + ';\\n')
    `
    let next = 0
    const lane = async (): Promise<void> => {
      while (next < shortLived) {
        const args = ['--input-type=module', '-e', code, `w${next++}`]
        const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' })
        expect(await once(child, 'exit')).toEqual([0, null])
      }
    }
    await Promise.all(Array.from({ length: 8 }, lane))
    const records = Object.fromEntries(Array.from({ length: shortLived }, (_, i) => [`w${i}`, 20]))
    expect(verify(path, { maxBytes: 3_000, records })).toMatchObject({ ...exact, records: shortLived * 20 })
  })

  test('sixteen processes that cross the limit at once rotate once for each crossing', async () => {
    const path = join(createFolder(), 'app.log')
    const count = sized(2_000, 200)
    const maxBytes = 10_100
    const writers = [...'abcdefghijklmnop'].map((writer) =>
      startWriter({
        host: 'class',
        writer,
        // One write for each line: all of them are at the limit all the time.
        options: { path, maxBytes, flushInterval: 0 },
        bytes: [100, 100],
        count,
        perTick: 1,
        start: 'told'
      })
    )
    await Promise.all(writers.map((writer) => writer.until(() => writer.ready)))
    for (const writer of writers) writer.tell('start')
    for (const writer of writers) expect(await writer.exited).toMatchObject({ code: 0 })
    const records = Object.fromEntries(writers.map(({ name }) => [name, count]))
    const report = verify(path, { maxBytes, records })
    expect(report).toMatchObject(exact)
    // Full files of a hundred lines each, and what is left.
    const files = filesOf(path).map((file) => readWhole(file).length)
    expect(files.length).toBe(Math.ceil((16 * count) / 100))
    expect(new Set(files)).toEqual(new Set([10_100]))
    const rotations = writers.reduce((sum, { stats }) => sum + stats!.rotations, 0)
    expect(rotations).toBe(files.length - 1)
  })

  test('processes with different options agree on who may do what', async () => {
    const path = join(createFolder(), 'app.log')
    const options: WriterSettings['options'][] = [
      { path, maxBytes: 50_000, compress: 'gzip' },
      { path, maxBytes: 100_000, compress: 'brotli' },
      { path, maxBytes: 70_000, durability: 'disk' },
      { path, maxBytes: 0, durability: 'none' },
      { path, maxBytes: 60_000, rotateEvery: '1s' },
      { path, maxBytes: 100_000, fsyncOnRotate: false, maxTotalBytes: '1g', maxAge: '1d' }
    ]
    const hosts = ['class', 'pino', 'winston'] as const
    const settings = options.map(
      (options, i): WriterSettings => ({
        host: hosts[i % 3],
        writer: `w${i}`,
        options,
        count: sized(20_000, 3_000),
        bytes: [60, 600],
        tickMs: 1
      })
    )
    await runWriters(settings)
    const records = Object.fromEntries(settings.map(({ writer, count }) => [writer, count!]))
    expect(verify(path, { records })).toMatchObject(exact)
  })

  test('two sinks of the class and a pino transport on one path in one process share it like processes', async () => {
    const path = join(createFolder(), 'app.log')
    const child = await startProcess(`
      import { once } from 'node:events'
      import { RotatingFile } from 'logboom'
      import pino from 'pino'
      const options = { path: ${JSON.stringify(path)}, maxBytes: 5000 }
      const a = new RotatingFile(options)
      const b = new RotatingFile(options)
      const transport = pino.transport({ target: 'logboom/rotating-file', options })
      const c = pino({ base: null, timestamp: false }, transport)
      const record = (writer, n) => '#' + writer + ':' + n + ':60:' + 'x'.repeat(60 - writer.length - String(n).length - 7) + ';'
      for (let n = 1; n <= 2000; n++) {
        a.write(record('a', n) + '\\n')
        b.write(record('b', n) + '\\n')
        c.info(record('c', n))
        if (n % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
      }
      await a.close()
      await b.close()
      console.log('done')
    `)
    if (child.exitCode === null) await once(child, 'exit')
    const records = { a: 2_000, b: 2_000, c: 2_000 }
    expect(verify(path, { maxBytes: 5_000, records })).toMatchObject({ ...exact, records: 6_000 })
  })
})

describe('old backups in the folder', () => {
  const rotations = 200

  /** Milliseconds of one rotation on the write path, the median. */
  async function rotationMs(backups: number, options: object): Promise<number> {
    const path = join(createFolder(), 'logs', 'app.log')
    mkdirSync(dirname(path))
    for (let i = 0; i < backups; i++) {
      writeFileSync(join(dirname(path), formatBackupName('app.log', 1_600_000_000 + i, 0, 'gz')), '')
    }
    const file = new RotatingFile({ path, lock: !noLocks, maxBytes: 100, ...options })
    const times: number[] = []
    for (let i = 0; i < rotations; i++) {
      const start = performance.now()
      file.writeLine('x'.repeat(99))
      times.push(performance.now() - start)
      // As between the records of an application; upkeep runs in the meantime.
      if (i % 10 === 9) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(file.stats().rotations).toBe(rotations - 1)
    await file.close()
    expect(groupBackups('app.log', readdirSync(dirname(path))).length).toBe(backups + rotations - 1)
    return times.sort((a, b) => a - b)[rotations / 2]
  }

  test.each([{}, { maxBackups: 1_000_000 }, { maxAge: '3650d' }])(
    'do not make a rotation dearer, with options %j',
    async (options) => {
      await rotationMs(10, options)
      const few = await rotationMs(10, options)
      const many = await rotationMs(sized(100_000, 5_000), options)
      console.log(
        `${JSON.stringify(options)}: a rotation takes ${few.toFixed(2)} ms, with many backups ${many.toFixed(2)} ms`
      )
      expect(many).toBeLessThan(few * 3 + 0.5)
    }
  )
})
