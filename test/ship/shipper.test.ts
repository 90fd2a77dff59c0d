// The shipper with targets that do what real ones do now and then: fail, refuse, answer late, or lose their answer.

import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BinaryFile } from '../../src/core/binary-file/binary-file.ts'
import { native } from '../../src/native/index.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import type { Shipper } from '../../src/ship/shipper.ts'
import { RefusedError, type ShipBatch } from '../../src/ship/target.ts'
import { createElasticsearchTarget } from '../../src/ship/targets/elasticsearch.ts'
import { createS3Target } from '../../src/ship/targets/s3.ts'
import { runCli } from '../helpers/cli.ts'
import { createFolder } from '../helpers/folder.ts'
import { random } from '../helpers/random.ts'
import { createShipper, createTarget } from '../helpers/ship-target.ts'
import { until } from '../helpers/until.ts'

function createLog(count: number): { path: string; lines: string[] } {
  const path = join(createFolder(), 'app.log')
  const lines = Array.from({ length: count }, (_, i) => `record ${i}`)
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  return { path, lines }
}

const start = createShipper
const stateOf = (shipper: Shipper) => readCheckpoint(shipper.checkpointPath)

describe.skipIf(!native.canLock)('a shipper', () => {
  test('ships all records in batches within their bounds, and the next one goes on behind them', async () => {
    const { path, lines } = createLog(95)
    const { target, sent, taken } = createTarget()
    await start(path, target).run()
    expect(taken).toEqual(lines)
    expect(sent.map(({ texts }) => texts.length)).toEqual([10, 10, 10, 10, 10, 10, 10, 10, 10, 5])
    expect(sent.flatMap(({ numbers }) => numbers)).toEqual(lines.map((_, i) => i))
    appendFileSync(path, 'more\n')
    const second = createTarget()
    await start(path, second.target, { batchBytes: 1 }).run()
    expect(second.sent).toMatchObject([{ sequence: 10, numbers: [95], texts: ['more'] }])
    const third = createTarget()
    await start(path, third.target).run()
    expect(third.sent).toEqual([])
  })

  test('a batch that is not full is sent when its first record has waited long enough', async () => {
    const { path } = createLog(3)
    const { target, taken } = createTarget()
    const shipper = start(path, target, { follow: true, batchAge: 50 })
    const running = shipper.run()
    await until(() => taken.length === 3)
    appendFileSync(path, 'late\n')
    await until(() => taken.length === 4)
    await until(() => shipper.stats().records === 4)
    await shipper.stop()
    await running
  })

  test('tries again for as long as it takes, and says so once', async () => {
    const { path, lines } = createLog(25)
    let failures = 0
    const { target, taken } = createTarget(() => {
      if (failures < 2) {
        failures++
        throw new Error('unreachable')
      }
    })
    const shipper = start(path, target)
    const seen: string[] = []
    shipper.on('degraded', ({ message }) => seen.push(message)).on('recovered', () => seen.push('recovered'))
    await shipper.run()
    expect(seen).toEqual(['unreachable', 'recovered'])
    expect(shipper.stats()).toMatchObject({ records: 25, batches: 3, retries: 2, waitingRecords: 0 })
    expect(taken).toEqual(lines)
  })

  test('the checkpoint moves over what is there without a gap only, and the rest is sent again as it was', async () => {
    const { path, lines } = createLog(60)
    const stuck = createTarget(({ sequence }) => sequence === 1 && new Promise(() => {}), { maxInFlight: 4 })
    const first = start(path, stuck.target, { follow: true, batchAge: 10 })
    const running = first.run()
    await until(() => stuck.taken.length === 50 && stateOf(first).batches === 1)
    expect(stateOf(first)).toMatchObject({ records: 10, batches: 1 })
    const noted = stateOf(first).pending.length
    expect(noted).toBe(5)
    // What a crash leaves: the process is gone, its checkpoint is not.
    const left = readFileSync(first.checkpointPath)
    const checkpoint = join(createFolder(), 'checkpoint')
    writeFileSync(checkpoint, left)
    // Rotated meanwhile, and other bounds for batches.
    renameSync(path, `${path}.20260101-000000.0`)
    writeFileSync(path, 'new\n')
    const { target, sent, taken } = createTarget()
    const second = start(path, target, { checkpoint, consumer: 'second', batchRecords: 1000 })
    await second.run()
    expect(taken).toEqual([...lines.slice(10), 'new'])
    const before = new Map(stuck.sent.map((each) => [each.sequence, each]))
    for (const each of sent.slice(0, noted)) expect(each).toEqual(before.get(each.sequence))
    // Stopping does not wait for a target that never answers.
    await first.stop()
    await running
  })

  test('whatever happens to answers and checkpoints, no record is missing and numbers never mean another record', async () => {
    const { path, lines } = createLog(200)
    const checkpoint = join(createFolder(), 'checkpoint')
    const byNumber = new Map<number, string>()
    for (let life = 0; life < 100; life++) {
      let left = Math.floor(random() * 6)
      const { target } = createTarget(
        (_, { numbers, texts }) => {
          for (const [at, number] of numbers.entries()) {
            expect(byNumber.get(number) ?? texts[at]).toBe(texts[at])
            byNumber.set(number, texts[at])
          }
          // The records are there, and the answer is not.
          if (left-- === 0) throw new Error('gone')
        },
        { maxInFlight: 3 }
      )
      const options = { checkpoint, batchRecords: 1 + Math.floor(random() * 20) }
      const shipper = start(path, target, options)
      shipper.on('degraded', () => void shipper.stop())
      await shipper.run()
      if (shipper.stats().waitingRecords === 0 && byNumber.size === lines.length) break
    }
    expect([...byNumber].sort(([a], [b]) => a - b).map(([, text]) => text)).toEqual(lines)
  })

  test('a record that is refused for good is found, kept with its reason, and passed over', async () => {
    const { path, lines } = createLog(40)
    const { target } = createTarget(({ records }) => {
      if (records.some(({ data }) => /record (13|27)$/.test(String(data))))
        throw new RefusedError('not this one')
    })
    const kept: string[] = []
    const { send } = target
    target.send = async (batch, signal) => {
      const refusals = await send(batch, signal)
      kept.push(...batch.records.map(({ data }) => String(data)))
      return refusals
    }
    const shipper = start(path, target)
    await shipper.run()
    expect(kept.sort()).toEqual(lines.filter((line) => !/ (13|27)$/.test(line)).sort())
    const rejected = readFileSync(shipper.rejectedPath, 'utf8')
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text))
    const { stream } = stateOf(shipper)
    expect(rejected).toEqual([
      { id: `${stream}-13`, reason: 'not this one', data: 'record 13' },
      { id: `${stream}-27`, reason: 'not this one', data: 'record 27' }
    ])
    expect(shipper.stats()).toMatchObject({ records: 40, rejected: 2 })
  })

  test('many refusals in a minute stop it, and so does one of a target that takes batches only as a whole', async () => {
    const { path } = createLog(40)
    const refuse = () => {
      throw new RefusedError('wrong mapping')
    }
    const all = start(path, createTarget(refuse).target, { maxRejected: 15 })
    await expect(all.run()).rejects.toThrow(/test refuses what is shipped: wrong mapping.*ERR_TARGET/)
    expect(stateOf(all)).toMatchObject({ records: 10 })
    const whole = start(path, createTarget(refuse, { splits: false }).target, {
      checkpoint: join(createFolder(), 'c')
    })
    await expect(whole.run()).rejects.toThrow(/ERR_TARGET/)
    expect(stateOf(whole)).toMatchObject({ records: 0 })
  })

  test('one at a time uses a checkpoint; a file that is none is left alone', async () => {
    const { path } = createLog(1)
    const first = start(path, createTarget().target, { follow: true, batchAge: 1 })
    const running = first.run()
    await until(() => existsSync(first.checkpointPath))
    await expect(start(path, createTarget().target).run()).rejects.toThrow(/ERR_LOCKED/)
    await first.stop()
    await running
    await start(path, createTarget().target).run()
    for (const text of ['', 'no checkpoint', '{"version":2}', '{"version":1,"stream":"../x"}']) {
      const checkpoint = join(createFolder(), 'checkpoint')
      writeFileSync(checkpoint, text)
      await expect(start(path, createTarget().target, { checkpoint }).run()).rejects.toThrow(/ERR_CORRUPT/)
      expect(readFileSync(checkpoint, 'utf8')).toBe(text)
    }
  })

  test('what lies where a checkpoint is prepared is not written to, as it may be the file of somebody else', async () => {
    const { path } = createLog(1)
    const checkpoint = join(createFolder(), 'checkpoint')
    const victim = `${checkpoint}.victim`
    writeFileSync(victim, 'somebody else needs this')
    linkSync(victim, `${checkpoint}.tmp`)
    await start(path, createTarget().target, { checkpoint }).run()
    expect(readFileSync(victim, 'utf8')).toBe('somebody else needs this')
    expect(existsSync(`${checkpoint}.tmp`)).toBe(false)
  })

  test('records that are gone before they were shipped are an error, never silence', async () => {
    const { path } = createLog(10)
    await start(path, createTarget().target).run()
    rmSync(path)
    writeFileSync(path, 'another log\n')
    const { target, sent } = createTarget()
    await expect(start(path, target).run()).rejects.toThrow(/ERR_CURSOR_LOST/)
    expect(sent).toEqual([])
  })

  test('a folder of logs, bad options and a missing log are refused', async () => {
    const folder = createFolder()
    mkdirSync(join(folder, 'logs'))
    writeFileSync(join(folder, 'logs', 'a.log'), 'a\n')
    writeFileSync(join(folder, 'logs', 'b.log'), 'b\n')
    await expect(start(join(folder, 'logs'), createTarget().target).run()).rejects.toThrow(
      /one by one.*ERR_OPTION/
    )
    expect(() => start(folder, createTarget().target, { batchRecords: 0 })).toThrow(/ERR_OPTION/)
    expect(() => start(folder, createTarget().target, { batchSize: 1 } as object)).toThrow(/ERR_OPTION/)
    await expect(start(join(folder, 'missing'), createTarget().target).run()).rejects.toThrow(/ERR_NOT_FOUND/)
  })
})

