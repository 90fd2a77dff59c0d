// The claim of a log, which keeps writers apart where there are no kernel locks.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Claim, claimFolderOf, describeOwner } from '../../../src/core/shared-file/claim.ts'
import { decodeClaim, encodeClaim, type Owner } from '../../../src/formats/claim-name.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { thisThread } from '../../../src/io/thread-life.ts'
import { createFaultyDisk } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { randomModule } from '../../helpers/random.ts'
import { built } from '../../helpers/script.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'

const options = { mode: 0o640, dirMode: 0o750, mkdir: true, foreignOwner: 'refuse' } as const

function createClaims(count: number, disk = realDisk): { path: string; claims: Claim[] } {
  const path = join(createFolder(), 'logs', 'app.log')
  return { path, claims: Array.from({ length: count }, () => new Claim(disk, path, options)) }
}

/** Leaves a claim as `owner` would. */
function leave(path: string, owner: Owner, token = 1): string {
  const folder = claimFolderOf(path)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, encodeClaim({ ...owner, token }))
  writeFileSync(file, '')
  return file
}

function claimsIn(folder: string): number {
  return readdirSync(folder).filter((name) => decodeClaim(name) !== undefined).length
}

test('one has it until it is released, and then nothing is left', () => {
  const { path, claims } = createClaims(2)
  const [one, other] = claims
  expect([one.take(), one.isHeld(), other.take(), other.isHeld()]).toEqual([true, true, false, false])
  expect(other.owner).toMatchObject({ pid: process.pid })
  expect(describeOwner(other.owner!, other.folder)).toContain('another sink of this process')
  one.release()
  expect([one.isHeld(), existsSync(claimFolderOf(path)), other.take()]).toEqual([false, false, true])
  other.release()
  other.release()
  expect(readdirSync(join(path, '..'))).toEqual([])
})

test('what the dead have left is removed and in nobody’s way', () => {
  const { path, claims } = createClaims(1)
  const { pid } = spawnSync('true')
  const self = thisThread()
  leave(path, { ...self, pid, thread: pid }, 1)
  // Its number was given to this process since.
  leave(path, { ...self, start: self.start + 1 }, 2)
  leave(path, { ...self, thread: 2 ** 31 - 1 }, 3)
  // Before the machine was started again.
  leave(path, { ...self, machine: '00000000' }, 4)
  writeFileSync(join(claimFolderOf(path), '.nfs0123'), '')
  expect(claims[0].take()).toBe(true)
  expect(claimsIn(claimFolderOf(path))).toBe(1)
})

