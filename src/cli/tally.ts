// Counts records so that what was written can be compared with what is read back, in whatever order it comes.
import { native } from '../native/index.ts'
import { batchLength, type RecordBatch, recordAt } from '../readers/reader.ts'

export class Tally {
  records = 0
  bytes = 0
  /** Sum of the CRC-32C of the records, modulo 2^32. */
  #sum = 0

  add(data: Uint8Array): void {
    this.records++
    this.bytes += data.length
    this.#sum = (this.#sum + native.crc32c(data, 0, 0, data.length)) >>> 0
  }

  addBatch(batch: RecordBatch): void {
    const length = batchLength(batch)
    for (let at = 0; at < length; at++) this.add(recordAt(batch, at).data)
  }

  equals(other: Tally): boolean {
    return this.records === other.records && this.bytes === other.bytes && this.#sum === other.#sum
  }
}
