// SIGKILL at random moments while several processes log to one rotating log through workerStream and winston: every record
// whose call had returned is in the log once, in order, after the next start.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { workerStream } from 'logboom'
import { describe, expect, test } from 'vitest'
import { groupBackups } from '../../../src/formats/backup-name.ts'
import { native } from '../../../src/native/index.ts'
import { atTestEnd } from '../../helpers/at-test-end.ts'
import { tally } from '../../helpers/counts.ts'
import { createFolderOfDying } from '../../helpers/folder.ts'
import { random } from '../../helpers/random.ts'
import { sized } from '../../helpers/sized.ts'
import { until } from '../../helpers/until.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const rounds = sized(250, 4)
const hosts = ['pino', 'winston'] as const

/** Logs until it is killed; how far it has come is written to a file, which survives it. */
const program = `
import { openSync, writeSync } from 'node:fs'
import pino from 'pino'
import winston from 'winston'
import { workerStream } from 'logboom'
import { RotatingFileTransport } from 'logboom/winston'
const [host, writer, path, oracle] = process.argv.slice(1)
const options = { path, maxBytes: '256k', fallback: false }
const fd = openSync(oracle, 'w')
const logger = host === 'pino'
  ? pino({ base: null, timestamp: false }, workerStream('rotating-file', options))
  : winston.createLogger({ format: winston.format.json(), transports: [new RotatingFileTransport(options)] })
const count = Buffer.alloc(8)
let id = 0
function burst() {
  for (let i = 0; i < 200; i++) {
    const pad = 'x'.repeat(id % 97 === 0 ? 3_000 : 40)
    if (host === 'pino') logger.info({ writer, id, pad })
    else logger.info({ message: 'm', writer, id, pad })
    count.writeDoubleLE(++id)
    writeSync(fd, count, 0, 8, 0)
  }
  // Whoever was to kill it may be dead.
  if (id < 2_000_000) setImmediate(burst)
}
burst()
`

describe.skipIf(!native.laneAvailable())('killed at random moments', () => {
  test.each(hosts)(
    'what was logged through %s is in the log once',
    async (host) => {
      const folder = createFolderOfDying()
      const path = join(folder, 'app.log')
      const logged = new Map<string, number>()
      for (let round = 0; round < rounds; round++) {
        const writers = [`${round}a`, `${round}b`]
        const children = writers.map((writer) =>
          spawn(
            process.execPath,
            [
              '--input-type=module',
              '-e',
              program,
              '--',
              host,
              writer,
              path,
              join(folder, `oracle-${writer}`)
            ],
            {
              cwd: root,
              stdio: ['ignore', 'ignore', 'inherit']
            }
          )
        )
        // A test that fails must not leave one that logs for ever.
        atTestEnd(() => {
          for (const child of children) child.kill('SIGKILL')
        })
        // Now and then one is killed before it has logged anything.
        if (round % 4 !== 3) {
          await until(() => writers.every((writer) => countOf(folder, writer) > 0), { timeoutMs: 60_000 })
        }
        await delay(random() * 600)
        const exits = children.map((child) => once(child, 'exit'))
        for (const child of children) {
          child.kill('SIGKILL')
          await delay(random() * 20)
        }
        for (const exit of exits) expect((await exit)[1]).toBe('SIGKILL')
        tally('kills', exits.length)
        for (const writer of writers) {
          logged.set(writer, countOf(folder, writer))
        }
      }
      const stream = workerStream('rotating-file', { path, maxBytes: '256k', fallback: false })
      stream.write(`${JSON.stringify({ writer: 'last', id: 0 })}\n`)
      await stream.flush()
      await stream.close()
      const found = new Map<string, number[]>()
      const files = [...groupBackups('app.log', readdirSync(folder)).map(({ name }) => name), 'app.log']
      for (const line of files.flatMap((name) =>
        readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1)
      )) {
        const { writer, id } = JSON.parse(line)
        const ids = found.get(writer) ?? []
        ids.push(id)
        found.set(writer, ids)
      }
      expect([...logged.values()].some((count) => count > 0)).toBe(true)
      for (const [writer, count] of logged) {
        const ids = found.get(writer) ?? []
        // One more may be there: that whose call had not returned yet.
        expect(
          ids.length - count === 0 || ids.length - count === 1,
          `${writer}: ${ids.length} of ${count}`
        ).toBe(true)
        expect(ids, writer).toEqual(Array.from({ length: ids.length }, (_, id) => id))
      }
    },
    60_000 + rounds * 20_000
  )
})

/** How many calls had returned, at least. */
function countOf(folder: string, writer: string): number {
  try {
    const bytes = readFileSync(join(folder, `oracle-${writer}`))
    return bytes.length === 8 ? bytes.readDoubleLE() : 0
  } catch {
    return 0
  }
}