test('a stopped process keeps it, and a killed one does not', async () => {
  const { path, claims } = createClaims(1)
  const code = `
    import { Claim } from ${built('core/shared-file/claim.js')}
    import { realDisk } from ${built('io/disk.js')}
    const claim = new Claim(realDisk, ${JSON.stringify(path)}, ${JSON.stringify(options)})
    console.log(claim.take())
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const [answer] = await once(child.stdout, 'data')
  expect(String(answer)).toBe('true\n')
  expect(claims[0].take()).toBe(false)
  expect(describeOwner(claims[0].owner!, claims[0].folder)).toContain(`process ${child.pid}`)
  child.kill('SIGSTOP')
  for (let turn = 0; turn < 20; turn++) expect(claims[0].take()).toBe(false)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(claims[0].take()).toBe(true)
})

test('of who is in another container nobody takes it, and the way out is named', () => {
  const { path, claims } = createClaims(1)
  const file = leave(path, { ...thisThread(), space: '00000000' })
  expect(claims[0].take()).toBe(false)
  const text = describeOwner(claims[0].owner!, claims[0].folder)
  expect(text).toContain('another container')
  expect(text).toContain(`remove ${claimFolderOf(path)}`)
  expect(existsSync(file)).toBe(true)
  rmSync(claimFolderOf(path), { recursive: true })
  expect(claims[0].take()).toBe(true)
})

test('who finds his claim removed or moved away has it no longer', () => {
  const { path, claims } = createClaims(2)
  const [one, other] = claims
  expect(one.take()).toBe(true)
  renameSync(join(path, '..'), join(path, '..', '..', 'moved'))
  expect(one.isHeld()).toBe(false)
  expect(other.take()).toBe(true)
  expect(one.take()).toBe(false)
  rmSync(claimFolderOf(path), { recursive: true })
  expect([other.isHeld(), one.take()]).toEqual([false, true])
})

describe('what lies in the place of the folder is not used', () => {
  test.each([
    ['a file', 'ERR_NOT_FILE', (folder: string) => writeFileSync(folder, 'mine')],
    ['a link', 'ERR_SYMLINK', (folder: string) => symlinkSync(createFolder(), folder)]
  ])('%s', (_, code, put) => {
    const { path, claims } = createClaims(1)
    mkdirSync(join(path, '..'))
    put(claimFolderOf(path))
    expect(() => claims[0].take()).toThrow(code)
  })

  test.skipIf(process.geteuid?.() !== 0)('a folder of another user', () => {
    const { path, claims } = createClaims(1)
    mkdirSync(claimFolderOf(path), { recursive: true })
    chownSync(claimFolderOf(path), 65_534, 65_534)
    expect(() => claims[0].take()).toThrow('ERR_OWNER')
    const allowed = new Claim(realDisk, path, { ...options, foreignOwner: 'allow' })
    expect(allowed.take()).toBe(true)
  })
})

describe('a disk that fails', () => {
  test.each(['mkdir', 'open', 'readdir'] as const)('%s: nothing is claimed, and later it is', (operation) => {
    const faulty = createFaultyDisk()
    const { path, claims } = createClaims(2, faulty.disk)
    const [one, other] = claims
    mkdirSync(join(path, '..'))
    faulty.fault = (called) => (called === operation ? 'ENOSPC' : undefined)
    expect(() => one.take()).toThrow('ENOSPC')
    expect(one.isHeld()).toBe(false)
    faulty.fault = () => undefined
    expect([other.take(), one.take()]).toEqual([true, false])
  })

  test('a claim that could not be removed is nobody’s any more', () => {
    const faulty = createFaultyDisk()
    const { claims } = createClaims(2, faulty.disk)
    const [one, other] = claims
    expect(one.take()).toBe(true)
    faulty.fault = (called) => (called === 'unlink' ? 'EIO' : undefined)
    one.release()
    expect(claimsIn(one.folder)).toBe(1)
    expect(other.take()).toBe(true)
    faulty.fault = () => undefined
    expect([other.isHeld(), one.take()]).toEqual([true, false])
    expect(claimsIn(one.folder)).toBe(1)
  })

  test('a folder that is missing and not to be made is a system error', () => {
    const { path } = createClaims(0)
    expect(() => new Claim(realDisk, path, { ...options, mkdir: false }).take()).toThrow('ENOENT')
  })
})

test('processes and threads that take it all the time, and are killed, never have it at once', async () => {
  const folder = createFolder()
  const journal = join(folder, 'journal')
  const path = join(folder, 'app.log')
  writeFileSync(journal, '')
  const rounds = sized(400, 60)
  // In the journal everybody writes when he has taken it, and before he releases it.
  const taker = `
    import { appendFileSync } from 'node:fs'
    import { setTimeout as sleep } from 'node:timers/promises'
    import { threadId } from 'node:worker_threads'
    import { Claim } from ${built('core/shared-file/claim.js')}
    import { realDisk } from ${built('io/disk.js')}
    import { createRandom } from ${randomModule}
    const name = process.pid + '.' + threadId
    const random = createRandom(name)
    const claim = new Claim(realDisk, ${JSON.stringify(path)}, ${JSON.stringify(options)})
    for (let had = 0; had < ${rounds}; ) {
      if (claim.take()) {
        had++
        appendFileSync(${JSON.stringify(journal)}, 'in ' + name + '\\n')
        if (random() < 0.5) await sleep(random() * 3)
        appendFileSync(${JSON.stringify(journal)}, 'out ' + name + '\\n')
        claim.release()
      }
      await sleep(random() * 4)
    }`
  const threaded = `
    import { Worker } from 'node:worker_threads'
    for (let i = 0; i < 2; i++) new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(taker)})))
    ${taker}`
  const start = (code: string) =>
    spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' })
  const steady = [start(taker), start(threaded)]
  const ends = steady.map((child) => once(child, 'exit'))
  let isOver = false
  const over = Promise.all(ends).then((results) => {
    isOver = true
    return results
  })
  while (!isOver) {
    const victim = start(taker)
    await Promise.race([over, new Promise((resolve) => setTimeout(resolve, 120))])
    writeFileSync(journal, `kill ${victim.pid}.0\n`, { flag: 'a' })
    const exited = once(victim, 'exit')
    victim.kill('SIGKILL')
    await exited
  }
  expect((await over).map(([code]) => code)).toEqual([0, 0])
  const killed = new Set<string>()
  let owner: string | undefined
  let taken = 0
  for (const line of readFileSync(journal, 'utf8').trimEnd().split('\n')) {
    const [what, name] = line.split(' ')
    if (what === 'kill') {
      killed.add(name)
      continue
    }
    if (what === 'in') {
      if (owner !== undefined && !killed.has(owner)) throw new Error(`${name} took it while ${owner} had it`)
      owner = name
      taken++
      continue
    }
    expect(owner).toBe(name)
    owner = undefined
  }
  expect(taken).toBeGreaterThanOrEqual(4 * rounds)
})

const canUnshare = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0

describe.skipIf(!canUnshare)('another container of the machine (needs the right to make namespaces)', () => {
  /** A process in a namespace of its own, which takes the claim and keeps it. */
  async function startContained(path: string): Promise<ChildProcess> {
    const code = `
      import { Claim } from ${built('core/shared-file/claim.js')}
      import { realDisk } from ${built('io/disk.js')}
      const claim = new Claim(realDisk, ${JSON.stringify(path)}, ${JSON.stringify(options)})
      console.log(claim.take())
      process.stdin.on('data', () => { claim.release(); process.exit() })`
    const args = [
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      process.execPath,
      '--input-type=module',
      '-e',
      code
    ]
    const child = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [answer] = await once(child.stdout, 'data')
    expect(String(answer)).toBe('true\n')
    return child
  }

  test('keeps its claim while it lives, and has none when it was killed', async () => {
    const { path, claims } = createClaims(1)
    const child = await startContained(path)
    expect(claims[0].take()).toBe(false)
    expect(describeOwner(claims[0].owner!, claims[0].folder)).toContain('another container')
    child.kill('SIGKILL')
    await once(child, 'exit')
    await until(() => claims[0].take())
    claims[0].release()
    expect(existsSync(claims[0].folder)).toBe(false)
  })

  test('gives it back like any other', async () => {
    const { path, claims } = createClaims(1)
    const child = await startContained(path)
    expect(claims[0].take()).toBe(false)
    child.stdin!.write('release')
    await once(child, 'exit')
    expect(claims[0].take()).toBe(true)
  })
})
