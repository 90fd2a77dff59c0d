// The contract between the shipper and what it ships to. A target sends one batch and says what became of it; order, trying
// again, and how far everything has come are the shipper's.

export interface ShipRecord {
  readonly data: Buffer
  /** Counted since the checkpoint was made: with `ShipBatch.stream`, the record's name for ever. */
  readonly number: number
  /** Of the record itself where it tells, else when its batch was noted; ms since 1970. */
  readonly timeMs: number
}

export interface ShipBatch {
  /** 16 hexadecimal digits that the checkpoint was given when it was made. */
  readonly stream: string
  /** Name of the log. */
  readonly log: string
  /** Whether records are lines, so that a newline ends each. */
  readonly areLines: boolean
  readonly sequence: number
  /** Of the range of records: the same whenever the same batch is sent again. */
  readonly rangeHash: string
  readonly records: readonly ShipRecord[]
}

export interface Refusal {
  readonly record: ShipRecord
  readonly reason: string
}

export interface ShipTarget {
  readonly name: string
  /** What is true of this source in this target, in a sentence. */
  readonly guarantee: string
  /** Whether a refused batch can be sent in parts, to find the record that is refused. */
  readonly splits: boolean
  /** Batches that may be under way at once. */
  readonly maxInFlight: number
  /**
   * Sends the batch; resolves with the records that it will never take, and has all others then. Rejects with `RefusedError`
   * if it will never take the batch as it is, with anything else if trying again may help.
   */
  send(batch: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]>
}

/** Trying again will not help. */
export class RefusedError extends Error {}

const REQUEST_TIMEOUT_MS = 30_000
const MAX_SHOWN = 300

/** Statuses that mean "not like this", and nothing about the way there. */
export function isRefusal(status: number): boolean {
  return status === 400 || status === 413 || status === 415 || status === 422
}

/** A response that was not what it should have been, as an error to throw. */
export async function failureOf(response: Response, what: string): Promise<Error> {
  const text = (await response.text().catch(() => '')).slice(0, MAX_SHOWN)
  const message = `${what}: HTTP ${response.status} ${text}`.trim()
  return isRefusal(response.status) ? new RefusedError(message) : new Error(message)
}

/** Ends with `signal`, and by itself after 30 s. */
export function requestSignal(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
}
