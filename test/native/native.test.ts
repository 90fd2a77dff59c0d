import { spawnSync } from 'node:child_process'
import {
  type BigIntStats,
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemCode } from '../../src/base/errors.ts'
import { fallback } from '../../src/native/fallback.ts'
import { native } from '../../src/native/index.ts'
import { createFolder } from '../helpers/folder.ts'
import { built, startProcess, startThread } from '../helpers/script.ts'

const backends = native.backend === 'fallback' ? [fallback] : [native, fallback]
const wanted = process.env.LOGBOOM_NATIVE !== '0'

/** Bit by bit, straight from the definition of the polynomial. */
function referenceCrc32c(data: Uint8Array, seed: number): number {
  let crc = ~seed
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

const range = fc
  .tuple(fc.uint8Array({ maxLength: 2000 }), fc.nat(), fc.nat())
  .map(([data, first, second]) => {
    const ends = [first % (data.length + 1), second % (data.length + 1)].sort((a, b) => a - b)
    return { data, start: ends[0], end: ends[1] }
  })

test.skipIf(!wanted || process.env.CI !== 'true')('the addon loads where it has been built', () => {
  expect(native.backend).toBe('addon')
})

test.skipIf(wanted)('LOGBOOM_NATIVE=0 leaves the addon out', () => {
  expect(native.backend).toBe('fallback')
})

describe.each(backends)('$backend', (backend) => {
  test('crc32c has the check value of the Castagnoli polynomial', () => {
    expect(backend.crc32c(Buffer.from('123456789'), 0, 0, 9)).toBe(0xe3069283)
  })

  test('crc32c of any range and seed is that of the definition', () => {
    fc.assert(
      fc.property(range, fc.nat(0xffffffff), ({ data, start, end }, seed) => {
        expect(backend.crc32c(data, seed, start, end)).toBe(referenceCrc32c(data.subarray(start, end), seed))
      })
    )
  })

  test('crc32c goes on where it stopped', () => {
    fc.assert(
      fc.property(range, ({ data, start, end }) => {
        const whole = backend.crc32c(data, 0, 0, data.length)
        const first = backend.crc32c(data, 0, 0, start)
        const second = backend.crc32c(data, first, start, end)
        expect(backend.crc32c(data, second, end, data.length)).toBe(whole)
      })
    )
  })

  test('crc32c of large ranges: around the blocks that are computed side by side', () => {
    const data = Buffer.from(Array.from({ length: 20_000 }, (_, index) => (index * 2_654_435_761) >>> 24))
    for (const length of [6_143, 6_144, 6_145, 12_288, 12_300, 18_431, 19_990]) {
      for (const start of [0, 1, 7]) {
        const part = data.subarray(start, start + length)
        expect(backend.crc32c(data, 0x1234_5678, start, start + length)).toBe(
          referenceCrc32c(part, 0x1234_5678)
        )
      }
    }
  })

  test('writevHashed writes all pieces, goes on with the checksum and counts the entries of frames', () => {
    const frames = [0, 1, 700, 40_000].map((entries) => {
      const bytes = Buffer.alloc(8 + entries * 14 + 512)
      bytes.writeUInt32LE(entries * 14, 4)
      for (let index = 0; index < entries; index++) bytes.writeUInt32LE(10, 8 + index * 14)
      return bytes
    })
    const all = Buffer.concat(frames)
    const path = join(createFolder(), 'pieces')
    const fd = openSync(path, 'w+')
    try {
      const crc = Uint32Array.of(99)
      const counts = new Uint32Array(4)
      expect(backend.writevHashed(fd, frames, 3, crc, counts)).toBe(all.length)
      expect([...counts]).toEqual([0, 1, 700, 40_000])
      expect(crc[0]).toBe(backend.crc32c(all, 99, 0, all.length))
      expect(readFileSync(path).subarray(3).equals(all)).toBe(true)
      expect(backend.writevHashed(fd, frames.slice(2), 0, crc, undefined)).toBe(
        all.length - 8 - 512 - 22 - 512
      )
    } finally {
      closeSync(fd)
    }
    const before = Uint32Array.of(5)
    expect(() => backend.writevHashed(fd, frames, 0, before, undefined)).toThrow(/EBADF/)
    expect(before[0]).toBe(5)
  })

  test('stat tells of files, links and descriptors what Node tells', () => {
    const folder = createFolder()
    const path = join(folder, 'file')
    writeFileSync(path, 'twelve bytes')
    symlinkSync(path, join(folder, 'link'))
    const read = (file: string | number, follow: boolean): bigint[] | undefined => {
      const fields = new BigInt64Array(7)
      return backend.stat(file, follow, fields) ? [...fields] : undefined
    }
    const expected = (stats: BigIntStats): bigint[] =>
      [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.nlink, stats.mode, stats.uid].map((field) =>
        BigInt.asIntN(64, field)
      )
    expect(read(path, false)).toEqual(expected(lstatSync(path, { bigint: true })))
    expect(read(join(folder, 'link'), true)).toEqual(read(path, false))
    expect(read(join(folder, 'link'), false)).toEqual(
      expected(lstatSync(join(folder, 'link'), { bigint: true }))
    )
    expect(read(join(folder, 'nothing'), false)).toBeUndefined()
    const fd = openSync(path, 'r')
    expect(read(fd, false)).toEqual(read(path, false))
    closeSync(fd)
    expect(() => read(fd, false)).toThrow(/EBADF/)
    expect(() => read(join(path, 'below'), false)).toThrow(/ENOTDIR/)
    expect(() => read(`${path}\0`, false)).toThrow()
    expect(() => read(`${folder}/${'x'.repeat(300)}`, false)).toThrow(/ENAMETOOLONG/)
  })

  test('copy copies the range and refuses what does not fit', () => {
    const source = Buffer.from('0123456789')
    const target = Buffer.alloc(8, '.')
    backend.copy(source, 3, 7, target, 2)
    expect(target.toString()).toBe('..3456..')
    backend.copy(source, 5, 5, target, 8)
    expect(() => backend.copy(source, 0, 4, target, 5)).toThrow(RangeError)
    expect(target.toString()).toBe('..3456..')
  })

  test('writeSynced writes at its place', () => {
    const path = join(createFolder(), 'synced')
    writeFileSync(path, '..........')
    const fd = openSync(path, 'r+')
    expect(backend.writeSynced(fd, Buffer.from('0123456789'), 2, 6, 4)).toBe(4)
    closeSync(fd)
    expect(readFileSync(path, 'utf8')).toBe('....2345..')
    expect(() => backend.writeSynced(fd, Buffer.from('x'), 0, 1, 0)).toThrow(/EBADF/)
  })

  test('sync and setMode do what Node does, at once and in the background', async () => {
    const path = join(createFolder(), 'file')
    writeFileSync(path, 'text')
    const fd = openSync(path, 'r+')
    for (const dataOnly of [true, false]) {
      backend.sync(fd, dataOnly)
      expect(await backend.syncAsync(fd, dataOnly)).toBeUndefined()
    }
    backend.setMode(fd, 0o604)
    expect(statSync(path).mode & 0o777).toBe(0o604)
    await Promise.all(Array.from({ length: 50 }, () => backend.syncAsync(fd, true)))
    closeSync(fd)
    expect(() => backend.sync(fd, true)).toThrow(/EBADF.*fdatasync/)
    expect(() => backend.setMode(fd, 0o600)).toThrow(/EBADF.*fchmod/)
    await expect(backend.syncAsync(fd, false)).rejects.toMatchObject({ code: 'EBADF' })
    const device = openSync('/dev/null', 'r+')
    expect(codeOf(() => backend.sync(device, true))).toBe('EINVAL')
    await expect(backend.syncAsync(device, true)).rejects.toMatchObject({ code: 'EINVAL' })
    closeSync(device)
  })

  test('countLines counts the newlines of the range and no others', () => {
    const text = fc.array(fc.constantFrom(10, 10, 0, 13, 65, 138, 255), { maxLength: 1500 })
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(), (bytes, first, second) => {
        const data = Uint8Array.from(bytes)
        const [start, end] = [first % (data.length + 1), second % (data.length + 1)].sort((a, b) => a - b)
        const expected = bytes.slice(start, end).filter((byte) => byte === 10).length
        expect(backend.countLines(data, start, end)).toBe(expected)
      })
    )
  })

  test('countLines counts more lines than a byte or a block can hold', () => {
    expect(backend.countLines(new Uint8Array(70_001).fill(10), 0, 70_001)).toBe(70_001)
  })

  test('renameNoReplace moves the file', () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a'), 'content')
    backend.renameNoReplace(join(folder, 'a'), join(folder, 'b ü'))
    expect(existsSync(join(folder, 'a'))).toBe(false)
    expect(readFileSync(join(folder, 'b ü'), 'utf8')).toBe('content')
  })

  test('renameNoReplace refuses to replace and leaves both files as they were', () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a'), 'from')
    writeFileSync(join(folder, 'b'), 'to')
    expect(codeOf(() => backend.renameNoReplace(join(folder, 'a'), join(folder, 'b')))).toBe('EEXIST')
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('from')
    expect(readFileSync(join(folder, 'b'), 'utf8')).toBe('to')
  })

  test('renameNoReplace gives the system error code of its failure', () => {
    const folder = createFolder()
    writeFileSync(join(folder, 'a'), '')
    expect(codeOf(() => backend.renameNoReplace(join(folder, 'missing'), join(folder, 'b')))).toBe('ENOENT')
    expect(codeOf(() => backend.renameNoReplace(join(folder, 'a'), join(folder, 'a', 'b')))).toBe('ENOTDIR')
  })
})

