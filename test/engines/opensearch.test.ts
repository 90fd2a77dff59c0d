// Shipping to a real OpenSearch: its own answers to documents that are there, that it refuses, and that it cannot take now.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { readCheckpoint } from '../../src/ship/checkpoint.ts'
import { Shipper } from '../../src/ship/shipper.ts'
import { createElasticsearchTarget } from '../../src/ship/targets/elasticsearch.ts'
import { writeCheckpoint } from '../helpers/checkpoint.ts'
import { type Engine, hasEngine, startOpenSearch } from '../helpers/engines.ts'
import { createFolder } from '../helpers/folder.ts'
import {
  checkpointOf,
  createLog,
  killAgainAndAgain,
  line,
  linesUpTo,
  shipAll,
  shipperCode,
  shipWhileServerDies,
  startWriting
} from '../helpers/shipping.ts'
import { sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const kills = sized(100, 5)

describe.skipIf(!hasEngine('opensearch') || !native.canLock)(
  'OpenSearch (skipped except by npm run test:engines)',
  () => {
    let engine: Engine
    let indexes = 0
    const ends: (() => Promise<void>)[] = []
    afterAll(async () => {
      for (const end of ends) await end()
    })
    beforeAll(async () => {
      engine = await startOpenSearch((end) => ends.push(end))
    }, 180_000)

    const newIndex = () => `logs-${indexes++}`
    const urlOf = (index: string) => `${engine.url}/${index}/_bulk`
    const ask = async (method: string, path: string, body?: object) => {
      const response = await fetch(`${engine.url}/${path}`, {
        method,
        headers: { 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) })
      })
      return (await response.json()) as Record<string, never>
    }

    /** All documents with a number, in its order. */
    async function numbersIn(index: string): Promise<number[]> {
      await ask('POST', `${index}/_refresh`)
      const numbers: number[] = []
      for (let after = -1; ; after = numbers[numbers.length - 1]) {
        const query = { range: { n: { gt: after } } }
        const answer = await ask('POST', `${index}/_search`, {
          size: 10_000,
          sort: ['n'],
          query,
          _source: ['n']
        })
        const { hits } = answer.hits as unknown as { hits: { _source: { n: number } }[] }
        if (hits.length === 0) return numbers
        numbers.push(...hits.map(({ _source }) => _source.n))
      }
    }

    const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

    test(`killed ${kills} times while the log rotates: every record is there once`, {
      timeout: 1_200_000
    }, async () => {
      const index = newIndex()
      const log = startWriting()
      const code = `logboom.createElasticsearchTarget({ url: ${JSON.stringify(urlOf(index))} })`
      await killAgainAndAgain(shipperCode(log.path, code), kills, checkpointOf(log.path, 'elasticsearch'))
      const written = await log.stop()
      await shipAll(log.path, createElasticsearchTarget({ url: urlOf(index) }))
      expect(await numbersIn(index)).toEqual(upTo(written))
    })

    test('the server is killed and started again: nothing is missing or there twice', {
      timeout: 1_200_000
    }, async () => {
      const index = newIndex()
      const target = createElasticsearchTarget({ url: urlOf(index) })
      const { written } = await shipWhileServerDies(target, engine, sized(10, 1))
      expect(await numbersIn(index)).toEqual(upTo(written))
    })

    test('sent again, everything is there once; two shippers of one checkpoint write the same documents', {
      timeout: 120_000
    }, async () => {
      const index = newIndex()
      const path = createLog(200)
      const target = createElasticsearchTarget({ url: urlOf(index) })
      const { checkpointPath } = await shipAll(path, target)
      const state = readCheckpoint(checkpointPath)
      const checkpoint = join(createFolder(), 'checkpoint')
      writeCheckpoint(checkpoint, { ...state, cursor: null, records: 0, batches: 0 })
      const again = await shipAll(path, target, { checkpoint, batchRecords: 33 })
      expect(again.stats()).toMatchObject({ records: 200, rejected: 0 })
      expect(await numbersIn(index)).toEqual(upTo(200))
    })

    test('a document that the mapping does not take is kept with its reason', {
      timeout: 120_000
    }, async () => {
      const index = newIndex()
      await ask('PUT', index, { mappings: { properties: { n: { type: 'integer' } } } })
      const path = join(createFolder(), 'app')
      writeFileSync(path, `${linesUpTo(10).join('\n')}\n{"n":"not a number"}\n${line(10)}\n`)
      const shipper = await shipAll(path, createElasticsearchTarget({ url: urlOf(index) }))
      expect(shipper.stats()).toMatchObject({ records: 12, rejected: 1 })
      expect(readFileSync(shipper.rejectedPath, 'utf8')).toContain('mapper_parsing_exception')
      expect(await numbersIn(index)).toEqual(upTo(11))
    })

    test('an index that is read-only is no refusal: the shipper waits, and nothing is lost', {
      timeout: 120_000
    }, async () => {
      const index = newIndex()
      const path = createLog(5)
      await shipAll(path, createElasticsearchTarget({ url: urlOf(index) }))
      // What the server does itself when its disk is full.
      await ask('PUT', `${index}/_settings`, { 'index.blocks.read_only_allow_delete': true })
      const shipper = new Shipper({
        source: path,
        target: createElasticsearchTarget({ url: urlOf(index) }),
        batchAge: 10
      })
      onTestFinished(() => shipper.stop())
      const seen: string[] = []
      shipper.on('degraded', ({ message }) => seen.push(message))
      const running = shipper.run()
      appendFileSync(path, `${line(5)}\n`)
      await until(() => seen.length === 1)
      await ask('PUT', `${index}/_settings`, { 'index.blocks.read_only_allow_delete': null })
      await until(() => shipper.stats().records === 1, { timeoutMs: 60_000 })
      await shipper.stop()
      await running
      expect(seen[0]).toContain('cluster_block_exception')
      expect(shipper.stats().rejected).toBe(0)
      expect(await numbersIn(index)).toEqual(upTo(6))
    })

    test('an index that is not made by itself and is not there is waited for', {
      timeout: 120_000
    }, async () => {
      await ask('PUT', '_cluster/settings', { transient: { 'action.auto_create_index': false } })
      const index = newIndex()
      const shipper = new Shipper({
        source: createLog(5),
        target: createElasticsearchTarget({ url: urlOf(index) }),
        follow: false
      })
      onTestFinished(() => shipper.stop())
      const seen: string[] = []
      shipper.on('degraded', ({ message }) => seen.push(message))
      const running = shipper.run()
      await until(() => seen.length === 1)
      await ask('PUT', index)
      await running
      expect(seen[0]).toContain('index_not_found_exception')
      expect(await numbersIn(index)).toEqual(upTo(5))
      await ask('PUT', '_cluster/settings', { transient: { 'action.auto_create_index': null } })
    })
  }
)
