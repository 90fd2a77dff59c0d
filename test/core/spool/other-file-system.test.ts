// Temp files on another file system: files are copied, and any call of that may fail, once or for a while.
import { mkdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { native } from '../../../src/native/index.ts'
import { createLines, createSpool } from '../../helpers/create-spool.ts'
import { createFaultyDisk, type Fault, failNth, type Operation } from '../../helpers/faulty-disk.ts'
import { createFolder, memoryRoot } from '../../helpers/folder.ts'
import { stride } from '../../helpers/sized.ts'
import { hiddenNames, publishedText } from '../../helpers/spool.ts'

const records = Array.from({ length: 30 }, (_, index) => `record ${index} ${'x'.repeat(index % 90)}\n`)
const expected = records.join('').split('\n').sort()

const cases: [Operation, Fault][] = [
  ['openAsync', 'EIO'],
  ['open', 'EMFILE'],
  ['readAsync', 'EIO'],
  ['read', 'EIO'],
  ['writeAsync', 'ENOSPC'],
  ['writeAsync', 'SHORT'],
  ['write', 'ENOSPC'],
  ['write', 'SHORT'],
  ['chmod', 'EIO'],
  ['fdatasyncAsync', 'EIO'],
  ['fdatasync', 'EIO'],
  ['fsyncAsync', 'EIO'],
  ['fsync', 'EIO'],
  ['renameNoReplace', 'EIO'],
  ['unlink', 'EIO'],
  ['exists', 'EIO'],
  ['lstat', 'EIO'],
  ['fstat', 'EIO']
]

describe.skipIf(memoryRoot === undefined)('any call may fail', () => {
  test.each(cases)(
    '%s with %s: every record is published once',
    { timeout: 120_000 },
    async (operation, fault) => {
      for (const kind of ['spool', 'lines'] as const) {
        for (const isLasting of [false, true]) {
          if (isLasting && (fault === 'SHORT' || operation === 'unlink')) continue
          for (let nth = 1; ; nth += stride(nth, 4)) {
            if (!(await trial(kind, operation, fault, nth, isLasting))) break
          }
        }
      }
    }
  )
})

/** False if the sink never made so many calls. */
async function trial(
  kind: 'spool' | 'lines',
  operation: Operation,
  fault: Fault,
  nth: number,
  isLasting: boolean
): Promise<boolean> {
  const [path, temp] = [createFolder(), createFolder(memoryRoot)]
  const faulty = createFaultyDisk()
  const options = { path, temp, size: 500, workers: 2 }
  const create = kind === 'lines' ? createLines : createSpool
  failNth(faulty, operation, nth, fault, isLasting)
  const sink = create(options, faulty.disk)
  for (const record of records) void sink.write(record)
  const flushed = sink.flush()
  if (isLasting) {
    await delay(60)
    faulty.fault = () => undefined
  }
  await flushed
  const isReached = (faulty.calls.get(operation) ?? 0) >= nth
  faulty.fault = () => undefined
  await sink.close()
  const message = `${kind}, call ${nth}, ${isLasting ? 'lasting' : 'once'}`
  expect(publishedText(path).split('\n').sort(), message).toEqual(expected)
  expect(sink.stats(), message).toMatchObject({ records: 30, dropped: 0, queuedBytes: 0 })
  // What could not be removed stays where it was, hidden, and a warning says so.
  if (operation !== 'unlink') expect([...hiddenNames(path), ...hiddenNames(temp)], message).toEqual([])
  return isReached
}

test.skipIf(!native.canLock)(
  'a manifest whose own sync fails is replaced, and old ones are removed',
  async () => {
    const path = createFolder()
    mkdirSync(`${path}/spool`)
    const faulty = createFaultyDisk()
    const lines = createLines({ path: `${path}/spool`, durability: 'disk', workers: 2 }, faulty.disk)
    lines.write('x\n')
    await lines.flush()
    // A batch syncs its temp file first, then the manifest.
    const counts = { fdatasync: 0, fdatasyncAsync: 0 }
    let isFailing = true
    faulty.fault = (operation) => {
      if (!isFailing || (operation !== 'fdatasync' && operation !== 'fdatasyncAsync')) return undefined
      return ++counts[operation] % 2 === 0 ? 'EIO' : undefined
    }
    expect(lines.commit('y\n')).toBe(false)
    await expect.poll(() => lines.stats().errors, { timeout: 20_000 }).toBeGreaterThan(5)
    expect(hiddenNames(`${path}/spool`).filter((name) => name.endsWith('.note')).length).toBeLessThanOrEqual(
      2
    )
    isFailing = false
    await lines.flush()
    await lines.close()
    expect(publishedText(`${path}/spool`)).toBe('x\ny\n')
    expect(hiddenNames(`${path}/spool`)).toEqual([])
  }
)
