// Ships to whatever takes OpenTelemetry's logs over HTTP: a collector, or a store. Protobuf, compressed with gzip.
import { hostname } from 'node:os'
import { createPoster, type HttpOptions } from '../http.ts'
import { decodeLogsAnswer, encodeLogsRequest } from '../otlp/logs-request.ts'
import { type Refusal, RefusedError, type ShipBatch, type ShipTarget } from '../target.ts'

export interface OtlpOptions extends HttpOptions {
  /** `service.name` of the resource. Default: the environment variable OTEL_SERVICE_NAME, else the name of the log. */
  readonly service?: string | undefined
}

/** `url` is that of the request, which ends in `/v1/logs` nearly everywhere. */
export function createOtlpTarget({ service, ...options }: OtlpOptions): ShipTarget {
  const poster = createPoster('otlp', options, { contentType: 'application/x-protobuf', gzip: true })
  const serviceName = service ?? process.env.OTEL_SERVICE_NAME
  return {
    name: 'otlp',
    guarantee:
      'every record is sent at least once, in order, with the same time and the same attribute log.record.uid each time',
    splits: true,
    maxInFlight: 1,
    async send({ stream, log, event, records }: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]> {
      const resource = {
        'service.name': serviceName ?? log,
        'host.name': hostname(),
        'log.file.name': log,
        ...(event !== undefined && { 'event.name': event })
      }
      const bytes = await poster.post(encodeLogsRequest({ stream, resource }, records), signal)
      const { rejected, reason } = answerIn(bytes)
      if (rejected === 0) return []
      // Which ones is not said, unless it was all of them; then those that were taken are sent again with the parts.
      if (rejected < records.length) throw new RefusedError(`${rejected} rejected: ${reason}`)
      return records.map((record) => ({ record, reason }))
    },
    close: () => poster.close()
  }
}

function answerIn(bytes: Buffer): { rejected: number; reason: string } {
  try {
    return decodeLogsAnswer(bytes)
  } catch (error) {
    throw new Error('the answer is none to a request of OpenTelemetry; check the url', { cause: error })
  }
}
