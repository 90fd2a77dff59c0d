import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { realDisk } from '../../../src/io/disk.ts'
import { native } from '../../../src/native/index.ts'
import { DirectFile, EventFiles, LoggerManager, withInternals } from '../../helpers/built.ts'
import { readDirectFile, readTexts } from '../../helpers/direct-file-reader.ts'
import { createFolder } from '../../helpers/folder.ts'
import { startProcess } from '../../helpers/script.ts'
import { createThreadFaults } from '../../helpers/thread-faults.ts'

const buffer = new Uint8Array(Buffer.from('abcd'))
const wrongBytes: unknown[] = [
  'abcd',
  buffer.buffer,
  new DataView(buffer.buffer),
  {},
  { length: 3 },
  { length: -100 },
  [1, 2, 3],
  5,
  Number.NaN,
  null,
  undefined,
  true,
  Symbol('x'),
  10n,
  () => {},
  new Uint16Array(4),
  new BigInt64Array(2),
  new Uint8ClampedArray(4),
  new SharedArrayBuffer(8)
]
const wrongTexts: unknown[] = [
  buffer,
  {},
  { length: 3 },
  ['a'],
  5,
  null,
  undefined,
  new String('a'),
  Symbol('x')
]

test('a wrong type is refused with a code before anything is reserved, and costs no other record anything', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new DirectFile({ path, fallback: false })
  const writer = DirectFile.attach(file.share())
  const expected: string[] = []
  const put = (): void => {
    expected.push(`record ${expected.length}`)
    file.log(expected.at(-1)!)
  }
  for (const value of wrongBytes) {
    put()
    expect(() => file.logBytes(value as Buffer)).toThrow(/logBytes takes a Uint8Array.*ERR_ARGUMENT/)
    expect(() => writer.logBytes(value as Buffer)).toThrow(/ERR_ARGUMENT/)
    put()
  }
  for (const value of wrongTexts) {
    put()
    expect(() => file.log(value as string)).toThrow(/log takes a text.*ERR_ARGUMENT/)
    expect(() => writer.log(value as string)).toThrow(/ERR_ARGUMENT/)
    put()
  }
  writer.close()
  await file.close()
  expect(file.stats()).toMatchObject({ records: expected.length, dropped: 0 })
  expect(readTexts(path)).toEqual(expected)
  expect(readDirectFile(path)).toMatchObject({ damage: [], sealedRecords: expected.length })
})

test('bytes of another realm are bytes', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new DirectFile({ path })
  file.logBytes(runInNewContext('new Uint8Array([97, 98])') as Uint8Array)
  await file.close()
  expect(readTexts(path)).toEqual(['ab'])
})

test('event files over direct files refuse wrong types in the same way', async () => {
  const dir = createFolder()
  const manager = new LoggerManager({ dir, fallback: false })
  for (const value of wrongBytes) {
    manager.log('a', 'x')
    expect(() => manager.logBytesWithEvent('a', value as Buffer)).toThrow(/ERR_ARGUMENT/)
  }
  await manager.close()
  expect(readTexts(join(dir, 'a.log')).length).toBe(wrongBytes.length)
  expect(readDirectFile(join(dir, 'a.log')).damage).toEqual([])
})

test('attach takes what share() gives, and says so of anything else', async () => {
  const path = join(createFolder(), 'app.log')
  const file = new DirectFile({ path })
  const handle = file.share()
  const wrong: unknown[] = [undefined, null, {}, 5, 'x', JSON.parse(JSON.stringify(handle))]
  wrong.push({ ...handle, buffer: new SharedArrayBuffer(100) }, { ...handle, shape: undefined })
  wrong.push({ ...handle, buffer: new SharedArrayBuffer(handle.buffer.byteLength) })
  for (const name of ['shards', 'shardBytes', 'limitBytes'] as const) {
    for (const value of [0, 1, -1, 0.5, 1_000, 65_536, 2 ** 31, Number.NaN, Number.POSITIVE_INFINITY, '4']) {
      wrong.push({ ...handle, shape: { ...handle.shape, [name]: value } })
    }
  }
  for (const value of wrong) {
    expect(() => DirectFile.attach(value as typeof handle)).toThrow(/share\(\).*per-process.*ERR_ARGUMENT/)
  }
  await file.close()
  expect(() => DirectFile.attach(handle)).toThrow(/ERR_CLOSED/)
})

test.skipIf(!native.canLock)('the owner of a locked path is named, and the way out', async () => {
  const folder = createFolder()
  const file = new DirectFile({ path: join(folder, 'app.log') })
  expect(() => new DirectFile({ path: join(folder, 'app.log') })).toThrow(
    /this process.*per-process.*ERR_LOCKED/
  )
  const events = new EventFiles({ dir: folder, output: 'direct-file' })
  expect(() => new EventFiles({ dir: folder, output: 'direct-file' })).toThrow(/per-process.*ERR_LOCKED/)
  await events.close()
  await file.close()
})

