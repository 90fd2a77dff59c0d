// Ships to Grafana Loki and others that take its push requests in JSON.
import { isUtf8 } from 'node:buffer'
import {
  failureOf,
  type Refusal,
  requestSignal,
  type ShipBatch,
  type ShipRecord,
  type ShipTarget
} from '../target.ts'
import type { HttpOptions } from './elasticsearch.ts'

export function createLokiTarget({ url, authorization }: HttpOptions): ShipTarget {
  const headers = {
    'content-type': 'application/json',
    ...(authorization !== undefined && { authorization })
  }
  return {
    name: 'loki',
    guarantee:
      'every record is sent at least once, with the same time and the same id (logboom_id) each time, and in order',
    splits: true,
    maxInFlight: 1,
    async send({ stream, log, records }: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]> {
      const values = records.map((record) => [
        nanoseconds(record),
        textOf(record),
        { logboom_id: `${stream}-${record.number}` }
      ])
      const body = JSON.stringify({ streams: [{ stream: { log }, values }] })
      const response = await fetch(url, { method: 'POST', body, headers, signal: requestSignal(signal) })
      if (!response.ok) throw await failureOf(response, `POST ${url}`)
      await response.arrayBuffer()
      return []
    }
  }
}

function nanoseconds({ timeMs }: ShipRecord): string {
  return String(BigInt(Math.floor(timeMs)) * 1_000_000n)
}

function textOf({ data }: ShipRecord): string {
  return isUtf8(data) ? data.toString() : data.toString('base64')
}
