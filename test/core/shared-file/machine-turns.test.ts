// A log that several machines have mounted: one of them at a time has it. The machines are sinks of this process with
// other tokens; test/platform/network-file-systems.test.ts has real mounts.
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../../src/core/binary-file/binary-file.ts'
import { DirectFile } from '../../../src/core/direct-file/direct-file.ts'
import type { RotatingFileOptions } from '../../../src/core/rotating-file/options.ts'
import { RotatingFile } from '../../../src/core/rotating-file/rotating-file.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { Spool } from '../../../src/core/spool/spool.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { emptyLockState, encodeLockState } from '../../../src/formats/lock-file.ts'
import {
  decodeMachineNote,
  encodeMachineNote,
  machineNoteAt,
  machineNoteBytes
} from '../../../src/formats/machine-note.ts'
import { locksReach, mountIn } from '../../../src/io/file-system.ts'
import type { Network } from '../../../src/io/network.ts'
import { createFolder } from '../../helpers/folder.ts'
import { collect } from '../../helpers/read.ts'
import { until } from '../../helpers/until.ts'
import { noLocks } from '../../helpers/writers.ts'

const times = { silenceMs: 400, settleMs: 100, beatMs: 50 }

function machine(token: bigint, reach = true, more: Partial<Network> = {}): Network {
  return { find: () => ({ type: 'nfs4', locksReach: reach }), token: () => token, ...times, ...more }
}

let path: string
beforeEach(() => {
  path = join(createFolder(), 'app.log')
})

function open(network: Network, options: Partial<RotatingFileOptions> = {}): RotatingFile {
  const file = withInternals(
    { network },
    () => new RotatingFile({ path, fallback: false, lockTimeout: 50, ...options })
  )
  onTestFinished(() => file.close().catch(() => {}))
  return file
}

function noteIn(log: string) {
  const bytes = readFileSync(join(log, '..', `.${log.split('/').at(-1)}.lock`))
  return decodeMachineNote(bytes.subarray(machineNoteAt, machineNoteAt + machineNoteBytes))
}

