// The commands on a write-ahead log.
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { runCli, startCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'

async function createLog(): Promise<{ walDir: string; names: string[] }> {
  const walDir = join(createFolder(), 'wal')
  const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096 })
  for (let i = 1; i <= 50; i++) await log.log([`entry ${i} ${'x'.repeat(200)}`])
  await log.close()
  return { walDir, names: readdirSync(walDir).filter((name) => name.endsWith('.wal')) }
}

test('cat, tail, info and verify read a sound log', async () => {
  const { walDir } = await createLog()
  const cat = await runCli(['cat', walDir])
  expect(cat).toMatchObject({ code: 0, stderr: '' })
  expect(cat.stdout.trimEnd().split('\n').length).toBe(50)
  const tail = await runCli(['tail', '-n', '1', '--json', walDir])
  expect(JSON.parse(tail.stdout)).toMatchObject({ index: 50 })
  expect((await runCli(['info', walDir])).stdout).toMatch(/committed index +50/)
  expect((await runCli(['verify', walDir])).code).toBe(0)
})

test('tail -f prints what is appended', async () => {
  const walDir = join(createFolder(), 'wal')
  const log = await WriteAheadLog.open({ walDir })
  await log.log(['before'])
  const child = startCli(['tail', '-f', walDir])
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  await expect.poll(() => output, { timeout: 10_000 }).toBe('before\n')
  await log.log(['after', 'that'])
  await expect.poll(() => output, { timeout: 10_000 }).toBe('before\nafter\nthat\n')
  await log.close()
})

test('of a log whose segments are all gone verify says so and exits with 2; repair makes it go on', async () => {
  const { walDir, names } = await createLog()
  const folder = join(walDir, '..')
  for (const name of names) rmSync(join(walDir, name))
  for (const path of [walDir, folder]) {
    const verify = await runCli(['verify', path])
    expect(verify.code).toBe(2)
    expect(verify.stdout).toContain(`damaged ${walDir}`)
  }
  expect((await runCli(['cat', walDir])).code).toBe(3)
  expect((await runCli(['repair', walDir])).code).toBe(0)
  const log = await WriteAheadLog.open({ walDir })
  expect(log.lastIndex).toBe(0n)
  await log.log(['new'])
  await (await log.createSnapshot())?.release()
  await log.close()
  // Its snapshots alone are left.
  for (const name of readdirSync(walDir)) rmSync(join(walDir, name), { recursive: true })
  expect((await runCli(['verify', walDir])).code).toBe(2)
  expect((await runCli(['repair', walDir])).code).toBe(0)
  const again = await WriteAheadLog.open({ walDir })
  expect(again.lastIndex).toBe(1n)
  await again.close()
})

test('so it is of a log whose folder is gone, too, when there are snapshots of it', async () => {
  const folder = createFolder()
  for (const walDir of [join(folder, 'wal'), join(folder, 'beside', 'log')]) {
    const log = await WriteAheadLog.open({ walDir })
    await log.log(['a', 'b'])
    await (await log.createSnapshot())?.release()
    await log.close()
    rmSync(walDir, { recursive: true })
    await expect(WriteAheadLog.open({ walDir })).rejects.toMatchObject({ code: 'ERR_CORRUPT' })
    const verify = await runCli(['verify', walDir])
    expect(verify).toMatchObject({ code: 2, stdout: expect.stringContaining(`damaged ${walDir}`) })
    expect(await runCli(['cat', walDir])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('there is no log')
    })
    expect((await runCli(['repair', walDir])).code).toBe(0)
    const again = await WriteAheadLog.open({ walDir })
    expect(again.lastIndex).toBe(2n)
    await again.close()
  }
  rmSync(join(folder, 'wal'), { recursive: true })
  rmSync(join(folder, 'beside'), { recursive: true })
  expect(await runCli(['verify', folder])).toMatchObject({
    code: 2,
    stdout: expect.stringContaining(`damaged ${join(folder, 'wal')}`)
  })
  expect((await runCli(['verify', join(folder, 'other')])).code).toBe(3)
})

test('verify says no of a log whose lock file no writer would use', async () => {
  const { walDir } = await createLog()
  const lock = join(walDir, '.lock')
  const victim = join(walDir, '..', 'victim')
  writeFileSync(victim, '')
  const plants = {
    ERR_SYMLINK: () => symlinkSync(victim, lock),
    ERR_NOT_FILE: () => mkdirSync(lock)
  }
  for (const [code, plant] of Object.entries(plants)) {
    rmSync(lock, { recursive: true })
    plant()
    await expect(WriteAheadLog.open({ walDir, fallback: false })).rejects.toMatchObject({ code })
    expect((await new WriteAheadLog({ walDir, fallback: false }).verify()).damage).toMatchObject([
      { kind: 'corrupt', file: '.lock' }
    ])
    const verify = await runCli(['verify', walDir])
    expect(verify).toMatchObject({ code: 2, stdout: expect.stringContaining('no writer can open the log') })
  }
})

test.skipIf(process.getuid?.() !== 0)('verify tells of files that another user owns', async () => {
  for (const wanted of ['.lock', 'the last segment']) {
    const { walDir, names } = await createLog()
    const file = wanted === '.lock' ? wanted : names[names.length - 1]
    chownSync(join(walDir, file), 1234, 1234)
    await expect(WriteAheadLog.open({ walDir, fallback: false })).rejects.toMatchObject({ code: 'ERR_OWNER' })
    const damageOf = async (foreignOwner: 'allow' | 'refuse') =>
      (await new WriteAheadLog({ walDir, foreignOwner, fallback: false }).verify()).damage
    expect(await damageOf('refuse')).toMatchObject([{ kind: 'corrupt', file }])
    expect(await damageOf('allow')).toEqual([])
    // Several users may share the log on purpose.
    expect(await runCli(['verify', walDir])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`${file} belongs to another user (uid 1234)`)
    })
  }
})

test('verify names the damage and exits with 2; repair keeps the damaged file; then all is well', async () => {
  const { walDir, names } = await createLog()
  const path = join(walDir, names[1])
  const bytes = readFileSync(path)
  bytes[500] ^= 1
  writeFileSync(path, bytes)
  const verify = await runCli(['verify', walDir])
  expect(verify.code).toBe(2)
  expect(verify.stdout).toContain(`damaged ${path}`)
  expect(verify.stdout).toContain('corrupt: wrong checksum')
  expect(readFileSync(path)).toEqual(bytes)
  const repair = await runCli(['repair', walDir])
  expect(repair).toMatchObject({ code: 0, stderr: '' })
  expect(readFileSync(`${path}.broken`)).toEqual(bytes)
  expect(existsSync(join(walDir, names[2]))).toBe(false)
  expect((await runCli(['verify', walDir])).code).toBe(0)
  const log = await WriteAheadLog.open({ walDir })
  expect(log.lastIndex).toBeGreaterThan(0n)
  await log.close()
})