test.skipIf(!native.canLock)(
  'event files of one process have one owner, also with names of the process',
  async () => {
    const dir = createFolder()
    const options = { dir, output: 'direct-file', instance: 'per-process' } as const
    const events = new EventFiles(options)
    expect(() => new EventFiles(options)).toThrow(/ERR_LOCKED/)
    await events.close()
    await new EventFiles(options).close()
  }
)

test('without kernel locks a second sink of the thread is refused, whatever way leads to its file', async () => {
  const folder = createFolder()
  const child = await startProcess(`
    import { mkdirSync, symlinkSync } from 'node:fs'
    process.env.LOGBOOM_NATIVE = '0'
    const { DirectFile, EventFiles } = await import('logboom')
    const folder = ${JSON.stringify(folder)}
    mkdirSync(folder + '/a')
    symlinkSync(folder + '/a', folder + '/b')
    const opens = [
      () => new DirectFile({ path: folder + '/a/app.log' }),
      () => new DirectFile({ path: folder + '/b/app.log' }),
      () => new EventFiles({ dir: folder + '/a', output: 'direct-file' }),
      () => new EventFiles({ dir: folder + '/b', output: 'direct-file' })
    ]
    const sinks = []
    const answers = opens.map((open) => {
      try {
        sinks.push(open())
        return 'open'
      } catch ({ code }) {
        return code
      }
    })
    for (const sink of sinks) await sink.close()
    await new DirectFile({ path: folder + '/b/app.log' }).close()
    process.exitCode = answers.join() === 'open,ERR_LOCKED,open,ERR_LOCKED' ? 0 : 1
    console.log(answers.join())`)
  if (child.exitCode === null) await once(child, 'exit')
  expect(child.exitCode).toBe(0)
})

test.each([null, 5, {}, Object.create(null), Symbol('level'), () => {}, { toString: 5 }])(
  'flush refuses what is no level',
  async (level) => {
    const file = new DirectFile({ path: join(createFolder(), 'app.log') })
    // A function is the callback of streams.
    if (typeof level !== 'function') {
      await expect(Promise.resolve().then(() => file.flush(level as 'os'))).rejects.toThrow(/ERR_ARGUMENT/)
    }
    expect(() => file.flushSync(level as 'os')).toThrow(/ERR_ARGUMENT/)
    await file.close()
  }
)

test.each(['ENOSPC', 'EACCES', 'EMFILE', 'EIO'])(
  'a disk that fails with %s while the file is opened is waited for, and the lock is not left behind',
  async (code) => {
    const path = join(createFolder(), 'app.log')
    const faults = createThreadFaults()
    let isFailing = true
    const disk = Object.fromEntries(
      Object.entries(realDisk).map(([name, run]) => [
        name,
        (...args: unknown[]) => {
          if (isFailing && /^(open|write|lstat)$/.test(name)) {
            throw Object.assign(new Error(`${code}: injected`), { code })
          }
          return (run as (...args: unknown[]) => unknown)(...args)
        }
      ])
    ) as unknown as typeof realDisk
    faults.fail('open', 'ENOSPC')
    const file = withInternals(
      { disk, threadDisk: faults.threadDisk },
      () => new DirectFile({ path, fallback: false })
    )
    file.log('one')
    isFailing = false
    faults.heal()
    await file.flush()
    if (native.canLock) expect(() => new DirectFile({ path })).toThrow(/ERR_LOCKED/)
    await file.close()
    const again = new DirectFile({ path })
    again.log('two')
    await again.close()
    expect(readTexts(path)).toEqual(['one', 'two'])
  }
)

test('a name whose backups could have no name is refused', async () => {
  const folder = createFolder()
  for (const bytes of [216, 240, 252, 300]) {
    const path = join(folder, 'n'.repeat(bytes))
    expect(() => new DirectFile({ path })).toThrow(/path.*ERR_OPTION/)
  }
  const file = new DirectFile({
    path: join(folder, 'n'.repeat(200)),
    bufferSize: '512k',
    numShards: 4,
    maxBytes: '128k'
  })
  for (let index = 0; index < 1_000; index++) file.log('x'.repeat(1_000))
  await file.close()
  expect(file.stats()).toMatchObject({ records: 1_000, dropped: 0 })
  const events = new EventFiles({
    dir: folder,
    output: 'direct-file',
    instance: 'per-process',
    maxBytes: '128k'
  })
  for (let index = 0; index < 400; index++) events.log('e'.repeat(300), 'x'.repeat(1_000))
  await events.close()
  expect(events.stats()).toMatchObject({ records: 400, dropped: 0 })
  expect(Math.max(...readdirSync(folder).map((name) => Buffer.byteLength(name)))).toBeLessThanOrEqual(255)
})
