// The load of the logger suites: one request-log record per call, 200 calls per tick, every line 225 bytes with its
// line end, whatever the process id and the logger.
import { setImmediate as nextTick } from 'node:timers/promises'

export const lineBytes = 225
export const recordsPerTick = 200
/** Ids start here, so that all of them have seven digits. */
export const firstId = 1_000_000

/** The lines as verify.mjs has to find them. */
export const jsonLines = { lineBytes, marker: '"id":', digits: 7, firstId }

/** Fields of a record as an application gives them to its logger: a fresh object each time. */
export function fieldsOf(number) {
  return { id: firstId + number, method: 'GET', url: '/api/v1/orders/81723', status: 200, responseTime: 12 }
}

const message =
  'request completed by the order service after validation of the session and of the basket contents'

/**
 * Message that makes the line 225 bytes long.
 * @param {(message: string) => string} format the line a logger makes of record 0 with this message
 */
export function fitMessage(format) {
  const fitting = `${message}, ${message}`.slice(0, lineBytes - Buffer.byteLength(format('')))
  if (Buffer.byteLength(format(fitting)) !== lineBytes)
    throw new Error('bench: the records do not fit in 225 bytes')
  return fitting
}

/** Calls `log(number)` for every record, 200 per turn of the event loop; `endTick`, which may be asynchronous, after each 200. */
export async function logAll(records, log, endTick = () => {}) {
  for (let number = 0; number < records; ) {
    const end = Math.min(records, number + recordsPerTick)
    for (; number < end; number++) log(number)
    await endTick()
    await nextTick()
  }
}
