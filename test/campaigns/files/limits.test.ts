// Limits that the system sets a process, for every kind of sink: descriptors, the size of files, and the memory of a cgroup,
// whose end is a SIGKILL by the kernel.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tally } from '../../helpers/counts.ts'
import { createFolder } from '../../helpers/folder.ts'
import { works } from '../../helpers/mount.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { faultsIn, readStorm, reopen, type StormKind, StormWriter, stormKinds } from '../../helpers/storm.ts'
import { until } from '../../helpers/until.ts'

const times = sized(10, 1)
const chosen = sized(stormKinds, stormKinds.slice(5, 6)).map((kind) => ({ ...kind, kind }))
const RECOVER_MS = 20_000
const MEMORY = '/sys/fs/cgroup/memory'
const MEMORY_BYTES = 160 * 1024 * 1024

async function expectAll(kind: StormKind, folder: string, writer: StormWriter): Promise<void> {
  await reopen(kind, folder)
  const found = await readStorm(kind, folder)
  expect(faultsIn(kind, found, new Map([[writer.name, writer.acknowledged]]))).toEqual([])
  expect(found.foreign).toEqual([])
  expect(writer.notes.filter(({ fault }) => fault !== undefined)).toEqual([])
  tally('records', found.records)
}

/** A limit that is set and lifted again while a process writes. */
async function limited(kind: StormKind, set: string, lifted: string): Promise<void> {
  const folder = createFolder()
  const writer = new StormWriter(kind, folder, createFolder(), 'w')
  const limit = (value: string): void =>
    void execFileSync('prlimit', ['--pid', String(writer.child.pid), value])
  await writer.until(1)
  await delay(random() * 50)
  limit(set)
  await delay(random() * 500)
  limit(lifted)
  const before = writer.acknowledged
  await until(() => !writer.isRunning || writer.acknowledged > before, {
    timeoutMs: RECOVER_MS,
    what: 'it goes on without the limit'
  })
  expect(writer.isRunning, writer.stderr).toBe(true)
  await writer.kill()
  tally('faults')
  await expectAll(kind, folder, writer)
}

describe.skipIf(!works('prlimit', '--version'))('a limit for a while (needs prlimit)', () => {
  test.each(chosen)(
    `${times} times of open files costs nothing that goes to $name`,
    async ({ kind }) => {
      for (let round = 0; round < times; round++)
        await limited(kind, '--nofile=12:4096', '--nofile=1024:4096')
    },
    60_000 + times * RECOVER_MS
  )

  test.each(chosen)(
    `${times} times of the size of files costs nothing that goes to $name`,
    async ({ kind }) => {
      const unlimited = '--fsize=unlimited'
      for (let round = 0; round < times; round++) await limited(kind, '--fsize=20000:unlimited', unlimited)
    },
    60_000 + times * RECOVER_MS
  )
})

const noMemoryGroup = process.getuid?.() !== 0 || !existsSync(join(MEMORY, 'memory.limit_in_bytes'))

describe.skipIf(noMemoryGroup)('the memory of a cgroup (needs root and cgroup v1)', () => {
  test.each(chosen)(
    `${times} processes that use it up leave $name whole`,
    async ({ kind }) => {
      const group = join(MEMORY, `logboom-${process.pid}-${Math.floor(random() * 1e9)}`)
      mkdirSync(group)
      onTestFinished(() => until(() => works('rmdir', group)).then(() => {}))
      writeFileSync(join(group, 'memory.limit_in_bytes'), String(MEMORY_BYTES))
      const folder = createFolder()
      const notes = createFolder()
      const wrapper = ['sh', '-c', `echo $$ > ${group}/cgroup.procs; exec "$@"`, 'sh']
      const acknowledged = new Map<string, number>()
      for (let round = 0; round < times; round++) {
        const writer = new StormWriter(kind, folder, notes, `w${round}`, { wrapper, hogBytes: 3_000_000 })
        expect((await writer.exited).signal).toBe('SIGKILL')
        acknowledged.set(writer.name, writer.acknowledged)
        tally('out of memory')
      }
      await reopen(kind, folder)
      const found = await readStorm(kind, folder)
      expect(faultsIn(kind, found, acknowledged)).toEqual([])
      expect(found.foreign).toEqual([])
      expect(found.records).toBeGreaterThan(times)
    },
    60_000 + times * RECOVER_MS
  )
})
