import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LaneFolder, logKey } from '../../../src/core/lane/lane-folder.ts'
import { MappedRing } from '../../../src/core/lane/mapped-ring.ts'
import { LaneOwner, sweepOwners } from '../../../src/core/lane/owner.ts'
import { ringName } from '../../../src/formats/lane-names.ts'
import { type Disk, realDisk } from '../../../src/io/disk.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { createLaneFolder, description, nameOf, takeAll } from '../../helpers/lane.ts'
import { built, startProcess, startThread } from '../../helpers/script.ts'
import { until } from '../../helpers/until.ts'

const subject = { path: '/var/log/app.log', kind: 'rotating-file', options: { maxBytes: 9 } }

/** What a child or thread does: an owner with one ring that holds one record. */
function ownerScript(folder: LaneFolder, tail: string): string {
  return `import { LaneFolder, LaneOwner, realDisk } from ${built('core/lane/internals.js')}
    const owner = LaneOwner.create(LaneFolder.open(realDisk, ${JSON.stringify(folder.path)}))
    owner.createRing(${JSON.stringify(subject)}, 4096).append('left behind')
    ${tail}`
}

describe.skipIf(!MappedRing.isAvailable)('a lane folder (needs the addon)', () => {
  test('is private, and so is all that is in it, whatever the umask', () => {
    const before = process.umask(0)
    try {
      const folder = createLaneFolder()
      expect(statSync(folder.path).mode & 0o777).toBe(0o700)
      const owner = LaneOwner.create(folder)
      owner.createRing(subject, 4096)
      const names = readdirSync(folder.path)
      expect(names).toHaveLength(2)
      for (const name of names) expect(statSync(folder.pathOf(name)).mode & 0o777, name).toBe(0o600)
      owner.close()
    } finally {
      process.umask(before)
    }
  })

  test('knows whether it is on a memory file system; elsewhere records carry checksums', () => {
    if (memoryRoot !== undefined) expect(createLaneFolder().isMemory).toBe(true)
    const disk: Disk = { ...realDisk, fileSystemType: () => 0xef53 }
    const folder = LaneFolder.open(disk, join(createFolder(memoryRoot), 'lane'))
    expect(folder.isMemory).toBe(false)
    const owner = LaneOwner.create(folder)
    const ring = owner.createRing(subject, 4096)
    expect(ring.header.isChecked).toBe(true)
    ring.append('sum of me')
    expect(takeAll(folder.openRing(nameOf(ring))!).map(String)).toEqual(['sum of me'])
    expect(readFileSync(ring.path).includes('sum of me')).toBe(true)
  })

  test('is by default below the first memory file system, and where there is none that is said', () => {
    const made: string[] = []
    const own = createFolder()
    const disk: Disk = {
      ...realDisk,
      fileSystemType: () => 0x0102_1994,
      mkdir: (path) => void made.push(path),
      lstat: () => realDisk.lstat(own)
    }
    const folder = LaneFolder.open(disk)
    expect(folder.path).toBe(`/dev/shm/logboom-${process.geteuid!()}`)
    expect(made).toEqual([folder.path])
    const none: Disk = { ...realDisk, fileSystemType: () => 0xef53 }
    expect(() => LaneFolder.open(none)).toThrow(/no memory file system.*\/dev\/shm.*dir.*ERR_UNSUPPORTED/)
  })

  test.each([
    { what: 'a link', code: 'ERR_SYMLINK', make: (path: string, other: string) => symlinkSync(other, path) },
    { what: 'a file', code: 'ERR_NOT_FILE', make: (path: string) => writeFileSync(path, '') },
    {
      what: 'a folder that others can write to',
      code: 'ERR_OWNER',
      make: (path: string) => {
        mkdirSync(path)
        chmodSync(path, 0o777)
      }
    }
  ])('is refused where it is $what', ({ make, code }) => {
    const parent = createFolder(memoryRoot)
    mkdirSync(join(parent, 'other'), { mode: 0o700 })
    make(join(parent, 'lane'), join(parent, 'other'))
    expect(() => LaneFolder.open(realDisk, join(parent, 'lane'))).toThrow(code)
    expect(LaneFolder.existing(realDisk, join(parent, 'lane')).map(({ path }) => path)).not.toContain(
      join(parent, 'lane')
    )
  })

  test('is refused where it is of another user', () => {
    const folder = createLaneFolder()
    const disk: Disk = { ...realDisk, lstat: (path) => ({ ...realDisk.lstat(path)!, uid: 4711 }) }
    expect(() => LaneFolder.open(disk, folder.path)).toThrow(/another user.*4711.*ERR_OWNER/)
  })

  test.each(['ENOSPC', 'EDQUOT', 'EMFILE'])('says that there is no room for a ring: %s', (code) => {
    const refuse = () => {
      throw Object.assign(new Error(`${code}: refused`), { code })
    }
    const path = join(createFolder(memoryRoot), 'lane')
    for (const call of ['open', 'fallocate', 'write', 'chmod', 'renameNoReplace'] as const) {
      const whole = LaneFolder.open(realDisk, path)
      const owner = LaneOwner.create(whole)
      const folder = LaneFolder.open({ ...realDisk, [call]: refuse }, path)
      const name = { log: logKey(realDisk, subject.path), owner: owner.id, number: 1 }
      expect(() => folder.createRing(name, 4096, description), call).toThrow(`${code}: refused [ERR_IO]`)
      expect(readdirSync(path), call).toEqual([`${owner.id}.owner`])
      owner.close()
    }
  })

  test('makes rings also where blocks cannot be reserved', () => {
    const unsupported = () => {
      throw Object.assign(new Error('EOPNOTSUPP'), { code: 'EOPNOTSUPP' })
    }
    const folder = LaneFolder.open(
      { ...realDisk, fallocate: unsupported },
      join(createFolder(memoryRoot), 'lane')
    )
    const ring = LaneOwner.create(folder).createRing(subject, 1024 * 1024)
    const { size, blocks } = statSync(ring.path)
    expect(size).toBe(ring.bytes)
    expect(blocks * 512).toBeGreaterThanOrEqual(size)
  })

  test('has all blocks of a ring from the beginning', () => {
    const ring = LaneOwner.create(createLaneFolder()).createRing(subject, 1024 * 1024)
    const { size, blocks } = statSync(ring.path)
    expect(blocks * 512).toBeGreaterThanOrEqual(size)
  })

  test('opens a ring only if it is a whole one of ours', () => {
    const folder = createLaneFolder()
    const ring = LaneOwner.create(folder).createRing(subject, 4096)
    const name = nameOf(ring)
    const other = { ...name, number: 7 }
    const path = folder.pathOf(ringName(other))
    const refusal = (code: string) => expect(() => folder.openRing(other), code).toThrow(code)
    expect(folder.openRing(other)).toBeUndefined()
    symlinkSync(ring.path, path)
    refusal('ERR_SYMLINK')
    rmSync(path)
    mkdirSync(path)
    refusal('ERR_IO')
    rmSync(path, { recursive: true })
    for (const bytes of [0, 27, 4095, 4096, 8191, ring.bytes - 1]) {
      copyFileSync(ring.path, path)
      truncateSync(path, bytes)
      refusal('ERR_CORRUPT')
    }
    copyFileSync(ring.path, path)
    const bytes = readFileSync(path)
    for (const [at, value] of [
      [0, 0],
      [12, 8],
      [4095, 1],
      [4096, 1],
      [4096 + 64, 8]
    ]) {
      const changed = Buffer.from(bytes)
      changed[at] ^= value === 0 ? 1 : value
      writeFileSync(path, changed)
      refusal('ERR_CORRUPT')
    }
    writeFileSync(path, bytes)
    expect(folder.openRing(other)!.header.description).toBe(ring.header.description)
  })

  test('fills the holes of a ring before it is mapped', () => {
    const folder = createLaneFolder()
    const ring = LaneOwner.create(folder).createRing(subject, 1024 * 1024)
    const sparse = { ...nameOf(ring), number: 2 }
    const path = folder.pathOf(ringName(sparse))
    writeFileSync(path, readFileSync(ring.path).subarray(0, 8192))
    truncateSync(path, ring.bytes)
    expect(folder.openRing(sparse)!.written).toBe(0)
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(ring.bytes)
  })

  test('removes a ring with its large records, and what unfinished rings have left', () => {
    const folder = createLaneFolder()
    const owner = LaneOwner.create(folder)
    const first = owner.createRing(subject, 1024)
    const second = owner.createRing(subject, 1024)
    for (const ring of [first, second]) ring.append('x'.repeat(2000))
    expect(readdirSync(folder.path)).toHaveLength(5)
    folder.removeRing(nameOf(first))
    expect(readdirSync(folder.path)).toHaveLength(3)
    expect(takeAll(folder.openRing(nameOf(second))!).map(String)).toEqual(['x'.repeat(2000)])
    renameSync(second.path, `${second.path}.new`)
    owner.close()
    expect(readdirSync(folder.path)).toEqual([])
  })

  test('lists rings and owners, and nothing else', () => {
    const folder = createLaneFolder()
    const owner = LaneOwner.create(folder)
    const ring = owner.createRing(subject, 1024)
    for (const name of ['app.log', 'x.ring', `${owner.id}.owner.bak`, `${nameOf(ring).log}.ring`]) {
      writeFileSync(folder.pathOf(name), '')
    }
    expect(folder.list()).toEqual({ rings: [nameOf(ring)], owners: [owner.id] })
    expect(owner.rings).toEqual([nameOf(ring)])
    rmSync(folder.path, { recursive: true })
    expect(folder.list()).toEqual({ rings: [], owners: [] })
  })

  test('names rings after the log, whatever way leads there', () => {
    const folder = createFolder()
    mkdirSync(join(folder, 'logs'))
    symlinkSync(join(folder, 'logs'), join(folder, 'link'))
    const key = logKey(realDisk, join(folder, 'logs/app.log'))
    expect(key).toMatch(/^[0-9a-f]{16}$/)
    expect(logKey(realDisk, join(folder, 'link/app.log'))).toBe(key)
    expect(logKey(realDisk, join(folder, 'link/../logs/./app.log'))).toBe(key)
    expect(logKey(realDisk, join(folder, 'link/sub/app.log'))).toBe(
      logKey(realDisk, join(folder, 'logs/sub/app.log'))
    )
    expect(logKey(realDisk, join(folder, 'logs/other.log'))).not.toBe(key)
  })
})

