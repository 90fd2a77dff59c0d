// What callers give to the log: checked and copied, so that nothing they do to their array later reaches the log.
import { argumentError, asBytes, readArgument } from '../../base/bytes.ts'
import { LogboomError } from '../../base/errors.ts'
import type { WalRecords } from './writer-contract.ts'

/** A batch is encoded and written in one piece. */
const MAX_BATCH_BYTES = 1024 * 1024 * 1024

export interface Batch {
  readonly records: WalRecords
  /** Its length, of texts in UTF-16 units. */
  readonly bytes: number
}

/** The records that the array holds now. Throws `ERR_ARGUMENT` for what is no array of texts and bytes, or `ERR_TOO_LARGE`. */
export function takeBatch(entry: string, batch: unknown, path: string): Batch {
  // Each is asked for once: an array may be one that answers differently each time, or throws.
  const taken = readArgument(entry, () => copyOf(entry, batch))
  if (taken.bytes > MAX_BATCH_BYTES) {
    const message = `${entry} takes at most ${MAX_BATCH_BYTES} bytes in one batch, not ${taken.bytes}`
    throw new LogboomError('ERR_TOO_LARGE', message, { path })
  }
  return taken
}

function copyOf(entry: string, batch: unknown): Batch {
  if (!Array.isArray(batch)) throw argumentError(entry, 'an array of texts and Uint8Arrays', batch)
  const count = batch.length
  const records = new Array<Uint8Array | string>(count)
  let bytes = 0
  for (let i = 0; i < count; i++) {
    const member: unknown = batch[i]
    const record = typeof member === 'string' ? member : asBytes(member)
    if (record === undefined) throw argumentError(entry, `a text or a Uint8Array at position ${i}`, member)
    records[i] = record
    bytes += record.length
  }
  return { records, bytes }
}
