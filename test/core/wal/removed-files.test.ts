// Somebody takes the files of a running log away: what is acknowledged afterwards is where readers look for it.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { WriteAheadLogOptions } from '../../../src/core/wal/options.ts'
import { WriteAheadLog } from '../../../src/core/wal/write-ahead-log.ts'
import { native } from '../../../src/native/index.ts'
import { createFolder } from '../../helpers/folder.ts'
import { copiesOf, segmentsOf } from '../../helpers/wal-damage.ts'
import { readLog } from '../../helpers/wal-log.ts'

async function openLog(options: Partial<WriteAheadLogOptions> = {}) {
  const walDir = join(createFolder(), 'wal')
  const log = await WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false, ...options })
  onTestFinished(() => log.close().catch(() => {}))
  const warnings: string[] = []
  log.on('warning', ({ message }) => warnings.push(message))
  return { log, walDir, warnings }
}

function texts(walDir: string): string[] {
  return readLog(walDir).entries.map(({ index, text }) => `${index} ${text}`)
}

const removals: Record<string, (walDir: string) => void> = {
  'the folder is removed': (walDir) => rmSync(walDir, { recursive: true }),
  'the folder is moved away': (walDir) => renameSync(walDir, `${walDir}.old`),
  'the folder above is removed': (walDir) => rmSync(dirname(walDir), { recursive: true }),
  'the folder is replaced by an empty one': (walDir) => {
    rmSync(walDir, { recursive: true })
    mkdirSync(walDir)
  },
  'the active segment is removed': (walDir) => rmSync(segmentsOf(walDir).at(-1)!),
  'the active segment is replaced by another file': (walDir) => {
    const path = segmentsOf(walDir).at(-1)!
    rmSync(path)
    writeFileSync(path, 'somebody else')
  }
}

describe.each(Object.entries(removals))('%s', (_, remove) => {
  it.each([
    ['log', (log: WriteAheadLog, text: string) => log.log([text])],
    ['logSync', async (log: WriteAheadLog, text: string) => log.logSync([text])],
    [
      'write',
      async (log: WriteAheadLog, text: string) => {
        log.write(`${text}\n`)
        await log.flush()
      }
    ]
  ])(
    'what %s acknowledges afterwards is in the log, and so is what the open segment held',
    async (_how, add) => {
      for (const durability of ['disk', 'os'] as const) {
        const { log, walDir, warnings } = await openLog({ durability })
        await log.log(['before'])
        remove(walDir)
        await delay(20)
        await add(log, 'after')
        await add(log, 'later')
        expect(texts(walDir)).toEqual(['1 before', '2 after', '3 later'])
        await expect.poll(() => warnings.length).toBeGreaterThan(0)
        await log.close()
        const again = await WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })
        expect(again.lastIndex).toBe(3n)
        await again.close()
      }
    }
  )

  it('what was acknowledged a moment before the log is closed is in it, too', async () => {
    for (const durability of ['disk', 'os'] as const) {
      const { log, walDir, warnings } = await openLog({ durability })
      await log.log(['before'])
      // It was looked a moment ago whether the file is in its place, and is not again for the next record.
      log.logSync(['between'])
      remove(walDir)
      log.logSync(['after'])
      await log.close()
      expect(texts(walDir)).toEqual(['1 before', '2 between', '3 after'])
      await expect.poll(() => warnings.length).toBeGreaterThan(0)
    }
  })
})

it('segments that are gone for good are told of, and the log opens again behind them', async () => {
  const { log, walDir, warnings } = await openLog({ segmentBytes: 4096 })
  for (let i = 1; i <= 30; i++) await log.log(['x'.repeat(400)])
  rmSync(walDir, { recursive: true })
  await delay(20)
  const { firstIndex } = await log.log(['after'])
  expect(firstIndex).toBe(31n)
  await expect.poll(() => warnings.join()).toMatch(/entries 1 to \d+ .* are gone/)
  const snapshot = (await log.createSnapshot())!
  const found: bigint[] = []
  for await (const { index } of snapshot.entries) found.push(index)
  expect(found.at(-1)).toBe(31n)
  expect(found).toEqual(found.map((_, i) => found[0] + BigInt(i)))
  await log.close()
  const options = { walDir, segmentBytes: 65_536, fallback: false as const }
  expect(await new WriteAheadLog(options).verify()).toMatchObject({ ok: true })
  const again = await WriteAheadLog.open(options)
  expect(again.lastIndex).toBe(31n)
  await again.close()
})

// Without room reserved ahead, a file that was shortened and written to again looks like any other.
it.skipIf(native.backend !== 'addon')(
  'a segment that somebody shortens is set aside, and the log goes on behind what it held',
  async () => {
    const { log, walDir, warnings } = await openLog()
    for (let i = 1; i <= 10; i++) await log.log([`record ${i}`])
    truncateSync(segmentsOf(walDir)[0], 100)
    await delay(20)
    expect(await log.log(['after'])).toMatchObject({ firstIndex: 11n })
    await expect.poll(() => warnings.join()).toMatch(/entries 1 to 10 .* are gone/)
    expect(copiesOf(walDir).length).toBe(1)
    expect(texts(walDir)).toEqual(['11 after'])
    await log.close()
    const again = await WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })
    expect(again.lastIndex).toBe(11n)
    await again.close()
  }
)

it('a second log cannot be opened in a folder that was put back', async () => {
  const { log, walDir } = await openLog()
  await log.log(['a'])
  rmSync(walDir, { recursive: true })
  await delay(20)
  await log.log(['b'])
  await expect(WriteAheadLog.open({ walDir, segmentBytes: 65_536, fallback: false })).rejects.toThrow(
    /ERR_LOCKED/
  )
  await log.close()
  expect(existsSync(join(walDir, '.lock'))).toBe(true)
  expect(readdirSync(walDir).filter((name) => name.endsWith('.tmp'))).toEqual([])
})