describe.skipIf(!native.canLock)('over HTTP', () => {
  /** Answers with what `answer` gives: a status, or a body for 200. */
  async function startServer(answer: (body: string, request: IncomingMessage) => number | object) {
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const result = answer(Buffer.concat(chunks).toString(), request)
      if (typeof result === 'number') response.writeHead(result).end('said so')
      else response.end(JSON.stringify(result))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return `http://127.0.0.1:${(server.address() as { port: number }).port}`
  }

  /** As Elasticsearch answers: created, there already, too busy, or refused. */
  function createIndex() {
    const documents = new Map<string, Record<string, unknown>>()
    let busy = 3
    const answer = (body: string) => {
      const rows = body
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text))
      const items: object[] = []
      for (let at = 0; at < rows.length; at += 2) {
        const id = rows[at].create._id
        if (documents.has(id)) items.push({ create: { status: 409, error: { type: 'version_conflict' } } })
        else if (rows[at + 1].n === 7)
          items.push({ create: { status: 400, error: { type: 'mapper_parsing' } } })
        else if (rows[at + 1].n % 10 === 5 && busy-- > 0) items.push({ create: { status: 429 } })
        else {
          documents.set(id, rows[at + 1])
          items.push({ create: { status: 201 } })
        }
      }
      return {
        errors: items.some(
          (item) => JSON.stringify(item).includes('error') || JSON.stringify(item).includes('429')
        ),
        items
      }
    }
    return { documents, answer }
  }

  test('_bulk: each record is created once, whatever part of a batch was taken before; refused ones are kept', async () => {
    const { documents, answer } = createIndex()
    const url = await startServer(answer)
    const path = join(createFolder(), 'app.log')
    writeFileSync(
      path,
      Array.from({ length: 30 }, (_, n) => `${JSON.stringify({ n, time: 1_700_000_000_000 })}\n`).join('') +
        'no json\n'
    )
    const shipper = start(path, createElasticsearchTarget({ url }))
    await shipper.run()
    const found = [...documents.values()].map(({ n }) => n).filter((n) => n !== undefined)
    expect(found.sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 30 }, (_, n) => n).filter((n) => n !== 7)
    )
    expect([...documents.values()].find(({ message }) => message === 'no json')).toBeDefined()
    expect(documents.size).toBe(30)
    expect([...documents.values()][0]['@timestamp']).toBe('2023-11-14T22:13:20.000Z')
    expect(readFileSync(shipper.rejectedPath, 'utf8')).toContain('mapper_parsing')
    expect(shipper.stats()).toMatchObject({ rejected: 1, records: 31 })
  })

  test.each([401, 403, 404, 429, 500, 503])(
    'HTTP %i is tried again, whoever must correct what',
    async (status) => {
      let left = 1
      const url = await startServer(() => (left-- > 0 ? status : { errors: false, items: [] }))
      const { path } = createLog(3)
      const shipper = start(path, createElasticsearchTarget({ url }))
      await shipper.run()
      expect(shipper.stats()).toMatchObject({ records: 3, retries: 1, rejected: 0 })
    }
  )

  test('the command ships, says what is guaranteed, and takes secrets from a file or the environment', async () => {
    const seen: (string | undefined)[] = []
    const { documents, answer } = createIndex()
    const url = await startServer((body, request) => {
      seen.push(request.headers.authorization)
      return answer(body)
    })
    const { path } = createLog(3)
    const secret = join(createFolder(), 'secret')
    writeFileSync(secret, 'Bearer from-file\n')
    const args = ['ship', path, '--to', 'elasticsearch', '--url', url, '--no-follow']
    const { code, stderr } = await runCli([...args, '--authorization-file', secret])
    expect(code).toBe(0)
    expect(stderr).toContain('every record is sent at least once, and always under the same _id')
    expect(stderr).toContain('3 records in 1 batches, 0 of them refused')
    expect(stderr).not.toContain('from-file')
    expect(seen).toEqual(['Bearer from-file'])
    expect(documents.size).toBe(3)
    const again = await runCli(args)
    expect(again.stderr).toContain('0 records in 0 batches')
  })

  test('the command refuses what it cannot do', async () => {
    const { path } = createLog(1)
    const usage = async (...args: string[]) => {
      const { code, stderr } = await runCli(['ship', ...args])
      return `${code} ${stderr}`
    }
    expect(await usage(path, '--to', 'tape', '--url', 'http://x')).toMatch(
      /^1 .*--to must be s3, jetstream, kafka, elasticsearch, loki, otlp/
    )
    expect(await usage(path, '--to', 'loki')).toMatch(/^1 .*--url is missing/)
    expect(await usage(path, '--to', 'loki', '--url', 'file:///x')).toMatch(/^1 .*--url must be one of http/)
    expect(await usage(path, '--to', 'loki', '--url', 'http://user:secret@x')).toMatch(
      /^1 .*must not hold user and password/
    )
    const before = { ...process.env }
    delete process.env.AWS_ACCESS_KEY_ID
    onTestFinished(() => {
      Object.assign(process.env, before)
    })
    await expect(createS3Target({ url: 'http://x/logs' })).rejects.toThrow(/AWS_ACCESS_KEY_ID.*ERR_OPTION/)
  })
})

test.skipIf(!native.canLock)('records that are no lines come with their bytes and numbers', async () => {
  const path = join(createFolder(), 'a.bin')
  const file = new BinaryFile({ path, maxBytes: '1m' })
  for (const record of ['two\nlines', '', Buffer.from([0, 255])]) file.write(record)
  await file.close()
  const seen: ShipBatch[] = []
  const { target } = createTarget((batch) => {
    seen.push(batch)
  })
  await start(path, target).run()
  expect(seen[0].areLines).toBe(false)
  expect(seen[0].records.map(({ data }) => data.toString('hex'))).toEqual(['74776f0a6c696e6573', '', '00ff'])
})
