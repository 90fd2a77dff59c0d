import { once } from 'node:events'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { DirectFile, EventFiles, withInternals } from '../../helpers/built.ts'
import { readDirectFile, readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'
import { runScript } from '../../helpers/run-script.ts'
import { startProcess } from '../../helpers/script.ts'
import { isLong } from '../../helpers/sized.ts'
import { createThreadFaults, type ThreadFaults } from '../../helpers/thread-faults.ts'
import { until } from '../../helpers/until.ts'

interface Subject {
  readonly path: string
  log(text: string): void
  flush(): Promise<void>
  close(): Promise<void>
  stats(): { dropped: number; records: number; queuedBytes: number; state: string }
}

/** How long closing waits without progress: eight seconds would only be waited for. */
const STALL_MS = 2_000
/** Some calls of a fifth of a second each are made before a record is on disk. */
const SLOW_STALL_MS = 2_500
const SLOW_RECORDS = 20

const kinds: Record<string, (faults: ThreadFaults, directIO?: 'auto' | 'off', stallMs?: number) => Subject> =
  {
    'a direct file': (faults, directIO = 'auto', stallMs = STALL_MS) => {
      const path = join(createFolder(), 'app.log')
      const file = withInternals(
        { threadDisk: faults.threadDisk, stallMs },
        () => new DirectFile({ path, fallback: false, directIO })
      )
      return {
        path,
        log: (text) => void file.log(text),
        flush: () => file.flush(),
        close: () => file.close(),
        stats: () => file.stats()
      }
    },
    'direct event files': (faults, directIO = 'auto', stallMs = STALL_MS) => {
      const dir = createFolder()
      const events = withInternals(
        { threadDisk: faults.threadDisk, stallMs },
        () => new EventFiles({ dir, output: 'direct-file', fallback: false, directIO, durability: 'disk' })
      )
      return {
        path: join(dir, 'app.log'),
        log: (text) => void events.log('app', text),
        flush: () => events.flush(),
        close: () => events.close(),
        stats: () => events.stats()
      }
    }
  }

const failures = isLong ? (['ENOSPC', 'EIO', 'HANG'] as const) : (['ENOSPC', 'HANG'] as const)

describe.each(Object.entries(kinds))('%s', (_, open) => {
  test.each(failures)(
    'that cannot be written (%s) rejects close() with exact numbers, and is left alone afterwards',
    async (fault) => {
      const faults = createThreadFaults()
      const subject = open(faults)
      for (let index = 0; index < 10; index++) subject.log(`before ${index}`)
      await subject.flush()
      faults.fail('writev', fault)
      for (let index = 0; index < 100; index++) subject.log(`lost ${index}`)
      await expect(subject.close()).rejects.toThrow(/100 records.*ERR_LOST/)
      expect(subject.stats()).toMatchObject({ dropped: 100, records: 10, queuedBytes: 0, state: 'closed' })
      const { size, mtimeMs } = statSync(subject.path)
      faults.heal()
      await delay(600)
      expect(statSync(subject.path)).toMatchObject({ size, mtimeMs })
      const found = readdirSync(join(subject.path, '..')).filter((name) => !name.startsWith('.'))
      expect(found.flatMap((name) => readTexts(join(subject.path, '..', name))).length).toBe(10)
    },
    60_000
  )

  test('that is slow is closed with everything written, however long it takes', async () => {
    const faults = createThreadFaults()
    const subject = open(faults, 'off', SLOW_STALL_MS)
    faults.fail('any', 'SLOW')
    const started = performance.now()
    // Each call takes a fifth of a second, and there are more of them than fit in the time without progress that ends a wait.
    for (let index = 0; index < SLOW_RECORDS; index++) subject.log('x'.repeat(1_100_000 + index))
    await subject.close()
    expect(performance.now() - started).toBeGreaterThan(SLOW_STALL_MS + 500)
    expect(subject.stats()).toMatchObject({ dropped: 0, records: SLOW_RECORDS })
    faults.heal()
    expect(readDirectFile(subject.path)).toMatchObject({ damage: [], records: SLOW_RECORDS })
  })

  test('recovers when the disk does before close() gives up', async () => {
    const faults = createThreadFaults()
    const subject = open(faults)
    faults.fail('writev', 'ENOSPC')
    for (let index = 0; index < 100; index++) subject.log(`${index}`)
    const closed = subject.close()
    await until(() => faults.hits > 5)
    faults.heal()
    await closed
    expect(readTexts(subject.path).length).toBe(100)
  })
})

test('await using writes everything', async () => {
  const path = join(createFolder(), 'app.log')
  {
    await using file = new DirectFile({ path })
    for (let index = 0; index < 1_000; index++) file.log(`${index}`)
  }
  expect(readTexts(path).length).toBe(1_000)
})

test('process.exit in the middle of close() loses nothing', async () => {
  const folder = createFolder()
  const child = await startProcess(`
    import { DirectFile, EventFiles } from 'logboom'
    const file = new DirectFile({ path: ${JSON.stringify(join(folder, 'a.log'))} })
    const events = new EventFiles({ dir: ${JSON.stringify(folder)}, output: 'direct-file' })
    for (let id = 0; id < 50000; id++) { file.log(\`\${id}\`); events.log('e', \`\${id}\`) }
    file.close()
    events.close()
    console.log('closing')
    setImmediate(() => process.exit(0))`)
  if (child.exitCode === null) await once(child, 'exit')
  expect(readTexts(join(folder, 'a.log')).length).toBe(50_000)
  expect(readTexts(join(folder, 'e.log')).length).toBe(50_000)
})

test('a disk whose syncs and writes keep failing gathers no files', async () => {
  const faults = createThreadFaults()
  const folder = createFolder()
  const path = join(folder, 'app.log')
  const file = withInternals(
    { threadDisk: faults.threadDisk },
    () => new DirectFile({ path, fallback: false, directIO: 'off', maxBackups: 2 })
  )
  file.log('before')
  await file.flush()
  faults.fail('fdatasync', 'EIO')
  file.log('after')
  const flushed = file.flush()
  await until(() => faults.hits > 6)
  faults.heal()
  await flushed
  await file.close()
  const names = readdirSync(folder).filter((name) => !name.startsWith('.'))
  expect(names.length).toBe(2)
  expect(names.flatMap((name) => readTexts(join(folder, name))).sort()).toEqual(['after', 'before'])
})

test.runIf(isLong)(
  'several that cannot be written share the time that there is at the exit of the process',
  async () => {
    const file = join(createFolder(), 'file')
    writeFileSync(file, '')
    const { code, stderr, elapsedMs } = await runScript(`
    import { DirectFile, LoggerManager } from 'logboom'
    const place = ${JSON.stringify(file)}
    const files = [new DirectFile({ path: place + '/a.dlog' }), new LoggerManager({ dir: place + '/m' })]
    for (let i = 0; i < 100; i++) {
      files[0].log('text')
      files[1].log('event', 'text')
    }
    setTimeout(() => process.exit(), 300)`)
    expect(code).toBe(0)
    expect(stderr.match(/100 records/g)).toHaveLength(2)
    expect(elapsedMs).toBeLessThan(14_000)
  }
)
