// Ships to Elasticsearch, OpenSearch and others that take their `_bulk` requests: each record is created under a name of its
// own, which these two refuse a second time.
import { isUtf8 } from 'node:buffer'
import {
  failureOf,
  type Refusal,
  requestSignal,
  type ShipBatch,
  type ShipRecord,
  type ShipTarget
} from '../target.ts'

const CONFLICT = 409

export interface HttpOptions {
  readonly url: string
  /** The header `authorization`. */
  readonly authorization?: string | undefined
}

interface BulkAnswer {
  readonly errors?: boolean
  readonly items?: readonly { create?: { status?: number; error?: unknown } }[]
}

/** `url` is that of the `_bulk` request, with the index in its path where that is wanted. */
export function createElasticsearchTarget({ url, authorization }: HttpOptions): ShipTarget {
  const headers = {
    'content-type': 'application/x-ndjson',
    ...(authorization !== undefined && { authorization })
  }
  return {
    name: 'elasticsearch',
    guarantee:
      'every record is sent at least once, and always under the same _id, of which Elasticsearch and OpenSearch keep one',
    splits: true,
    maxInFlight: 1,
    async send(batch: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]> {
      const body = batch.records.map((record) => bulkLines(batch, record)).join('')
      const response = await fetch(url, { method: 'POST', body, headers, signal: requestSignal(signal) })
      if (!response.ok) throw await failureOf(response, `POST ${url}`)
      const answer = (await response.json()) as BulkAnswer
      return answer.errors === true ? refusalsIn(answer, batch) : []
    }
  }
}

function refusalsIn({ items = [] }: BulkAnswer, { records }: ShipBatch): Refusal[] {
  const refusals: Refusal[] = []
  for (const [at, record] of records.entries()) {
    const { status = 0, error } = items[at]?.create ?? {}
    if ((status >= 200 && status < 300) || status === CONFLICT) continue
    const reason = `HTTP ${status} ${JSON.stringify(error ?? '')}`
    // Too busy, or broken at the moment: those that are there already conflict the next time.
    if (status < 400 || status === 429 || status >= 500) throw new Error(`a record was not taken: ${reason}`)
    refusals.push({ record, reason })
  }
  return refusals
}

function bulkLines({ stream }: ShipBatch, record: ShipRecord): string {
  return `{"create":{"_id":"${stream}-${record.number}"}}\n${JSON.stringify(documentOf(record))}\n`
}

/** A JSON object as it is, with a time if it has none by this name; anything else as its message. */
function documentOf({ data, timeMs }: ShipRecord): Record<string, unknown> {
  const time = { '@timestamp': new Date(timeMs).toISOString() }
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
