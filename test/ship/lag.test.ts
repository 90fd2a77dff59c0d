// How far a shipper is behind, as its statistics, its file beside the log, `logboom top` and `logboom metrics` tell it.
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { frameLines } from '../../src/cli/top/frame.ts'
import { consumerRowsOf, viewLogs } from '../../src/cli/top/log-view.ts'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { native } from '../../src/native/index.ts'
import { readConsumers } from '../../src/readers/log-consumers.ts'
import { runCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { createShipper, createTarget } from '../helpers/ship-target.ts'
import { until } from '../helpers/until.ts'

describe.skipIf(!native.canLock)('lag', () => {
  test('is what is read and not sent, and what is not read yet; of an old record it is its age', async () => {
    const path = join(createFolder(), 'app.log')
    const time = Date.now() - 60_000
    const line = (n: number) => `${JSON.stringify({ time, n: 1_000_000 + n })}\n`
    writeFileSync(path, Array.from({ length: 1000 }, (_, n) => line(n)).join(''))
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const { target } = createTarget(() => gate)
    const shipper = createShipper(path, target, { follow: true, batchRecords: 100, batchAge: 5 })
    const running = shipper.run()
    await until(() => shipper.stats().waitingRecords >= 100)
    const { lagRecords, lagBytes, lagMs, waitingRecords } = shipper.stats()
    expect(Math.abs(lagRecords - 1000)).toBeLessThan(120)
    expect(Math.abs(lagBytes - 1000 * line(0).length)).toBeLessThan(120 * line(0).length)
    expect(lagMs).toBeGreaterThanOrEqual(60_000)
    expect(waitingRecords).toBeGreaterThanOrEqual(100)
    const seen = await until(async () => (await readConsumers(path)).find((each) => each.lagRecords > 900))
    expect(seen).toMatchObject({
      name: 'ship-test',
      target: 'test',
      state: 'open',
      isAlive: true,
      records: 0
    })
    const views = await viewLogs([path])
    expect(consumerRowsOf(views[0], undefined)).toMatchObject([{ state: 'open', recordsPerSecond: 0 }])
    const shape = { columns: 100, rows: 24, colour: false } as const
    const picture = frameLines(views, [], { ...shape, sorting: 'writer', isPaused: false, time: '' }).join(
      '\n'
    )
    expect(picture).toMatch(/SHIPPER +STATE .* LAG [\s\S]*ship-test +open .* [\d.]+s +0 B$/)
    open()
    await until(() => shipper.stats().lagRecords === 0)
    await until(async () => (await readConsumers(path))[0].lagBytes === 0)
    const { stdout } = await runCli(['metrics', path])
    const labels = `{path="${path}",consumer="ship-test",target="test"}`
    expect(stdout).toContain(`logboom_ship_lag_records${labels} 0\n`)
    expect(stdout).toContain(`logboom_ship_lag_seconds${labels} 0\n`)
    expect(stdout).toContain(`logboom_ship_records_total${labels} 1000\n`)
    expect(stdout).toContain(`logboom_ship_alive${labels} 1\n`)
    await shipper.stop()
    await running
    expect(await readConsumers(path)).toMatchObject([{ state: 'closed', isAlive: false, records: 1000 }])
  })

  test('counts the files behind the one that is read, also of another format, and names what fails', async () => {
    const path = join(createFolder(), 'app.bin')
    const file = new BinaryFile({ path, maxBytes: 2000, fallback: false })
    onTestFinished(() => file.close().catch(() => {}))
    for (let i = 0; i < 100; i++) file.write(Buffer.alloc(96, i))
    await file.close()
    const { target } = createTarget(() => {
      throw Object.assign(new Error('nobody there'), { code: 'ECONNREFUSED' })
    })
    const shipper = createShipper(path, target, { follow: true, batchRecords: 10, batchAge: 5 })
    const running = shipper.run()
    await until(async () => (await readConsumers(path))[0]?.state === 'degraded')
    const [{ lagRecords, lastError }] = await readConsumers(path)
    expect(lastError).toBe('ECONNREFUSED')
    expect(Math.abs(lagRecords - 100)).toBeLessThan(20)
    appendFileSync(path, '')
    await shipper.stop()
    await running
  })
})
