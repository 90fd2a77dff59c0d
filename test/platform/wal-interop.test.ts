// etcd's own programs read what we wrote, and we read what they write.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { createFolder } from '../helpers/folder.ts'
import { readLog } from '../helpers/wal-log.ts'

function has(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0
}

const noEtcdctl =
  has('etcdctl', '--version') || has('etcdctl', 'version') ? '' : ' (skipped: needs etcd-client)'
const noGo = has('go', 'version') ? '' : ' (skipped: needs Go)'

/** An etcd request with nothing but an unknown field, which is what etcd's own tools need entries to parse as. */
function request(text: string): Buffer {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0xc2, 0x3e, payload.length]), payload])
}

/** A log of several segments, with a released snapshot in the middle. */
async function writeLog(
  folder: string,
  record: (i: number) => Uint8Array,
  metadata: Uint8Array
): Promise<string> {
  const walDir = join(folder, 'member/wal')
  mkdirSync(join(folder, 'member'))
  const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096, metadata, keepSegments: 100 })
  for (let i = 1; i <= 120; i++) {
    await log.log([record(i)])
    if (i === 50) await (await log.createSnapshot())!.release()
  }
  await log.close()
  expect(readdirSync(walDir).filter((name) => name.endsWith('.wal')).length).toBeGreaterThan(2)
  return walDir
}

describe(`etcdctl backup${noEtcdctl}`, () => {
  test.skipIf(noEtcdctl !== '')('accepts our folder, and we read the copy it writes', async () => {
    const folder = createFolder()
    await writeLog(folder, (i) => request(`record ${i} ${'x'.repeat(60)}`), Uint8Array.of(8, 1, 16, 2))
    const backup = join(folder, 'backup')
    const args = ['backup', '--data-dir', folder, '--backup-dir', backup]
    execFileSync('etcdctl', args, { env: { ...process.env, ETCDCTL_API: '2' }, stdio: 'pipe' })
    expect(readdirSync(join(backup, 'member/snap')).filter((name) => name.endsWith('.snap')).length).toBe(1)
    const { entries, replay } = readLog(join(backup, 'member/wal'))
    expect(replay.lastIndex).toBe(120n)
    expect(entries[entries.length - 1].text).toContain('record 120 ')
  })
})

describe(`etcd's wal package, version 3.6${noGo}`, () => {
  test.skipIf(noGo !== '')(
    'opens our log for writing and appends; we go on behind it',
    { timeout: 300_000 },
    async () => {
      const folder = createFolder()
      const walDir = await writeLog(
        folder,
        (i) => Buffer.from(`record ${i} ${'x'.repeat(60)}`),
        Buffer.from('meta')
      )
      const program = join(folder, 'etcdcheck')
      const source = join(import.meta.dirname, '../../bench/go')
      execFileSync('go', ['build', '-o', program, './etcdcheck'], { cwd: source, stdio: 'pipe' })
      const check = (append: number) =>
        JSON.parse(execFileSync(program, [walDir, `${append}`], { encoding: 'utf8' }))
      const found = check(3)
      expect(found).toMatchObject({ Metadata: 'meta', Commit: 120, Snapshot: 50 })
      expect(found.Entries.length).toBe(70)
      expect(found.Entries[0]).toMatch(/^51 record 51 /)

      const log = await WriteAheadLog.open({ walDir, fallback: false })
      expect(log.lastIndex).toBe(123n)
      const texts: string[] = []
      for await (const { index, data } of log.read(120n)) texts.push(`${index} ${data}`)
      expect(texts.slice(1)).toEqual(['121 from etcd 121', '122 from etcd 122', '123 from etcd 123'])
      expect(await log.log(['ours again'])).toEqual({ firstIndex: 124n, lastIndex: 124n })
      await log.close()
      expect(check(0)).toMatchObject({ Commit: 124 })
      expect(await new WriteAheadLog({ walDir }).verify()).toMatchObject({ ok: true, lastIndex: 124n })
    }
  )
})