describe.skipIf(!MappedRing.isAvailable)('an owner (needs the addon)', () => {
  test('lives as long as its process, also while that is stopped, and can be replaced afterwards', async () => {
    const folder = createLaneFolder()
    const child = await startProcess(ownerScript(folder, `console.log('ready'); setInterval(() => {}, 1000)`))
    const [id] = folder.list().owners
    expect(LaneOwner.adopt(folder, id)).toBeUndefined()
    child.kill('SIGSTOP')
    expect(LaneOwner.adopt(folder, id)).toBeUndefined()
    child.kill('SIGKILL')
    const owner = (await until(() => LaneOwner.adopt(folder, id)))!
    const [name] = owner.rings
    const ring = folder.openRing(name)!
    expect(JSON.parse(ring.header.description)).toMatchObject({ ...subject, pid: child.pid })
    expect(takeAll(ring).map(String)).toEqual(['left behind'])
    ring.close()
    // Nobody else takes its place meanwhile.
    expect(LaneOwner.adopt(folder, id)).toBeUndefined()
    folder.removeRing(name)
    owner.close()
    expect(readdirSync(folder.path)).toEqual([])
  })

  test('ends with its thread', async () => {
    const folder = createLaneFolder()
    const script = ownerScript(
      folder,
      `const { parentPort } = await import('node:worker_threads'); parentPort.on('message', () => {}).postMessage(0)`
    )
    const { worker } = await startThread(script)
    const [id] = folder.list().owners
    expect(LaneOwner.adopt(folder, id)).toBeUndefined()
    await worker.terminate()
    const owner = (await until(() => LaneOwner.adopt(folder, id)))!
    expect(takeAll(folder.openRing(owner.rings[0])!).map(String)).toEqual(['left behind'])
    owner.close()
    expect(folder.list().owners, 'an owner whose rings are still there').toEqual([id])
  })

  test('is one for each thread and folder, until the last user closes it', () => {
    const folder = createLaneFolder()
    const owner = LaneOwner.ofThread(folder)
    expect(LaneOwner.ofThread(LaneFolder.open(realDisk, folder.path))).toBe(owner)
    owner.close()
    expect(existsSync(folder.pathOf(`${owner.id}.owner`))).toBe(true)
    owner.close()
    expect(readdirSync(folder.path)).toEqual([])
    const next = LaneOwner.ofThread(folder)
    expect(next).not.toBe(owner)
    // A close too many takes nothing from the next one.
    owner.close()
    expect(LaneOwner.ofThread(folder)).toBe(next)
    next.close()
    next.close()
  })

  test('whose file was taken away is none any more: rings made then have an owner that others can find', () => {
    const folder = createLaneFolder()
    const owner = LaneOwner.ofThread(folder)
    rmSync(folder.pathOf(`${owner.id}.owner`))
    const next = LaneOwner.ofThread(folder)
    expect(next.id).not.toBe(owner.id)
    expect(existsSync(folder.pathOf(`${next.id}.owner`))).toBe(true)
    owner.close()
    expect(LaneOwner.ofThread(folder)).toBe(next)
    next.close()
    next.close()
    expect(readdirSync(folder.path)).toEqual([])
  })

  test('without rings leaves nothing, and what a dead one left is swept', async () => {
    const folder = createLaneFolder()
    const living = LaneOwner.create(folder)
    const dead = `${'0'.repeat(32)}.owner`
    writeFileSync(folder.pathOf(dead), '', { mode: 0o600 })
    sweepOwners(folder)
    expect(readdirSync(folder.path)).toEqual([`${living.id}.owner`])
    living.close()
    expect(readdirSync(folder.path)).toEqual([])
  })

  test('is not taken over by a file that is none of ours', () => {
    const folder = createLaneFolder()
    const id = 'ab'.repeat(16)
    const path = folder.pathOf(`${id}.owner`)
    expect(LaneOwner.adopt(folder, id)).toBeUndefined()
    mkdirSync(path)
    expect(() => LaneOwner.adopt(folder, id)).toThrow('ERR_IO')
    rmSync(path, { recursive: true })
    writeFileSync(join(folder.path, 'target'), '')
    symlinkSync(join(folder.path, 'target'), path)
    expect(() => LaneOwner.adopt(folder, id)).toThrow('ERR_IO')
    rmSync(path)
    linkSync(join(folder.path, 'target'), path)
    const foreign: Disk = { ...realDisk, fstat: (fd) => ({ ...realDisk.fstat(fd), uid: 4711 }) }
    expect(() => LaneOwner.adopt(LaneFolder.open(foreign, folder.path), id)).toThrow('ERR_OWNER')
  })

  test('whose file went while its lock was waited for is not taken over', () => {
    const folder = createLaneFolder()
    const id = 'cd'.repeat(16)
    const path = folder.pathOf(`${id}.owner`)
    writeFileSync(path, '')
    const lock: Disk['lock'] = (fd, slot, waitMs) => {
      rmSync(path)
      return realDisk.lock(fd, slot, waitMs)
    }
    expect(LaneOwner.adopt(LaneFolder.open({ ...realDisk, lock }, folder.path), id)).toBeUndefined()
    const fd = openSync(path, constants.O_CREAT | constants.O_RDWR)
    closeSync(fd)
  })

  test('gives its first rings much room and all others little', () => {
    const owner = LaneOwner.create(createLaneFolder())
    const sizes = Array.from({ length: 12 }, () => owner.createRing(subject).capacityBytes)
    expect(sizes.slice(0, 4)).toEqual(Array(4).fill(8 * 1024 * 1024))
    expect(sizes.slice(4)).toEqual(Array(8).fill(256 * 1024))
  })
})
