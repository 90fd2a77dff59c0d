import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectFile, type DirectFileOptions } from 'logboom'
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { readDirectFile } from '../helpers/direct-file-reader.ts'
import { canMount, fill, type LoopKind, loopUnavailable, mountTmpfs, run } from '../helpers/mount.ts'
import { until } from '../helpers/until.ts'

/** A file system of `type` on a loop device with sectors of `sectorBytes`; skips the test where there can be none. */
function mountLoop(context: TestContext, type: LoopKind, sectorBytes: number): string {
  const missing = loopUnavailable(type)
  if (missing !== undefined) context.skip(missing)
  const folder = mkdtempSync(join(tmpdir(), 'logboom-loop-'))
  const image = join(folder, 'image')
  writeFileSync(image, '')
  truncateSync(image, 512 * 1024 * 1024)
  const device = run('losetup', '--find', '--show', '--sector-size', String(sectorBytes), image)
  const target = join(folder, 'mounted')
  mkdirSync(target)
  run(`mkfs.${type}`, '-q', device)
  run('mount', device, target)
  onTestFinished(() => {
    run('umount', target)
    run('losetup', '-d', device)
    rmSync(folder, { recursive: true, force: true })
  })
  return target
}

function mountOverlay(): string {
  const folder = mkdtempSync(join(tmpdir(), 'logboom-overlay-'))
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(folder, name))
  for (const each of [lower, upper, work, merged]) mkdirSync(each)
  run(
    'mount',
    '-t',
    'overlay',
    'overlay',
    '-o',
    `lowerdir=${lower},upperdir=${upper},workdir=${work}`,
    merged
  )
  onTestFinished(() => {
    run('umount', merged)
    rmSync(folder, { recursive: true, force: true })
  })
  return merged
}

/** Logs through two lives of the file, reads it back, and gives the warnings. */
async function logAndRead(folder: string, options: Partial<DirectFileOptions> = {}) {
  const path = join(folder, 'logs', 'app.log')
  const warnings: string[] = []
  for (let life = 0; life < 2; life++) {
    const file = new DirectFile({ path, fallback: false, ...options })
    file.on('warning', ({ message }) => warnings.push(message))
    for (let id = 0; id < 3_000; id++) file.log(`${life}:${id}:${'x'.repeat(id % 500)}`)
    await file.flush()
    file.log(`${life}:end`)
    await file.close()
  }
  const found: string[] = []
  const content = readDirectFile(path, (record) => found.push(record.toString().replace(/:x*$/, '')))
  expect(content.damage).toEqual([])
  const lives = [0, 1].flatMap((life) => [...Array(3_000).keys(), 'end'].map((id) => `${life}:${id}`))
  expect(found).toEqual(lives)
  return { warnings, size: statSync(path).size }
}

describe.skipIf(!canMount)('file systems (need root and loop devices)', () => {
  test('ext4 with sectors of 512 bytes: direct', async (context) => {
    const { warnings, size } = await logAndRead(mountLoop(context, 'ext4', 512), { directIO: 'require' })
    expect(warnings).toEqual([])
    expect(size % 512).toBe(0)
  })

  test('ext4 with sectors of 4096 bytes: direct, aligned to 4096', async (context) => {
    const { warnings, size } = await logAndRead(mountLoop(context, 'ext4', 4096), { directIO: 'require' })
    expect(warnings).toEqual([])
    expect(size % 4096).toBe(0)
  })

  test('XFS: direct', async (context) => {
    const { warnings } = await logAndRead(mountLoop(context, 'xfs', 512), {
      directIO: 'require',
      preallocate: native.backend === 'addon' ? '8m' : 0
    })
    expect(warnings).toEqual([])
  })

  test('XFS with sectors of 4096 bytes: direct, aligned to 4096', async (context) => {
    const { warnings, size } = await logAndRead(mountLoop(context, 'xfs', 4096), { directIO: 'require' })
    expect(warnings).toEqual([])
    expect(size % 4096).toBe(0)
  })

  test('tmpfs and overlayfs: right, directly or with the fallback said once', async () => {
    for (const folder of [mountTmpfs('64m'), mountOverlay()]) {
      const { warnings } = await logAndRead(folder)
      expect(warnings.length).toBeLessThanOrEqual(2)
      for (const warning of warnings) expect(warning).toContain('through the page cache')
    }
  })

  test.skipIf(native.backend !== 'addon')(
    'preallocated space does not change the size and is given back',
    async (context) => {
      const folder = mountLoop(context, 'ext4', 512)
      const path = join(folder, 'app.log')
      const file = new DirectFile({ path, preallocate: '16m' })
      file.log('x')
      await file.flush()
      expect(statSync(path).size).toBe(1024)
      expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(16 * 1024 * 1024)
      await file.close()
      expect(statSync(path).size).toBe(1024)
      expect(statSync(path).blocks * 512).toBeLessThan(1024 * 1024)
    }
  )

  test('a full disk: degraded once, and everything is there once there is room again', async () => {
    const folder = mountTmpfs('4m')
    const path = join(folder, 'app.log')
    const file = new DirectFile({ path, fallback: false, bufferSize: '1m', numShards: 4 })
    const events: string[] = []
    for (const name of ['degraded', 'recovered'] as const) file.on(name, () => events.push(name))
    file.log('before')
    await file.flush()
    const free = fill(folder)
    for (let id = 0; id < 1_000; id++) file.log(`${id}:${'x'.repeat(500)}`)
    const flushed = file.flush()
    await until(() => file.stats().state === 'degraded')
    const started = performance.now()
    free()
    await flushed
    expect(performance.now() - started).toBeLessThan(1_000)
    await file.close()
    expect(events).toEqual(['degraded', 'recovered'])
    const { records, damage } = readDirectFile(path)
    expect({ records, damage }).toEqual({ records: 1_001, damage: [] })
  })
})

test("directIO 'off' goes through the page cache without a word", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'logboom-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const { warnings } = await logAndRead(folder, { directIO: 'off' })
  expect(warnings).toEqual([])
})
