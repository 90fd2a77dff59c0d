// A real VictoriaLogs as tests need it: the three protocols it takes, what is in it, and what is on its disk.
import { expect } from 'vitest'
import type { ShipTarget } from '../../src/ship/target.ts'
import { createElasticsearchTarget } from '../../src/ship/targets/elasticsearch.ts'
import { createLokiTarget } from '../../src/ship/targets/loki.ts'
import { createOtlpTarget } from '../../src/ship/targets/otlp.ts'
import type { Engine } from './engines.ts'
import { until } from './until.ts'

export interface HttpKind {
  readonly name: string
  /** Of the package, as it exports it. */
  readonly creator: string
  readonly create: (options: { url: string }) => ShipTarget
  readonly place: string
  /** Under which it keeps a record's name; it takes no names by `_bulk`. */
  readonly idField?: string
}

export const httpKinds: readonly HttpKind[] = [
  {
    name: 'elasticsearch',
    creator: 'createElasticsearchTarget',
    create: createElasticsearchTarget,
    place: '/insert/elasticsearch/_bulk?_time_field=@timestamp&_msg_field=msg'
  },
  {
    name: 'loki',
    creator: 'createLokiTarget',
    create: createLokiTarget,
    place: '/insert/loki/api/v1/push',
    idField: 'logboom_id'
  },
  {
    name: 'otlp',
    creator: 'createOtlpTarget',
    create: createOtlpTarget,
    place: '/insert/opentelemetry/v1/logs',
    idField: 'log.record.uid'
  }
]

/** Of all records that are there: their numbers, as `n`, and their names. */
async function recordsIn({ url }: Engine, idField = 'n'): Promise<{ n: number; id: string }[]> {
  const body = new URLSearchParams({ query: `n:* | fields n, "${idField}"`, limit: '1000000' })
  const response = await fetch(`${url}/select/logsql/query`, { method: 'POST', body })
  const found = (await response.text()).split('\n').filter((text) => text !== '')
  return found.map((text) => {
    const record = JSON.parse(text)
    return { n: Number(record.n), id: String(record[idField]) }
  })
}

/**
 * Each once at least, as what was not acknowledged is sent again, and always under one name of its own. Those of `mayBeLost` may
 * be missing; resolves with how many are.
 */
export async function expectRecords(
  engine: Engine,
  { idField }: HttpKind,
  count: number,
  mayBeLost: ReadonlySet<number> = new Set()
): Promise<number> {
  const missing = async () => {
    const found = new Set((await recordsIn(engine, idField)).map(({ n }) => n))
    return Array.from({ length: count }, (_, n) => n).filter((n) => !found.has(n))
  }
  const isThere = async () => (await missing()).every((n) => mayBeLost.has(n))
  await until(isThere, { timeoutMs: 30_000, what: `${count} records` })
  const records = await recordsIn(engine, idField)
  const names = new Map(records.map(({ n, id }) => [n, id]))
  expect(Math.max(...names.keys())).toBeLessThan(count)
  for (const { n, id } of records) expect([n, id]).toEqual([n, names.get(n)])
  expect(new Set(names.values()).size).toBe(names.size)
  return count - names.size
}

/** Until all that was acknowledged is in files: what is only in memory goes with the process. */
export async function untilOnDisk({ url }: Engine): Promise<void> {
  const inMemory = ['vl_storage_parts{type="storage/inmemory"}', 'vl_pending_rows{type="storage"}']
  const isOnDisk = async () => {
    const text = await (await fetch(`${url}/metrics`)).text()
    const lines = text.split('\n')
    return inMemory.every((name) => lines.includes(`${name} 0`))
  }
  await until(isOnDisk, { timeoutMs: 60_000, what: 'all is in files' })
}
