// Options and paths that are refused: the same clear error from the class, from pino's transport and from winston's.
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createFolder } from '../../helpers/folder.ts'
import { exact, verify } from '../../helpers/verify.ts'
import { noLocks, startWriter, type WriterSettings } from '../../helpers/writers.ts'

const lock = !noLocks
const isRoot = process.getuid?.() === 0
const hosts = ['class', 'pino', 'pino-targets', 'winston'] as const

type Host = WriterSettings['host']

/** What a writer with `options` is told, by an exception or by 'error' on the main thread. */
async function refusal(host: Host, options: Record<string, unknown>): Promise<string> {
  const settings = { host, writer: 'a', options: { lock, ...options }, count: 1, end: 'stay' }
  const writer = startWriter(settings as never)
  await Promise.race([writer.exited, writer.until(() => writer.count('error') > 0).catch(() => {})])
  const told = writer.events.find(({ event }) => event === 'error' || event === 'thrown')
  expect(told, writer.stderr).toBeDefined()
  return told!.message!
}

describe.each(hosts)('%s refuses', (host) => {
  test.each([
    ['an unknown option', { maxByte: 1 }, "'maxByte'"],
    ['a negative size', { maxBytes: -1 }, "'maxBytes'"],
    ['permissions that look like a mistake', { mode: 640 }, "'mode'"],
    ['a time zone without rotateEvery', { timeZone: 'Europe/Berlin' }, "'timeZone'"]
  ])('%s', async (_, options, name) => {
    const folder = createFolder()
    const message = await refusal(host, { path: join(folder, 'app.log'), ...options })
    expect(message).toMatch(/\[ERR_OPTION\]$/)
    expect(message).toContain(name)
    expect(readdirSync(folder)).toEqual([])
  })

  test.skipIf(noLocks)('to share the file where `lock` is impossible (needs LOGBOOM_NATIVE=0)', async () => {
    const path = join(createFolder(), 'app.log')
    const writer = startWriter(
      { host, writer: 'a', options: { path, lock: true }, count: 1, end: 'stay' },
      { env: { LOGBOOM_NATIVE: '0' } }
    )
    await Promise.race([writer.exited, writer.until(() => writer.count('error') > 0).catch(() => {})])
    expect(writer.events[0].message).toMatch(/\[ERR_UNSUPPORTED\]$/)
  })

  const kinds: [string, (path: string) => unknown, RegExp][] = [
    ['a folder', (path) => mkdirSync(path), /\[ERR_NOT_FILE\]$/],
    ['a FIFO', (path) => execFileSync('mkfifo', [path]), /\[ERR_NOT_FILE\]$/],
    [
      'a socket',
      (path) => {
        const server = createServer().listen(path)
        onTestFinished(() => {
          server.close()
        })
        return sleep(50)
      },
      /\[ERR_NOT_FILE\]$/
    ],
    ['a symbolic link', (path) => symlinkSync('/dev/null', path), /\[ERR_SYMLINK\]$/],
    ['a dangling symbolic link', (path) => symlinkSync('nowhere', path), /\[ERR_SYMLINK\]$/]
  ]
  if (isRoot)
    kinds.push(['a device', (path) => execFileSync('mknod', [path, 'c', '1', '3']), /\[ERR_NOT_FILE\]$/])

  test.each(kinds)('a path that is %s', async (_, make, code) => {
    const path = join(createFolder(), 'app.log')
    await make(path)
    const message = await refusal(host, { path })
    expect(message).toMatch(code)
    expect(message).toContain(path)
  })

  test.skipIf(noLocks)('a lock file that is a symbolic link (needs the locks of the addon)', async () => {
    const folder = createFolder()
    const target = join(folder, 'target')
    writeFileSync(target, 'precious')
    symlinkSync(target, join(folder, '.app.log.lock'))
    expect(await refusal(host, { path: join(folder, 'app.log') })).toMatch(/\[ERR_SYMLINK\]$/)
  })
})

describe.skipIf(!isRoot)(
  'a folder that the user may not write to (needs root to become another user)',
  () => {
    test.each(hosts)('degrades %s, which writes everything when it may', async (host) => {
      const parent = createFolder()
      chmodSync(parent, 0o755)
      const folder = join(parent, 'logs')
      mkdirSync(folder, { mode: 0o755 })
      const path = join(folder, 'app.log')
      const wrapper = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
      const writer = startWriter(
        {
          host,
          writer: 'a',
          options: { path, lock, fallback: false },
          perTick: 10,
          tickMs: 10,
          tellSent: true
        },
        { wrapper }
      )
      await writer.until(() => writer.count('degraded') > 0 && writer.sent > 50)
      expect(writer.events[0]).toMatchObject({ event: 'degraded', code: 'EACCES' })
      chownSync(folder, 65_534, 65_534)
      const at = Date.now()
      await writer.until(() => writer.count('recovered') > 0)
      expect(writer.events.at(-1)!.at - at).toBeLessThan(1_000)
      writer.tell('stop')
      expect(await writer.exited).toMatchObject({ code: 0 })
      expect(verify(path, { records: { a: writer.sent } })).toMatchObject({ ...exact, records: writer.sent })
    })
  }
)