function codeOf(action: () => unknown): string | undefined {
  try {
    action()
  } catch (error) {
    return systemCode(error)
  }
  return undefined
}

describe.skipIf(native.backend === 'fallback')('publishFile (needs the addon)', () => {
  const data = Buffer.from('complete and the rest')
  const publish = (from: string, to: string, length = 8) => {
    let publication = 0
    const done = new Promise<boolean>((resolve) => {
      publication = native.publishFile(from, to, 0o440, data, length, resolve) as number
    })
    return { publication, done }
  }

  test('writes, sets the mode, renames', async () => {
    const folder = createFolder()
    const paths = [join(folder, 'temp'), join(folder, 'target')] as const
    expect(await publish(...paths).done).toBe(true)
    expect(readFileSync(paths[1], 'utf8')).toBe('complete')
    expect(statSync(paths[1]).mode & 0o777).toBe(0o440)
    expect(existsSync(paths[0])).toBe(false)
  })

  test('replaces nothing, follows no link, and leaves nothing of what failed', async () => {
    const folder = createFolder()
    const [temp, taken, link] = ['temp', 'taken', 'link'].map((name) => join(folder, name))
    writeFileSync(taken, 'before')
    symlinkSync(taken, link)
    expect(await publish(temp, taken).done).toBe(false)
    expect(await publish(taken, join(folder, 'target')).done).toBe(false)
    expect(await publish(link, join(folder, 'target')).done).toBe(false)
    expect(await publish(temp, join(folder, 'missing/target')).done).toBe(false)
    expect(await publish(join(folder, 'missing/temp'), temp).done).toBe(false)
    expect(readdirSync(folder).sort()).toEqual(['link', 'taken'])
    expect(readFileSync(taken, 'utf8')).toBe('before')
  })

  test('settled: there or never, once, and done is not called', async () => {
    const folder = createFolder()
    const results = Array.from({ length: 300 }, (_, number) => {
      const { publication, done } = publish(join(folder, `.${number}`), join(folder, `${number}`))
      let called = 0
      done.then(() => called++)
      // Some wait then, one is under way, others have ended.
      const settled = number % 3 === 0 ? native.settlePublication(publication, true) : undefined
      return { publication, done, settled, number, called: () => called }
    })
    const last = publish(join(folder, '.last'), join(folder, 'last'))
    expect(await last.done).toBe(true)
    for (const { publication, done, settled, number, called } of results) {
      const isThere = existsSync(join(folder, `${number}`))
      if (settled === undefined) expect(await done).toBe(isThere)
      else expect([settled, called()]).toEqual([isThere, 0])
      expect(() => native.settlePublication(publication, false)).toThrow('EINVAL')
    }
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([])
  })

  test('abandoned while it is written it is never published, and nothing is left of it', async () => {
    const folder = createFolder()
    const [temp, target] = [join(folder, 'temp'), join(folder, 'target')]
    const large = Buffer.alloc(300 * 1024 * 1024, 'x')
    let publication = 0
    const done = new Promise<boolean>((resolve) => {
      publication = native.publishFile(temp, target, 0o600, large, large.length, resolve) as number
    })
    while (!existsSync(temp));
    expect(native.settlePublication(publication, false)).toBeUndefined()
    expect(native.abandonPublication(publication)).toBe(true)
    expect(await done).toBe(false)
    expect(readdirSync(folder)).toEqual([])
    expect(() => native.abandonPublication(publication)).toThrow('EINVAL')
  })

  test('keeps the process alive until it is done, and not longer', () => {
    const folder = createFolder()
    const code = `
    import { native } from ${built('native/index.js')}
    let left = 100
    for (let number = 0; number < 100; number++) {
      const paths = ['.', ''].map((dot) => ${JSON.stringify(folder)} + '/' + dot + number)
      native.publishFile(...paths, 0o600, Buffer.alloc(10), 10, (published) => { if (published) left-- })
    }
    process.on('exit', () => console.log(left))`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 20_000 })
    expect(stdout.toString()).toBe('0\n')
    expect(readdirSync(folder).length).toBe(100)
  })

  test('a thread that is terminated meanwhile leaves whole files only', async () => {
    const folder = createFolder()
    for (let round = 0; round < 10; round++) {
      const { worker } = await startThread(`
      import { parentPort } from 'node:worker_threads'
      import { native } from ${built('native/index.js')}
      const data = Buffer.alloc(100_000, 'x')
      for (let number = 0; number < 100; number++) {
        const name = ${JSON.stringify(folder)} + '/${round}-' + number
        native.publishFile(name + '.tmp', name, 0o600, data, data.length, () => {})
      }
      parentPort.postMessage('ready')`)
      await worker.terminate()
    }
    for (const name of readdirSync(folder))
      expect([name, statSync(join(folder, name)).size]).toEqual([name, 100_000])
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('refuses wrong arguments', () => {
    const done = () => {}
    expect(() => native.publishFile('a', 'b', 0o600, data, data.length + 1, done)).toThrow('EINVAL')
    expect(() => native.publishFile('a', 'b', 0o600, data, -1, done)).toThrow('EINVAL')
    expect(() => native.publishFile('a', 'b', 0o600, data, 1, undefined as never)).toThrow()
    expect(() => native.publishFile(1 as never, 'b', 0o600, data, 1, done)).toThrow()
    expect(() => native.settlePublication({} as never, true)).toThrow(TypeError)
    expect(() => native.settlePublication(0, true)).toThrow('EINVAL')
  })
})

