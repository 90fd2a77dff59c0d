// Every kind of log as a source: it rotates, compresses and removes many times a second while it is shipped to a target that is
// slow, and every record arrives once and in order.
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RotatingFile } from '../../src/core/rotating-file/rotating-file.ts'
import { Spool } from '../../src/core/spool/spool.ts'
import { WalConsumer } from '../../src/core/wal/wal-consumer.ts'
import { WriteAheadLog } from '../../src/core/wal/write-ahead-log.ts'
import { native } from '../../src/native/index.ts'
import { createFolder, createMemoryFolder } from '../helpers/folder.ts'
import { kindsOfLogs } from '../helpers/log-kinds.ts'
import { createShipper, createTarget } from '../helpers/ship-target.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const RECORDS = sized(20_000, 400)
const PER_TURN = 20
const fallback = false

describe.skipIf(!native.canLock).each(Object.entries(kindsOfLogs))('%s', (kind, create) => {
  test('rotated, compressed and cleaned up while it is shipped: every record once, in order', async () => {
    const writer = await create(createMemoryFolder())
    let isClosed = false
    onTestFinished(async () => {
      if (!isClosed) await writer.close()
    })
    const { target, taken, sent } = createTarget(() => sleep(2))
    const removeShipped = kind === 'spool'
    const shipper = createShipper(writer.source, target, {
      follow: true,
      batchRecords: 40,
      batchAge: 5,
      removeShipped
    })
    const running = shipper.run()
    running.catch(() => {})
    for (let i = 0; i < RECORDS; i++) {
      await writer.write(`record ${i} ${'x'.repeat(20)}`)
      if (i % PER_TURN !== PER_TURN - 1) continue
      await writer.flush()
      if (i % (10 * PER_TURN) === PER_TURN - 1)
        await until(() => shipper.stats().records > Math.max(0, i / 4 - 400))
    }
    isClosed = true
    await writer.close()
    await Promise.race([until(() => shipper.stats().records >= RECORDS, { timeoutMs: 30_000 }), running])
    const expected = Array.from({ length: RECORDS }, (_, i) => `record ${i} ${'x'.repeat(20)}`)
    expect(taken).toEqual(expected)
    expect(sent.flatMap(({ numbers }) => numbers)).toEqual(expected.map((_, i) => i))
    const left = () => readdirSync(writer.source).filter((name) => name.endsWith('.log'))
    if (removeShipped) await until(() => left().length === 0)
    await shipper.stop()
    await running
  })
})

test.skipIf(!native.canLock)(
  'a spool is shipped by who takes its files away, and other logs are not',
  async () => {
    const folder = createFolder()
    const spool = new Spool({ dir: join(folder, 'spool'), fallback })
    await spool.write('one\n')
    await spool.close()
    const { target } = createTarget()
    await expect(createShipper(join(folder, 'spool'), target).run()).rejects.toThrow(
      /shipped with removeShipped.*ERR_OPTION/
    )
    const path = join(folder, 'app.log')
    const file = new RotatingFile({ path, fallback })
    file.writeLine('one')
    await file.close()
    await expect(createShipper(path, target, { removeShipped: true }).run()).rejects.toThrow(
      /removeShipped is for a spool.*ERR_OPTION/
    )
  }
)

test.skipIf(!native.canLock)(
  'a file of a spool that is published behind one with a later time is shipped',
  async () => {
    const { writeFileSync } = await import('node:fs')
    const dir = createFolder()
    const publish = (ns: bigint, text: string) => writeFileSync(join(dir, `0_${ns}.log`), `${text}\n`)
    const base = 1_800_000_000_000_000_000n
    publish(base + 5n, 'five')
    const first = createTarget()
    await createShipper(dir, first.target, { removeShipped: true }).run()
    expect(first.taken).toEqual(['five'])
    // Its worker had its time before, or the clock was set back.
    publish(base + 3n, 'three')
    publish(base + 7n, 'seven')
    const second = createTarget()
    await createShipper(dir, second.target, { removeShipped: true }).run()
    expect(second.taken).toEqual(['three', 'seven'])
    expect(readdirSync(dir).filter((name) => name.endsWith('.log'))).toEqual([])
  }
)

test.skipIf(!native.canLock)('a shipper of a write-ahead log is one of its named consumers', async () => {
  const walDir = join(createFolder(), 'wal')
  const log = await WriteAheadLog.open({ walDir, segmentBytes: 4096, fallback })
  onTestFinished(() => log.close())
  for (let i = 0; i < 10; i++) await log.log([`entry ${i}`])
  const { target, taken } = createTarget()
  const shipper = createShipper(walDir, target)
  await shipper.run()
  expect(taken).toHaveLength(10)
  const consumer = await WalConsumer.open(walDir, shipper.consumer)
  onTestFinished(() => consumer.close())
  expect(consumer.ackedIndex).toBe(10n)
  await expect(createShipper(walDir, target).run()).rejects.toThrow(/ERR_LOCKED/)
})

test.skipIf(!native.canLock)(
  'a spool of many small files is shipped, and taken away, file by file',
  async () => {
    const dir = createMemoryFolder()
    for (let i = 0; i < 700; i++)
      writeFileSync(
        join(dir, `prefix-${'p'.repeat(100)}0_${1_800_000_000_000_000_000n + BigInt(i)}.log`),
        `${i}\n`
      )
    const { target, taken, sent } = createTarget()
    await createShipper(dir, target, { removeShipped: true, batchRecords: 10_000 }).run()
    expect(taken).toEqual(Array.from({ length: 700 }, (_, i) => String(i)))
    expect(sent.length).toBeGreaterThan(3)
    expect(readdirSync(dir).filter((name) => name.endsWith('.log'))).toEqual([])
  }
)
