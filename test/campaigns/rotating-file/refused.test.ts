// Options and paths that are refused: the same clear error from the class, from pino's transport and from winston's.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFolder } from '../../helpers/folder.ts'
import { exact, verify } from '../../helpers/verify.ts'
import { noLocks, startWriter, type WriterSettings } from '../../helpers/writers.ts'

const lock = !noLocks
const isRoot = process.getuid?.() === 0
const hosts = ['class', 'pino', 'pino-targets', 'winston'] as const

type Host = WriterSettings['host']

interface Refusal {
  readonly name: string
  /** Beside the path. */
  readonly options?: Record<string, unknown>
  /** What is at the path, and beside it, before. */
  readonly prepare?: (path: string) => unknown
  readonly code: string
  /** What the message names; the path if left out. */
  readonly named?: string
}

const refusals: Refusal[] = [
  ...(
    [
      ['an unknown option', { maxByte: 1 }, "'maxByte'"],
      ['a negative size', { maxBytes: -1 }, "'maxBytes'"],
      ['permissions that look like a mistake', { mode: 640 }, "'mode'"],
      ['a time zone without rotateEvery', { timeZone: 'Europe/Berlin' }, "'timeZone'"]
    ] as const
  ).map(([name, options, named]) => ({ name, options, code: 'ERR_OPTION', named })),
  { name: 'a path that is a folder', prepare: (path) => mkdirSync(path), code: 'ERR_NOT_FILE' },
  {
    name: 'a path that is a FIFO',
    prepare: (path) => execFileSync('mkfifo', [path]),
    code: 'ERR_NOT_FILE'
  },
  { name: 'a path that is a socket', prepare: listenAt, code: 'ERR_NOT_FILE' },
  {
    name: 'a path that is a symbolic link',
    prepare: (path) => symlinkSync('/dev/null', path),
    code: 'ERR_SYMLINK'
  },
  {
    name: 'a path that is a dangling symbolic link',
    prepare: (path) => symlinkSync('nowhere', path),
    code: 'ERR_SYMLINK'
  }
]
if (isRoot) {
  refusals.push({
    name: 'a path that is a device',
    prepare: (path) => execFileSync('mknod', [path, 'c', '1', '3']),
    code: 'ERR_NOT_FILE'
  })
}
if (lock) {
  refusals.push({
    name: 'a lock file that is a symbolic link',
    prepare(path) {
      writeFileSync(`${path}.target`, 'precious')
      symlinkSync(`${path}.target`, join(dirname(path), '.app.log.lock'))
    },
    code: 'ERR_SYMLINK',
    named: '.app.log.lock'
  })
}

async function listenAt(path: string): Promise<void> {
  const server = createServer().listen(path)
  sockets.push(server)
  await once(server, 'listening')
}
const sockets: Server[] = []

/**
 * What `host` is told of each of the options, by an exception or by 'error' on the main thread: all of it in one process,
 * which takes longer to start than all of the refusals.
 */
function tellRefusals(host: Host, options: unknown[], env: Record<string, string> = {}): string[] {
  const script = fileURLToPath(new URL('refusals.mjs', import.meta.url))
  const args = [script, JSON.stringify({ host, options })]
  const printed = execFileSync(process.execPath, args, { env: { ...process.env, ...env }, encoding: 'utf8' })
  return JSON.parse(printed)
}

describe.each(hosts)('%s refuses', (host) => {
  const folders = refusals.map(() => mkdtempSync(join(tmpdir(), 'logboom-test-')))
  const paths = folders.map((folder) => join(folder, 'app.log'))
  let told: string[] = []

  beforeAll(async () => {
    for (const [index, { prepare }] of refusals.entries()) await prepare?.(paths[index])
    told = tellRefusals(
      host,
      refusals.map(({ options }, index) => ({ lock, path: paths[index], ...options }))
    )
  })
  afterAll(() => {
    for (const server of sockets.splice(0)) server.close()
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })

  test.each(refusals.map((refusal, index) => [refusal.name, refusal, index] as const))(
    '%s',
    (_, { code, named, prepare }, index) => {
      expect(told[index]).toMatch(new RegExp(`\\[${code}\\]$`))
      expect(told[index]).toContain(named ?? paths[index])
      if (prepare === undefined) expect(readdirSync(folders[index])).toEqual([])
    }
  )

  test.skipIf(noLocks)('to share the file where `lock` is impossible (needs LOGBOOM_NATIVE=0)', () => {
    const path = join(createFolder(), 'app.log')
    expect(tellRefusals(host, [{ path, lock: true }], { LOGBOOM_NATIVE: '0' })).toEqual([
      expect.stringMatching(/\[ERR_UNSUPPORTED\]$/)
    ])
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