test('of threads that rename to one name at once exactly one wins and the others keep their file', async () => {
  const folder = createFolder()
  const rounds = 200
  const start = new Int32Array(new SharedArrayBuffer(4))
  const code = `
    import { parentPort } from 'node:worker_threads'
    import { renameSync, writeFileSync } from 'node:fs'
    import { native } from ${built('native/index.js')}
    parentPort.postMessage('ready')
    parentPort.once('message', ({ start, name }) => {
      for (let round = 0; round < ${rounds}; round++) writeFileSync(name + round, name)
      Atomics.add(start, 0, 1)
      while (Atomics.load(start, 0) < 3);
      let won = 0
      for (let round = 0; round < ${rounds}; round++) {
        try { native.renameNoReplace(name + round, ${JSON.stringify(join(folder, 'target'))} + round); won++ }
        catch (error) { if (error.code !== 'EEXIST') throw error }
      }
      parentPort.postMessage(won)
    })`
  const threads = await Promise.all([0, 1, 2].map(() => startThread(code)))
  const wins = await Promise.all(
    threads.map(({ worker }, index) => {
      const won = new Promise<number>((resolve, reject) =>
        worker.once('message', resolve).once('error', reject)
      )
      worker.postMessage({ start, name: join(folder, `source${index}-`) })
      return won
    })
  )
  expect(wins[0] + wins[1] + wins[2]).toBe(rounds)
  for (let round = 0; round < rounds; round++) {
    const winner = readFileSync(join(folder, `target${round}`), 'utf8')
    for (const index of [0, 1, 2]) {
      const source = join(folder, `source${index}-`)
      expect(existsSync(source + round)).toBe(source !== winner)
    }
  }
})

