// Shipping to a real server of NATS: killed on either side again and again, and counted by reading the stream.
import { appendFileSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import { Shipper } from '../../src/ship/shipper.ts'
import type { ShipTarget } from '../../src/ship/target.ts'
import { createJetStreamTarget } from '../../src/ship/targets/jetstream.ts'
import { runCli } from '../helpers/cli.ts'
import { hasEngine, startNats } from '../helpers/engines.ts'
import { createFolder } from '../helpers/folder.ts'
import { codeOf, createStream, managerOf, recordsIn, subject, targetOf } from '../helpers/jetstream.ts'
import { canMount, mountExt4 } from '../helpers/mount.ts'
import {
  checkpointOf,
  createLog,
  killAgainAndAgain,
  line,
  linesUpTo,
  shipAll,
  shipTwiceAtOnce,
  shipWhileDiskIsFull,
  shipWhileServerDies,
  startWriting
} from '../helpers/shipping.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const kills = sized(100, 4)
const DISK_BYTES = 64 * 1024 * 1024

describe.skipIf(!hasEngine('nats-server') || !native.canLock)(
  'JetStream (skipped where scripts/engines.mjs did not get nats-server)',
  () => {
    test.each([true, false])(
      `atomic batches: %s; killed ${kills} times while the log rotates, every record is there once, in order`,
      { timeout: 1_800_000 },
      async (isAtomic) => {
        const engine = await startNats()
        await createStream(engine, { allow_atomic: isAtomic })
        const log = startWriting()
        await killAgainAndAgain(codeOf(engine, log.path), kills, checkpointOf(log.path, 'jetstream'))
        const written = await log.stop()
        const shipper = await shipAll(log.path, targetOf(engine))
        expect(await recordsIn(engine)).toEqual(linesUpTo(written))
        expect(shipper.stats().records).toBeLessThan(written)
      }
    )

    test('the server is killed and started again: nothing is missing or there twice', {
      timeout: 600_000
    }, async () => {
      const engine = await startNats()
      await createStream(engine, { allow_atomic: true })
      const { written, seen } = await shipWhileServerDies(targetOf(engine), engine, sized(10, 1))
      expect(seen.slice(0, 2)).toEqual(['degraded', 'recovered'])
      expect(await recordsIn(engine)).toEqual(linesUpTo(written))
    })

    test.skipIf(!canMount)(
      "the server's disk is full for a while: the shipper waits for it, nothing is missing or there twice (skipped without mkfs.ext4)",
      { timeout: 300_000 },
      async () => {
        const { folder } = mountExt4([], DISK_BYTES)
        const engine = await startNats({ folder })
        await createStream(engine, { allow_atomic: true })
        const written = await shipWhileDiskIsFull(targetOf(engine), folder)
        expect(await recordsIn(engine)).toEqual(linesUpTo(written))
      }
    )

    test('two shippers at once, each with a checkpoint: one of them is told, and every record is there once', async () => {
      const engine = await startNats()
      await createStream(engine)
      const path = createLog(50)
      const checkpoints = ['one', 'two'].map((name) => join(createFolder(), name))
      let written = 50
      const ended = await shipTwiceAtOnce(
        [
          codeOf(engine, path, { checkpoint: checkpoints[0], consumer: 'one' }),
          codeOf(engine, path, { checkpoint: checkpoints[1], consumer: 'two' })
        ],
        () => {
          for (let i = 0; i < 20; i++) appendFileSync(path, `${line(written++)}\n`)
        }
      )
      expect(ended).toContain('ERR_LOCKED')
      await shipAll(path, targetOf(engine), { checkpoint: checkpoints[ended.indexOf(undefined)] })
      expect(await recordsIn(engine)).toEqual(linesUpTo(written))
    })

    test.each([0, 2])(
      'what a shipper that was killed behind %i records had sent arrives late: its successor goes on behind it',
      async (before) => {
        const engine = await startNats()
        await createStream(engine)
        const log = { stream: 'a'.repeat(16), log: 'app', event: undefined }
        const { signal } = new AbortController()
        const send = (target: ShipTarget, from: number, to: number) => {
          const records = linesUpTo(to).map((text, number) => ({
            data: Buffer.from(text),
            number,
            timeMs: 0
          }))
          const place = { after: null, sequence: 0, firstNumber: 0, rangeHash: 'a'.repeat(16) }
          return target.send({ ...log, ...place, areLines: true, records: records.slice(from) }, signal)
        }
        const [killed, successor] = [targetOf(engine), targetOf(engine)]
        onTestFinished(async () => {
          for (const target of [killed, successor]) await target.close?.()
        })
        await killed.takeOver?.(log, signal)
        if (before > 0) await send(killed, 0, before)
        await successor.takeOver?.(log, signal)
        await send(killed, before, before + 3)
        expect(await send(successor, before, before + 5)).toEqual([])
        expect(await recordsIn(engine)).toEqual(linesUpTo(before + 5))
        // And one that lives is told.
        await expect(send(killed, before + 3, before + 6)).rejects.toThrow(/ERR_LOCKED/)
        expect(await recordsIn(engine)).toEqual(linesUpTo(before + 5))
      }
    )

    test('a checkpoint that is lost, or of yesterday, is found in the stream', async () => {
      const engine = await startNats()
      await createStream(engine, { allow_atomic: true })
      const path = createLog(120)
      const { checkpointPath } = await shipAll(path, targetOf(engine))
      const yesterday = `${checkpointPath}.yesterday`
      copyFileSync(checkpointPath, yesterday)
      let written = 120
      for (const spoil of [
        () => rmSync(checkpointPath),
        () => {},
        () => copyFileSync(yesterday, checkpointPath)
      ]) {
        for (let i = 0; i < 70; i++) appendFileSync(path, `${line(written++)}\n`)
        spoil()
        await shipAll(path, targetOf(engine))
        expect(await recordsIn(engine)).toEqual(linesUpTo(written))
      }
      expect(readCheckpoint(checkpointPath)).toMatchObject({
        records: written,
        stream: readCheckpoint(yesterday).stream
      })
    })

    test('a checkpoint of another stream is refused, and so is a subject that others publish to', async () => {
      const engine = await startNats()
      await createStream(engine)
      await shipAll(createLog(3), targetOf(engine))
      const path = createLog(3)
      await shipAll(path, createJetStreamTarget({ url: engine.url, subject: 'logs.other' }))
      const checkpoint = join(createFolder(), 'checkpoint')
      copyFileSync(checkpointOf(path, 'jetstream'), checkpoint)
      await expect(shipAll(path, targetOf(engine), { checkpoint })).rejects.toThrow(/ERR_LOCKED/)
      const { connection } = await managerOf(engine)
      await connection.request('logs.shared', 'not from a shipper')
      const target = createJetStreamTarget({ url: engine.url, subject: 'logs.shared' })
      await expect(shipAll(createLog(1), target)).rejects.toThrow(/not from a shipper.*ERR_OPTION/)
      expect(await recordsIn(engine)).toEqual(linesUpTo(3))
    })

    test('a record that is too large for the stream is kept with its reason; the others are there', async () => {
      const engine = await startNats()
      await createStream(engine, { max_msg_size: 8192, allow_atomic: true })
      const path = join(createFolder(), 'app')
      writeFileSync(path, `${line(0)}\n${'x'.repeat(9000)}\n${line(1)}\n`)
      const shipper = await shipAll(path, targetOf(engine))
      expect(await recordsIn(engine)).toEqual(linesUpTo(2))
      expect(readFileSync(shipper.rejectedPath, 'utf8')).toContain('the limit of the stream')
      // With that one the last of all, too.
      appendFileSync(path, `${'y'.repeat(9000)}\n`)
      await shipAll(path, targetOf(engine))
      appendFileSync(path, `${line(2)}\n`)
      await shipAll(path, targetOf(engine))
      expect(await recordsIn(engine)).toEqual(linesUpTo(3))
    })

    test('what the stream has removed is not missed: the shipper goes on', async () => {
      const engine = await startNats()
      await createStream(engine)
      const path = createLog(10)
      const shipper = new Shipper({ source: path, target: targetOf(engine), batchAge: 10 })
      onTestFinished(() => shipper.stop())
      const running = shipper.run()
      await until(() => shipper.stats().records === 10)
      const { manager } = await managerOf(engine)
      await manager.streams.purge('logs')
      appendFileSync(path, `${line(10)}\n`)
      await until(() => shipper.stats().records === 11)
      await shipper.stop()
      await running
      expect(await recordsIn(engine)).toEqual([line(10)])
    })

    test('a stream that is not there yet is waited for', async () => {
      const engine = await startNats()
      const path = createLog(5)
      const shipper = new Shipper({ source: path, target: targetOf(engine), follow: false })
      onTestFinished(() => shipper.stop())
      const seen: string[] = []
      shipper.on('degraded', ({ message }) => seen.push(message))
      const running = shipper.run()
      await until(() => seen.length === 1)
      await createStream(engine)
      await running
      expect(seen[0]).toMatch(/no stream of JetStream takes the subject logs\.web1\.app/)
      expect(await recordsIn(engine)).toEqual(linesUpTo(5))
    })

    test('the command ships, and ends when it is done', async () => {
      const engine = await startNats()
      await createStream(engine, { allow_atomic: true })
      const args = ['ship', createLog(3), '--to', 'jetstream', '--url', engine.url, '--subject', subject]
      const { code, stderr } = await runCli([...args, '--no-follow'])
      expect([code, stderr]).toEqual([
        0,
        expect.stringContaining('3 records in 1 batches, 0 of them refused')
      ])
      expect(stderr).toContain('every record is in the stream once')
      expect(await recordsIn(engine)).toEqual(linesUpTo(3))
    })
  }
)