describe.skipIf(noLocks)('with locks of the kernel', () => {
  test('another machine waits, says why, and takes over when nothing has come for long enough', async () => {
    const one = open(machine(1n))
    one.write('1\n')
    await one.flush()
    const two = open(machine(2n))
    const told: string[] = []
    two.on('degraded', ({ code, message }) => told.push(`${code} ${message}`))
    two.write('2\n')
    await until(() => told.length > 0)
    expect(told[0]).toMatch(
      /ERR_LOCK_TIMEOUT .*another machine \(.+\).*nfs4.*0\.4|ERR_LOCK_TIMEOUT .*another machine \(.+\).*nfs4/
    )
    expect(readFileSync(path, 'utf8')).toBe('1\n')
    await two.flush()
    expect(readFileSync(path, 'utf8')).toBe('1\n2\n')
    expect(noteIn(path).token).toBe(2n)
    expect(two.stats().state).toBe('open')
  })

  test('a machine that goes on writing keeps the log, whoever waits', async () => {
    const one = open(machine(1n))
    one.write('one\n')
    await one.flush()
    const two = open(machine(2n))
    two.write('two\n')
    for (const endMs = performance.now() + 3 * times.silenceMs; performance.now() < endMs; await sleep(10)) {
      one.write('one\n')
      await one.flush()
    }
    expect(readFileSync(path, 'utf8')).not.toContain('two')
    await one.close()
    await two.flush()
    expect(readFileSync(path, 'utf8')).toMatch(/^(one\n)+two\n$/)
  })

  test('who has lost it waits until it is free again, and nothing is mixed or lost', async () => {
    const one = open(machine(1n))
    const two = open(machine(2n))
    for (let round = 0; round < 2; round++) {
      one.write(`one ${round}\n`)
      await one.flush()
      two.write(`two ${round}\n`)
      await two.flush()
    }
    expect(readFileSync(path, 'utf8')).toBe('one 0\ntwo 0\none 1\ntwo 1\n')
  })

  test('processes of one machine take turns as ever', async () => {
    const one = open(machine(1n))
    const two = open(machine(1n))
    for (let n = 0; n < 20; n++) {
      ;(n % 2 === 0 ? one : two).write(`${n}\n`)
      await (n % 2 === 0 ? one : two).flush()
    }
    expect((await collect(path)).lines).toEqual(Array.from({ length: 20 }, (_, n) => `${n}`))
  })

  test('a write that a machine left unfinished is repaired by the next one, whose devices have other numbers', async () => {
    writeFileSync(path, 'whole\nhal')
    const { ino } = statSync(path, { bigint: true })
    const bytes = Buffer.alloc(machineNoteAt + machineNoteBytes)
    encodeLockState(
      { ...emptyLockState(), writing: true, pid: 7, dev: 99n, ino, offset: 0, length: 20 },
      bytes.subarray(0, 88)
    )
    encodeMachineNote({ token: 9n, beat: 3, name: 'gone' }).copy(bytes, machineNoteAt)
    writeFileSync(join(path, '../.app.log.lock'), bytes, { mode: 0o600 })
    const file = open(machine(2n))
    const repaired: number[] = []
    file.on('repaired', ({ bytes: cut }) => repaired.push(cut))
    file.write('next\n')
    await file.flush()
    expect(readFileSync(path, 'utf8')).toBe('whole\nnext\n')
    expect(repaired).toEqual([3])
  })

  test('who takes over goes on in the file that is at the path by now', async () => {
    const one = open(machine(1n))
    const two = open(machine(2n))
    two.write('1\n')
    await two.flush()
    one.write('2\n')
    await one.flush()
    await one.rotate()
    one.write('3\n')
    await one.flush()
    two.write('4\n')
    await two.flush()
    expect(readFileSync(path, 'utf8')).toBe('3\n4\n')
    expect((await collect(path)).lines).toEqual(['1', '2', '3', '4'])
  })

  test('where locks do not reach, of two that take over at once one has it', async () => {
    const left = open(machine(1n, false))
    left.write('0\n')
    await left.close()
    const files = [2n, 3n, 4n].map((token) => open(machine(token, false)))
    for (const [at, file] of files.entries()) for (let n = 0; n < 5; n++) file.write(`${at + 1} ${n}\n`)
    await Promise.all(files.map((file) => file.flush()))
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    expect(lines).toHaveLength(16)
    const owners = lines.slice(1).map((line) => line[0])
    expect(owners.filter((owner, at) => owner !== owners[at - 1])).toHaveLength(3)
  })

  test('a machine that slept through a takeover notices by the wall clock', async () => {
    let wallMs = 1_000_000
    const file = withInternals({ network: machine(1n, true, { beatMs: 60_000 }), now: () => wallMs }, () => {
      return new RotatingFile({ path, fallback: false, lockTimeout: 50 })
    })
    onTestFinished(() => file.close().catch(() => {}))
    file.write('1\n')
    await file.flush()
    const fd = openSync(join(path, '../.app.log.lock'), 'r+')
    writeSync(
      fd,
      encodeMachineNote({ token: 5n, beat: 1, name: 'other' }),
      0,
      machineNoteBytes,
      machineNoteAt
    )
    closeSync(fd)
    wallMs += 120_000
    file.write('2\n')
    await until(() => file.stats().state === 'degraded')
    expect(readFileSync(path, 'utf8')).toBe('1\n')
  })

  test('backups are left alone by a machine that does not have the log', async () => {
    const one = open(machine(1n))
    for (let n = 0; n < 3; n++) {
      one.write(`${n}\n`)
      await one.rotate()
    }
    one.write('live\n')
    await one.flush()
    const two = open(machine(2n), { maxBackups: 1 })
    await sleep(100)
    expect((await collect(path)).lines).toEqual(['0', '1', '2', 'live'])
    two.write('more\n')
    await two.flush()
    await until(async () => (await collect(path)).lines.join() === '2,live,more')
  })

  test('binary files are held in the same way', async () => {
    const make = (token: bigint) =>
      withInternals(
        { network: machine(token) },
        () => new BinaryFile({ path, maxBytes: 1000, fallback: false, lockTimeout: 50 })
      )
    const [one, two] = [make(1n), make(2n)]
    onTestFinished(async () => void (await Promise.allSettled([one.close(), two.close()])))
    one.write('one')
    await one.flush()
    two.write('two')
    await until(() => two.stats().state === 'degraded')
    await two.flush()
    expect((await collect(path)).lines).toEqual(['one', 'two'])
  })

  test('a log that one machine alone has is not noted', async () => {
    const file = new RotatingFile({ path })
    file.write('1\n')
    await file.close()
    expect(statSync(join(path, '../.app.log.lock')).size).toBeLessThanOrEqual(machineNoteAt)
  })
})