test.skipIf(native.canLock)('without the addon a lock is refused, never pretended', () => {
  expect(() => native.lock(0, 0, 0)).toThrow('[ERR_UNSUPPORTED]')
})

describe.skipIf(!native.canLock)('kernel locks (need the addon)', () => {
  function createLockFile(): { path: string; fd: number } {
    const path = join(createFolder(), '.app.log.lock')
    return { path, fd: openSync(path, 'a+', 0o600) }
  }

  const take = (path: string) => `
    import { openSync } from 'node:fs'
    import { native } from ${built('native/index.js')}
    const fd = openSync(${JSON.stringify(path)}, 'a+')
    native.closeAtExit(fd)
    if (!native.lock(fd, 0, 0)) throw new Error('the lock is not free')`

  const holdInProcess = (path: string) =>
    startProcess(`${take(path)}\nconsole.log('held')\nsetInterval(() => {}, 1000)`)

  const holdInThread = (path: string, then = '') =>
    startThread(`import { parentPort } from 'node:worker_threads'\n${take(path)}\n${then}
      parentPort.postMessage(fd)\nsetInterval(() => {}, 1000)`)

  test('exclude another descriptor of the same thread, by slot, until unlocked', () => {
    const { path, fd } = createLockFile()
    const other = openSync(path, 'a+')
    expect(native.lock(fd, 0, 0)).toBe(true)
    expect(native.lock(other, 0, 0)).toBe(false)
    expect(native.lock(other, 1, 0)).toBe(true)
    expect(native.lock(fd, 1, 0)).toBe(false)
    native.unlock(fd, 0)
    expect(native.lock(other, 0, 0)).toBe(true)
    closeSync(fd)
    closeSync(other)
  })

  test('wait no longer than asked', () => {
    const { path, fd } = createLockFile()
    const other = openSync(path, 'a+')
    native.lock(fd, 0, 0)
    const startMs = performance.now()
    expect(native.lock(other, 0, 50)).toBe(false)
    const waitedMs = performance.now() - startMs
    expect(waitedMs).toBeGreaterThanOrEqual(49)
    expect(waitedMs).toBeLessThan(1000)
    closeSync(fd)
    closeSync(other)
  })

  test('survive that another descriptor of the file is closed', () => {
    const { path, fd } = createLockFile()
    native.lock(fd, 0, 0)
    closeSync(openSync(path, 'a+'))
    const other = openSync(path, 'a+')
    expect(native.lock(other, 0, 0)).toBe(false)
    closeSync(fd)
    closeSync(other)
  })

  test('exclude another process, and are free as soon as it is killed', async () => {
    const { path, fd } = createLockFile()
    const child = await holdInProcess(path)
    expect(native.lock(fd, 0, 0)).toBe(false)
    child.kill('SIGKILL')
    expect(native.lock(fd, 0, 1000)).toBe(true)
    closeSync(fd)
  })

  test('stay with a process that is stopped', async () => {
    const { path, fd } = createLockFile()
    const child = await holdInProcess(path)
    child.kill('SIGSTOP')
    expect(native.lock(fd, 0, 200)).toBe(false)
    child.kill('SIGCONT')
    expect(native.lock(fd, 0, 200)).toBe(false)
    closeSync(fd)
  })

  test('exclude another thread, and are free once it is terminated', async () => {
    const { path, fd } = createLockFile()
    const { worker } = await holdInThread(path)
    expect(native.lock(fd, 0, 0)).toBe(false)
    await worker.terminate()
    expect(native.lock(fd, 0, 1000)).toBe(true)
    closeSync(fd)
  })

  test('outlive a terminated thread that took its descriptor off the list', async () => {
    const { path, fd } = createLockFile()
    const { worker, message } = await holdInThread(path, 'native.forget(fd)')
    await worker.terminate()
    expect(native.lock(fd, 0, 100)).toBe(false)
    closeSync(message as number)
    expect(native.lock(fd, 0, 100)).toBe(true)
    closeSync(fd)
  })

  test('give the system error code of a bad descriptor', () => {
    const { fd } = createLockFile()
    closeSync(fd)
    expect(codeOf(() => native.lock(fd, 0, 0))).toBe('EBADF')
  })

  test('refuse wrong arguments instead of crashing', () => {
    const lock = native.lock as (...values: unknown[]) => unknown
    expect(() => lock()).toThrow(TypeError)
    expect(() => lock('1', 0, 0)).toThrow(TypeError)
    expect(() => native.crc32c(new Uint8Array(4), 0, 2, 5)).toThrow(RangeError)
    expect(() => native.crc32c(new Uint16Array(4) as never, 0, 0, 1)).toThrow(TypeError)
  })
})
