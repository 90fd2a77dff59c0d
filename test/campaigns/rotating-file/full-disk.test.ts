// Failing disks: the application lives on, the sink recovers by itself, and what a policy drops is counted exactly.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createFolder } from '../../helpers/folder.ts'
import { canMount, fill, fillInodes, mountExt4, mountTmpfs } from '../../helpers/mount.ts'
import { sized } from '../../helpers/sized.ts'
import { exact, verify } from '../../helpers/verify.ts'
import {
  noLocks,
  type StartOptions,
  startWriter,
  type Writer,
  type WriterSettings
} from '../../helpers/writers.ts'

const lock = !noLocks
const isRoot = process.getuid?.() === 0
// Some attempts fail meanwhile, the last ones at the longest pause.
const troubleMs = sized(5_000, 700)

function startSteady(
  host: WriterSettings['host'],
  options: WriterSettings['options'],
  start?: StartOptions
): Writer {
  const settings: WriterSettings = {
    host,
    writer: 'a',
    options: { lock, maxBytes: 200_000, fallback: false, ...options },
    bytes: [100, 300],
    perTick: 20,
    tickMs: 10,
    tellSent: true,
    acknowledge: true
  }
  return startWriter(settings, start)
}

/** The application still runs and can ask its sink how it is. */
async function expectDegraded(writer: Writer): Promise<void> {
  writer.stats = undefined
  writer.tell('stats')
  await writer.until(() => writer.stats !== undefined)
  expect(writer.stats).toMatchObject({ state: 'degraded' })
}

async function stop(writer: Writer): Promise<void> {
  writer.tell('stop')
  const { code } = await writer.exited
  expect(writer.stderr).toBe('')
  expect(code).toBe(0)
}

/** Breaks something under a running writer and repairs it again; says which error the sink saw. */
async function survive(
  writer: Writer,
  breakIt: () => void,
  repairIt: () => void,
  withinMs = 1_000
): Promise<{ code?: string; sentAtRecovery: number }> {
  await writer.until(() => writer.acked > 0 && writer.sent >= 200)
  breakIt()
  await writer.until(() => writer.count('degraded') > 0)
  await sleep(troubleMs)
  await expectDegraded(writer)
  repairIt()
  const repairedAt = Date.now()
  await writer.until(() => writer.count('recovered') > 0)
  expect(writer.events.find(({ event }) => event === 'recovered')!.at - repairedAt).toBeLessThan(withinMs)
  const sentAtRecovery = writer.sent
  await writer.until(() => writer.sent >= sentAtRecovery + 200)
  await stop(writer)
  expect(writer.count('degraded')).toBe(1)
  expect(writer.count('recovered')).toBe(1)
  return { code: writer.events.find(({ event }) => event === 'degraded')!.code, sentAtRecovery }
}

