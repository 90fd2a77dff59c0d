// Every kind of log, shipped to a real server of NATS by processes that are killed one after the other, while the log rotates,
// compresses, and removes what was shipped. Counted by reading the stream.
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { atTestEnd } from '../helpers/at-test-end.ts'
import { tally } from '../helpers/counts.ts'
import { hasEngine, startNats } from '../helpers/engines.ts'
import { createFolder } from '../helpers/folder.ts'
import { codeOf, createStream, recordsIn, targetOf } from '../helpers/jetstream.ts'
import { type KindOfLog, kindsOfLogs } from '../helpers/log-kinds.ts'
import { startProcess } from '../helpers/script.ts'
import { checkpointOf, killAgainAndAgain, killOnceShipped, shipAll } from '../helpers/shipping.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const kills = sized(100, 3)
const WRITE_MS = 20
const PER_TURN = 10

const textOf = (n: number): string => `record ${n} ${'x'.repeat(20)}`

/** Writes all the time, until it is stopped; resolves with the number of records. */
function startWriting(log: KindOfLog, from: number): () => Promise<number> {
  let written = from
  let isWriting = true
  const writing = (async () => {
    for (; isWriting; await delay(WRITE_MS)) {
      for (let i = 0; i < PER_TURN; i++) await log.write(textOf(written++))
      await log.flush()
    }
  })()
  writing.catch(() => {})
  const stop = async (): Promise<number> => {
    isWriting = false
    await writing
    return written
  }
  atTestEnd(() => stop().then(undefined, () => {}))
  return stop
}

describe.skipIf(!hasEngine('nats-server') || !native.canLock).each(Object.entries(kindsOfLogs))(
  '%s (skipped where scripts/engines.mjs did not get nats-server)',
  (kind, create) => {
    test(`rotates, compresses and removes while its shipper is killed ${kills} times: every record is there once, in order`, {
      timeout: 1_800_000
    }, async () => {
      const engine = await startNats()
      await createStream(engine, { allow_atomic: true })
      const folder = createFolder()
      const log = await create(folder)
      atTestEnd(() => log.close().then(undefined, () => {}))
      const removeShipped = kind === 'spool'
      const checkpoint = checkpointOf(log.source, 'jetstream')
      const code = codeOf(engine, log.source, { removeShipped })
      await log.write(textOf(0))
      await log.flush()
      // From its first shipper on the log waits for it.
      await killOnceShipped(code, checkpoint)
      const before = log.rotations()
      const startMs = performance.now()
      const stop = startWriting(log, 1)
      await killAgainAndAgain(code, kills, checkpoint)
      // Some for each of the shippers, whatever the machine has to do beside.
      await until(() => log.rotations() - before >= 2 * kills, { timeoutMs: 600_000 })
      const perSecond = (log.rotations() - before) / ((performance.now() - startMs) / 1000)
      // One that lives for some seconds says how far it has come, and what it has may go.
      const left = () => readdirSync(folder, { recursive: true }).length
      const living = await startProcess(code)
      await until(() => left() < log.rotations() / 2, {
        timeoutMs: 60_000,
        what: 'what was shipped is removed'
      })
      living.kill('SIGKILL')
      if (living.exitCode === null && living.signalCode === null) await once(living, 'exit')
      const written = await stop()
      const rotations = log.rotations()
      await log.close()
      const shipper = await shipAll(log.source, targetOf(engine), { removeShipped })
      expect(await recordsIn(engine)).toEqual(Array.from({ length: written }, (_, n) => textOf(n)))
      expect(shipper.stats().records).toBeLessThan(written)
      tally('records', written)
      if (process.env.LOGBOOM_COUNTS !== undefined)
        console.info(
          `${kind}: ${written} records, ${rotations} rotations, ${perSecond.toFixed(1)} a second, ${left()} files left`
        )
    })
  }
)
