// Files that somebody else could have put into the folders of a spool are left alone, and hold nobody up.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { native } from '../../../src/native/index.ts'
import { createLines, createSpool, eventsOf } from '../../helpers/create-spool.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { hiddenNames, publishedNames, publishedText } from '../../helpers/spool.ts'

const isRoot = process.geteuid?.() === 0
const NOBODY = 65_534

/** A manifest and a temp file that its spool could not publish. */
async function leaveBehind(path: string, text: string): Promise<{ manifest: string; temp: string }> {
  const faulty = createFaultyDisk()
  faulty.fault = (operation) => (operation === 'renameNoReplace' ? 'EROFS' : undefined)
  const dead = createLines({ path }, faulty.disk)
  dead.write(text)
  await dead.close()
  const names = readdirSync(path)
  const find = (end: string): string => join(path, names.find((name) => name.endsWith(end)) as string)
  return { manifest: find('.note'), temp: find('.tmp') }
}

/** Writes and publishes through a spool of its own; resolves with the codes of its warnings. */
async function warningsOf(path: string): Promise<string[]> {
  const spool = createSpool({ path })
  const events = eventsOf(spool)
  await spool.write('mine\n')
  await spool.flush()
  await spool.close()
  // Events come behind the present call.
  await new Promise(setImmediate)
  return events
}

describe.skipIf(!native.canLock)('left behind, it seems', () => {
  test.skipIf(!isRoot)('by another user: nothing of it is published, and a warning says so', async () => {
    const path = createFolder()
    const { manifest, temp } = await leaveBehind(path, 'planted\n')
    for (const file of [manifest, temp]) chownSync(file, NOBODY, NOBODY)
    expect(await warningsOf(path)).toEqual(['ERR_OWNER'])
    expect(publishedText(path)).toBe('mine\n')
    expect([existsSync(manifest), existsSync(temp)]).toEqual([true, true])
  })

  test.skipIf(!isRoot)('by us, but its temp file by another user: left alone', async () => {
    const path = createFolder()
    const { temp } = await leaveBehind(path, 'planted\n')
    chownSync(temp, NOBODY, NOBODY)
    expect(await warningsOf(path)).toEqual(['ERR_OWNER'])
    expect(publishedText(path)).toBe('mine\n')
    expect(existsSync(temp)).toBe(true)
  })

  test('a manifest that others may write to: not believed', async () => {
    const path = createFolder()
    const { manifest, temp } = await leaveBehind(path, 'doubtful\n')
    chmodSync(manifest, 0o666)
    expect(await warningsOf(path)).toEqual(['ERR_OWNER'])
    expect([publishedText(path), existsSync(temp)]).toEqual(['mine\n', true])
  })

  test('a manifest that is a second name of another file: that is neither locked, written nor removed', async () => {
    const path = createFolder()
    const victim = join(createFolder(path), 'victim')
    writeFileSync(victim, 'precious', { mode: 0o600 })
    const planted = join(path, `.spool-1-${'0'.repeat(16)}.note`)
    linkSync(victim, planted)
    expect(await warningsOf(path)).toEqual(['ERR_OWNER'])
    expect([readFileSync(victim, 'utf8'), lstatSync(victim).nlink]).toEqual(['precious', 2])
  })

  test('a symbolic link, a folder, a FIFO in the place of a manifest: nobody waits, nobody follows', {
    timeout: 20_000
  }, async () => {
    const path = createFolder()
    const root = createFolder()
    const victim = join(root, 'victim')
    writeFileSync(victim, 'precious')
    symlinkSync(victim, join(path, `.spool-1-${'0'.repeat(16)}.note`))
    mkdirSync(join(path, `.spool-2-${'0'.repeat(16)}.note`))
    expect(spawnSync('mkfifo', [join(path, `.spool-3-${'0'.repeat(16)}.note`)]).status).toBe(0)
    await warningsOf(path)
    expect(publishedText(path)).toBe('mine\n')
    expect(readFileSync(victim, 'utf8')).toBe('precious')
  })

  test('a temp file whose place a link or FIFO has taken: not followed, not published', {
    timeout: 20_000
  }, async () => {
    for (const plant of ['link', 'fifo']) {
      const path = createFolder()
      const root = createFolder()
      const victim = join(root, 'victim')
      writeFileSync(victim, 'precious', { mode: 0o644 })
      const { temp } = await leaveBehind(path, 'gone\n')
      renameSync(temp, join(root, 'temp'))
      if (plant === 'link') symlinkSync(victim, temp)
      else spawnSync('mkfifo', [temp])
      await warningsOf(path)
      expect(publishedText(path)).toBe('mine\n')
      expect([readFileSync(victim, 'utf8'), lstatSync(victim).mode & 0o777]).toEqual(['precious', 0o644])
    }
  })
})

test('a FIFO that took the place of a published file does not hold up flush to disk', {
  timeout: 20_000
}, async () => {
  const path = createFolder()
  const spool = createSpool({ path })
  await spool.write('x')
  await spool.flush('os')
  const [name] = publishedNames(path)
  renameSync(join(path, name), join(createFolder(), name))
  expect(spawnSync('mkfifo', [join(path, name)]).status).toBe(0)
  await spool.flush('disk')
  await spool.close()
  expect(hiddenNames(path)).toEqual([])
})
