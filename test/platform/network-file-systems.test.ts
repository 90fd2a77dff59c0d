// Real mounts of one folder that know nothing of each other, as two machines would have them. The kernel's clients of NFS
// and SMB are not part of every kernel; sshfs needs FUSE alone, keeps the oldest views of all, and shares no locks.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { internals, withInternals } from '../../src/core/sink/internals.ts'
import { networkFileSystem } from '../../src/io/file-system.ts'
import { createFolder } from '../helpers/folder.ts'
import { collect } from '../helpers/read.ts'
import { mountTwice, whyNoSshfs } from '../helpers/sshfs.ts'
import { until } from '../helpers/until.ts'
import { noLocks } from '../helpers/writers.ts'

/** Views of sshfs live for 20 s. */
const SHORT = { silenceMs: 1_500, settleMs: 300, beatMs: 200 }

function open(folder: string, isShort = true): RotatingFile {
  const network = { ...internals().network, ...(isShort ? SHORT : {}) }
  const file = withInternals({ network }, () => {
    return new RotatingFile({
      path: join(folder, 'app.log'),
      fallback: false,
      lockTimeout: 100,
      maxBytes: 60
    })
  })
  onTestFinished(() => file.close().catch(() => {}))
  return file
}

test('a disk of this machine is none of a network', () => {
  expect(networkFileSystem(createFolder())).toBeUndefined()
  expect(networkFileSystem(join(createFolder(), 'not', 'made', 'yet'))).toBeUndefined()
})

const reason = whyNoSshfs ?? (noLocks ? 'needs the addon' : undefined)
describe.skipIf(reason !== undefined)(`sshfs${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  test('is known, and that others do not see locks taken there', async () => {
    const { one } = await mountTwice()
    expect(networkFileSystem(one)).toMatchObject({ type: 'fuse.sshfs', locksReach: false })
  })

  test('one of two mounts has the log; the other one takes over in silence, and no line is torn, lost or doubled', async () => {
    const { behind, one, other } = await mountTwice()
    const [first, second] = [open(one), open(other)]
    const lines: string[] = []
    for (let n = 0; n < 20; n++) {
      const line = `first ${String(n).padStart(3, '0')}`
      lines.push(line)
      first.write(`${line}\n`)
      await first.flush()
    }
    second.write('second 000\n')
    await until(() => second.stats().state === 'degraded')
    expect(readdirSync(behind).length).toBeGreaterThan(3)
    await second.flush()
    lines.push('second 000')
    expect((await collect(join(behind, 'app.log'))).lines).toEqual(lines)
    await second.close()
    await first.close()
  }, 30_000)

  test('with the times that are usual the second one is kept waiting, and told why', async () => {
    const { behind, one, other } = await mountTwice()
    const first = open(one, false)
    first.write('first\n')
    await first.flush()
    const second = open(other, false)
    const told: string[] = []
    second.on('degraded', ({ message }) => told.push(message))
    second.write('second\n')
    await until(() => told.length > 0)
    expect(told[0]).toContain('fuse.sshfs')
    expect(readFileSync(join(behind, 'app.log'), 'utf8')).toBe('first\n')
  }, 30_000)
})