describe.skipIf(!canMount)('a full disk (needs root)', () => {
  type Host = WriterSettings['host']
  const hosts: readonly Host[] = ['class', 'pino', 'pino-targets', 'winston']

  test.each(hosts)("loses nothing through %s with overflow 'block'", async (host) => {
    const path = join(mountTmpfs('8m'), 'app.log')
    const writer = startSteady(host, { path })
    let makeSpace = (): void => {}
    const { code } = await survive(
      writer,
      () => {
        makeSpace = fill(dirname(path))
      },
      () => makeSpace()
    )
    expect(code).toBe('ENOSPC')
    const report = verify(path, { maxBytes: 200_000, records: { a: writer.sent } })
    expect(report).toMatchObject({ ...exact, records: writer.sent, notices: 0 })
  })

  test.each(sized<readonly Host[]>(hosts, ['pino-targets', 'winston']))(
    "loses nothing through %s with overflow 'block' and a small buffer, and the application goes on",
    async (host) => {
      const path = join(mountTmpfs('8m'), 'app.log')
      const writer = startSteady(host, { path, maxBufferBytes: '64k' })
      await writer.until(() => writer.acked > 0)
      const makeSpace = fill(dirname(path))
      await writer.until(() => writer.count('degraded') > 0)
      await sleep(troubleMs)
      writer.pong = false
      writer.tell('ping')
      await writer.until(() => writer.pong)
      makeSpace()
      await writer.until(() => writer.count('recovered') > 0)
      await stop(writer)
      const report = verify(path, { maxBytes: 200_000, records: { a: writer.sent } })
      expect(report).toMatchObject({ ...exact, records: writer.sent, notices: 0 })
    }
  )

  describe.each([
    ['drop-newest', sized<readonly Host[]>(hosts, ['class', 'pino'])],
    ['drop-oldest', sized<readonly Host[]>(hosts, ['class', 'winston'])]
  ] as const)('with overflow %s', (overflow, some) => {
    test.each(some)('drops a number of records through %s that it knows exactly', async (host) => {
      const path = join(mountTmpfs('8m'), 'app.log')
      const writer = startSteady(host, { path, overflow, maxBufferBytes: '64k' })
      let makeSpace = (): void => {}
      const { sentAtRecovery } = await survive(
        writer,
        () => {
          makeSpace = fill(dirname(path))
        },
        () => makeSpace()
      )
      const report = verify(path, { maxBytes: 200_000, records: {} })
      expect(report).toMatchObject(exact)
      const told = writer.events.reduce(
        (sum, { event, count = 0 }) => (event === 'dropped' ? sum + count : sum),
        0
      )
      expect(told).toBeGreaterThan(0)
      expect(report.dropped).toBe(told)
      expect(writer.stats!.dropped).toBe(told)
      expect(report.records + told).toBe(writer.sent)
      // Which ones: of those logged just before it recovered all or hardly any are there.
      const to = sentAtRecovery - 60
      const last = report.found.get('a')!.filter((n) => n > to - 100 && n <= to).length
      if (overflow === 'drop-oldest') expect(last).toBe(100)
      else expect(last).toBeLessThan(50)
      expect(report.found.get('a')!.at(-1)).toBe(writer.sent)
    })
  })

  test('while backups are compressed costs no record and leaves no temporary file', async () => {
    const path = join(mountTmpfs('8m'), 'app.log')
    const writer = startSteady('class', { path, compress: 'gzip' })
    let makeSpace = (): void => {}
    await survive(
      writer,
      () => {
        makeSpace = fill(dirname(path))
      },
      () => makeSpace()
    )
    expect(verify(path, { maxBytes: 200_000, records: { a: writer.sent } })).toMatchObject(exact)
    expect(readdirSync(dirname(path)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('without free inodes keeps the records that would need a new file', async () => {
    const { folder } = mountExt4(['-N', '32'])
    const path = join(folder, 'app.log')
    const writer = startSteady('class', { path })
    let makeSpace = (): void => {}
    const { code } = await survive(
      writer,
      () => {
        makeSpace = fillInodes(folder)
      },
      () => makeSpace()
    )
    expect(code).toBe('ENOSPC')
    expect(verify(path, { maxBytes: 200_000, records: { a: writer.sent } })).toMatchObject(exact)
  })

  test('that the kernel makes read-only after an error is waited for until it is mounted anew', async () => {
    const { folder, device } = mountExt4(['-O', '^has_journal'])
    const path = join(folder, 'app.log')
    const saved = join(createFolder(), 'saved')
    const writer = startSteady('class', { path, maxBytes: 0 })
    const { code } = await survive(
      writer,
      () => writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, '1'),
      () => {
        copyFileSync(path, saved)
        mountTmpfs('8m', folder)
      }
    )
    expect(code).toBe('EROFS')
    expect(verify(path, { records: { a: writer.sent }, more: [saved] })).toMatchObject(exact)
  })
})

test('a file that reaches the size limit of the process is written on when it was moved away', async () => {
  const path = join(createFolder(), 'app.log')
  const away = `${path}.away`
  const wrapper = ['bash', '-c', 'ulimit -S -f 600; exec "$0" "$@"']
  const writer = startSteady('class', { path, maxBytes: 0 }, { wrapper })
  const { code } = await survive(
    writer,
    () => {},
    () => {
      // Not to be reached a second time, however slow this test is.
      execFileSync('prlimit', ['--pid', String(writer.child.pid), '--fsize=unlimited'])
      renameSync(path, away)
    }
  )
  expect(code).toBe('EFBIG')
  expect(verify(path, { records: { a: writer.sent }, more: [away] })).toMatchObject(exact)
})

test('without free file handles the sink rotates with its own', async () => {
  const path = join(createFolder(), 'app.log')
  const wrapper = ['bash', '-c', 'ulimit -n 256; exec "$0" "$@"']
  const writer = startSteady('class', { path, maxBytes: 20_000 }, { wrapper })
  await writer.until(() => writer.acked > 0 && writer.sent >= 200)
  writer.tell('exhaust')
  const sentBefore = writer.sent
  // Many files of 20 000 bytes.
  await writer.until(() => writer.acked >= sentBefore + 1_000)
  writer.tell('release')
  await stop(writer)
  expect(writer.count('degraded')).toBe(0)
  expect(verify(path, { maxBytes: 20_000, records: { a: writer.sent } })).toMatchObject(exact)
})

test.each(['class', 'pino', 'winston'] as const)(
  'a folder replaced by a file is made anew when the file is gone, through %s',
  async (host) => {
    const folder = join(createFolder(), 'logs')
    const path = join(folder, 'app.log')
    const away = `${folder}.away`
    const writer = startSteady(host, { path, maxBytes: 0 })
    const { code } = await survive(
      writer,
      () => {
        renameSync(folder, away)
        writeFileSync(folder, '')
      },
      () => unlinkSync(folder)
    )
    expect(code).toBe('ENOTDIR')
    expect(verify(path, { records: { a: writer.sent }, more: [join(away, 'app.log')] })).toMatchObject(exact)
  }
)

test('without `mkdir` a removed folder is waited for', async () => {
  const folder = join(createFolder(), 'logs')
  const path = join(folder, 'app.log')
  mkdirSync(folder)
  const away = `${folder}.away`
  const writer = startSteady('class', { path, maxBytes: 0, mkdir: false })
  const { code } = await survive(
    writer,
    () => renameSync(folder, away),
    () => mkdirSync(folder)
  )
  expect(code).toBe('ENOENT')
  expect(verify(path, { records: { a: writer.sent }, more: [join(away, 'app.log')] })).toMatchObject(exact)
})

test.skipIf(!isRoot)('a folder that the user may not enter any more is waited for (needs root)', async () => {
  const folder = join(createFolder(), 'logs')
  chmodSync(dirname(folder), 0o755)
  mkdirSync(folder)
  chownSync(folder, 65_534, 65_534)
  const path = join(folder, 'app.log')
  const wrapper = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  const writer = startSteady('class', { path }, { wrapper })
  const { code } = await survive(
    writer,
    () => chmodSync(folder, 0),
    () => chmodSync(folder, 0o755)
  )
  expect(code).toBe('EACCES')
  expect(verify(path, { maxBytes: 200_000, records: { a: writer.sent } })).toMatchObject(exact)
})
