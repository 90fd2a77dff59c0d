// Ships to Grafana Loki and others that take its push requests in JSON.
import { isUtf8 } from 'node:buffer'
import { createPoster, type HttpOptions } from '../http.ts'
import type { Refusal, ShipBatch, ShipRecord, ShipTarget } from '../target.ts'

export function createLokiTarget(options: HttpOptions): ShipTarget {
  const poster = createPoster('loki', options, { contentType: 'application/json', gzip: true })
  return {
    name: 'loki',
    guarantee:
      'every record is sent at least once, with the same time and the same id (logboom_id) each time, and in order',
    splits: true,
    maxInFlight: 1,
    async send({ stream, log, event, records }: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]> {
      const values = records.map((record) => [
        nanoseconds(record),
        textOf(record),
        { logboom_id: `${stream}-${record.number}` }
      ])
      const labels = { log, ...(event !== undefined && { event }) }
      const answer = await poster.post(JSON.stringify({ streams: [{ stream: labels, values }] }), signal)
      // Loki answers 204. A page of something in between is no word of it.
      if (answer.length > 0 && /^\s*</.test(answer.toString('latin1', 0, 100))) {
        throw new Error('the answer is none to a push request; check the url')
      }
      return []
    },
    close: () => poster.close()
  }
}

function nanoseconds({ timeMs }: ShipRecord): string {
  return String(BigInt(Math.floor(timeMs)) * 1_000_000n)
}

function textOf({ data }: ShipRecord): string {
  return isUtf8(data) ? data.toString() : data.toString('base64')
}
