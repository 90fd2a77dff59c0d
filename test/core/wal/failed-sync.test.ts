// A sync fails: what the log has acknowledged to those who asked for no more than the kernel's word is in a file at every
// moment after that, whatever else fails, so that it survives the death of the process.
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { withInternals } from '../../../src/core/sink/internals.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { createFaultyDisk, type Operation } from '../../helpers/faulty-disk.ts'
import { createMemoryFolder } from '../../helpers/folder.ts'

const changes: Operation[] = ['truncate', 'rename', 'renameNoReplace', 'unlink', 'fdatasync', 'fsync']

/** The entries that opening a copy of the log finds. */
async function afterDeath(walDir: string): Promise<string[]> {
  const copy = join(createMemoryFolder(), 'wal')
  cpSync(walDir, copy, { recursive: true })
  const log = await WriteAheadLog.open({ walDir: copy, segmentBytes: 65_536, fallback: false })
  const found: string[] = []
  for await (const { data } of log.read()) found.push(String(data))
  await log.close()
  return found
}

describe.each<Operation>([
  'fdatasync',
  'fdatasyncAsync',
  'write',
  'fsync',
  'truncate',
  'rename',
  'renameNoReplace',
  'open',
  'unlink'
])('and %s fails', (also) => {
  it.each([1, 3])('from call %i on: what was acknowledged survives at every moment', async (from) => {
    const faulty = createFaultyDisk()
    const walDir = join(createMemoryFolder(), 'wal')
    const log = withInternals({ disk: faulty.disk }, () =>
      WriteAheadLog.openSync({ walDir, segmentBytes: 4096, durability: 'os', fallback: false })
    )
    const acknowledged: string[] = []
    const add = async (text: string): Promise<void> => {
      await log.log([text])
      acknowledged.push(text)
    }
    for (let i = 0; i < 4; i++) await add(`durable ${i}`)
    await log.flush('disk')
    for (let i = 0; i < 4; i++) await add(`acknowledged ${i}`)

    const moments: Promise<void>[] = []
    let left = 0
    const look = (when: string): void => {
      const expected = [...acknowledged]
      const copy = afterDeath(walDir)
      moments.push(copy.then((found) => expect(found.slice(0, expected.length), when).toEqual(expected)))
    }
    faulty.calls.clear()
    faulty.fault = (operation, call) => {
      if (moments.length < 12 && changes.includes(operation)) look(`before ${operation} ${call}`)
      if (operation === 'fdatasyncAsync' && call === 1) return 'EIO'
      // The first sync of the next segment fails, too, so that it takes more than one attempt.
      if (operation === 'fdatasync' && call === 1) return 'EIO'
      if (operation !== also || call < from) return undefined
      left++
      return left <= 4 ? 'EIO' : undefined
    }
    const flushed = log.flush('disk')
    const more = add('while it fails')
    await flushed
    await more
    faulty.fault = () => undefined
    await Promise.all(moments)
    expect(moments.length).toBeGreaterThan(0)
    await add('afterwards')
    await log.close()
    expect(await afterDeath(walDir)).toEqual(acknowledged)
  })
})

it.each(['fdatasync', 'fsync', 'renameNoReplace', 'rename'] as const)(
  'what logSync says is not in the log is not found by the next start, although %s fails',
  async (also) => {
    const faulty = createFaultyDisk()
    const walDir = join(createMemoryFolder(), 'wal')
    const log = withInternals({ disk: faulty.disk }, () =>
      WriteAheadLog.openSync({ walDir, segmentBytes: 4096, durability: 'os', fallback: false })
    )
    await log.log(['before'])
    faulty.fault = (operation) => (operation === also || /sync/i.test(operation) ? 'EIO' : undefined)
    expect(() => log.logSync(['refused'])).toThrow(/ERR_IO/)
    expect(await afterDeath(walDir)).toEqual(['before'])
    faulty.fault = (operation) => (operation === also ? 'EIO' : undefined)
    // A log that syncs with fdatasync alone goes on without fsync, and the other way round.
    const expected = ['before']
    try {
      log.logSync(['perhaps'])
      expected.push('perhaps')
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_IO' })
    }
    expect(await afterDeath(walDir)).toEqual(expected)
    faulty.fault = () => undefined
    log.logSync(['after'])
    await log.close()
    expect(await afterDeath(walDir)).toEqual([...expected, 'after'])
  }
)
