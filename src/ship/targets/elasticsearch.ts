// Ships to Elasticsearch, OpenSearch and others that take their `_bulk` requests: each record is created under a name of its
// own, which these two refuse a second time.
import { isUtf8 } from 'node:buffer'
import { createPoster, type HttpOptions, isRefusal } from '../http.ts'
import type { Refusal, ShipBatch, ShipRecord, ShipTarget } from '../target.ts'

const CONFLICT = 409
const MAX_REASON = 1000

interface BulkAnswer {
  readonly errors?: boolean
  readonly items?: readonly ({ create?: { status?: number; error?: unknown } } | null)[]
}

/** `url` is that of the `_bulk` request, with the index in its path where that is wanted. */
export function createElasticsearchTarget(options: HttpOptions): ShipTarget {
  const poster = createPoster('elasticsearch', options, { contentType: 'application/x-ndjson' })
  return {
    name: 'elasticsearch',
    guarantee:
      'every record is sent at least once, and always under the same _id, of which Elasticsearch and OpenSearch keep one',
    splits: true,
    maxInFlight: 1,
    async send(batch: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]> {
      const body = batch.records.map((record) => bulkLines(batch, record)).join('')
      return refusalsIn(answerIn(await poster.post(body, signal)), batch)
    },
    close: () => poster.close()
  }
}

/** Anything else than an answer to `_bulk` is not from what is shipped to: a proxy, or a wrong path. */
function answerIn(bytes: Buffer): BulkAnswer {
  let answer: BulkAnswer | null | undefined
  try {
    answer = JSON.parse(bytes.toString())
  } catch {
    // No JSON.
  }
  if (typeof answer?.errors === 'boolean') return answer
  throw new Error('the answer is none to a _bulk request; check the url')
}

function refusalsIn({ errors, items }: BulkAnswer, { records }: ShipBatch): Refusal[] {
  if (errors === false) return []
  if (!Array.isArray(items) || items.length !== records.length) {
    throw new Error('the answer does not say of each record what became of it')
  }
  const refusals: Refusal[] = []
  for (const [at, record] of records.entries()) {
    const { status = 0, error } = items[at]?.create ?? {}
    if ((status >= 200 && status < 300) || status === CONFLICT) continue
    const reason = `HTTP ${status} ${JSON.stringify(error ?? '').slice(0, MAX_REASON)}`
    // Too busy, read-only, or not allowed at the moment: those that are there already conflict the next time.
    if (!isRefusal(status)) throw new Error(`a record was not taken: ${reason}`)
    refusals.push({ record, reason })
  }
  return refusals
}

function bulkLines({ stream, event }: ShipBatch, record: ShipRecord): string {
  return `{"create":{"_id":"${stream}-${record.number}"}}\n${JSON.stringify(documentOf(record, event))}\n`
}

/** A JSON object as it is, with a time and its event if it has none by these names; anything else as its message. */
function documentOf({ data, timeMs }: ShipRecord, event: string | undefined): Record<string, unknown> {
  const time = { '@timestamp': new Date(timeMs).toISOString(), ...(event !== undefined && { event }) }
  if (!isUtf8(data)) return { ...time, base64: data.toString('base64') }
  const text = data.toString()
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...time, ...value }
  } catch {
    // No JSON.
  }
  return { ...time, message: text }
}