test.each(['direct-file', 'wal', 'spool'])(
  '%s says what others do not see there, and nothing where they do',
  async (kind) => {
    for (const reach of [true, false]) {
      const folder = createFolder()
      const warnings: string[] = []
      const sink = withInternals({ network: machine(1n, reach) }, () => {
        if (kind === 'direct-file') return new DirectFile({ path: join(folder, 'a'), fallback: false })
        if (kind === 'spool') return new Spool({ path: join(folder, 'a'), fallback: false })
        return WriteAheadLog.openSync({ walDir: join(folder, 'a'), fallback: false })
      })
      sink.on('warning', ({ message }: { message: string }) => warnings.push(message))
      await sleep(20)
      await sink.close()
      expect(warnings.filter((text) => text.includes('do not see the locks'))).toHaveLength(reach ? 0 : 1)
    }
  }
)

describe('what is known of a mount', () => {
  const mountinfo = `22 28 0:20 / /sys rw,nosuid shared:2 - sysfs sysfs rw
97 28 0:45 / /data rw,relatime shared:51 - nfs4 server:/export rw,vers=4.2,hard,local_lock=none,addr=10.0.0.1
98 28 0:46 / /old rw,relatime - nfs server:/export rw,vers=3,nolock,local_lock=all
99 28 0:47 / /ssh rw,nosuid - fuse.sshfs host:/x rw,user_id=0
`
  test('is found by its device', () => {
    expect(mountIn(mountinfo, '0:45')?.type).toBe('nfs4')
    expect(mountIn(mountinfo, '0:47')?.type).toBe('fuse.sshfs')
    expect(mountIn(mountinfo, '0:4')).toBeUndefined()
  })

  test.each<[type: string, options: string[], reach: boolean]>([
    ['nfs4', ['rw', 'local_lock=none'], true],
    ['nfs4', ['nolock'], false],
    ['nfs', ['vers=3', 'local_lock=flock'], true],
    ['nfs', ['vers=3', 'local_lock=posix'], false],
    ['nfs', ['nolock', 'local_lock=all'], false],
    ['cifs', [], true],
    ['smb3', ['nobrl'], false],
    ['ceph', [], true],
    ['lustre', ['flock'], true],
    ['lustre', ['localflock'], false],
    ['lustre', [], false],
    ['9p', ['trans=virtio', 'cache=none'], false],
    ['fuse.sshfs', [], false],
    ['fuse.glusterfs', [], true],
    ['virtiofs', [], false],
    ['gfs2', ['lockproto=lock_nolock'], false],
    ['ocfs2', [], true],
    ['what', [], false]
  ])('%s with %j: others see the locks: %s', (type, options, reach) => {
    expect(locksReach({ type, options: new Set(options) })).toBe(reach)
  })
})
