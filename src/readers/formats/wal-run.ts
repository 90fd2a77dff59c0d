// A batch of entries of a write-ahead log that were found together.
import type { RecordBatch } from '../reader.ts'

/** Entries of one index after the other, whose offsets and indexes are worked out when somebody asks. */
export class RunBatch implements RecordBatch {
  readonly file: string
  readonly bytes: Buffer
  readonly position: number
  readonly bounds: Int32Array
  event: string | undefined
  place: RecordBatch['place']
  readonly #frames: Int32Array
  readonly #last: bigint
  #indexes: BigInt64Array | undefined
  #offsets: Float64Array | undefined

  constructor(
    file: string,
    bytes: Buffer,
    position: number,
    bounds: Int32Array,
    frames: Int32Array,
    last: bigint
  ) {
    this.file = file
    this.bytes = bytes
    this.position = position
    this.bounds = bounds
    this.#frames = frames
    this.#last = last
  }

  get offsets(): ArrayLike<number> {
    this.#offsets ??= Float64Array.from(this.#frames, (frame) => this.position + frame)
    return this.#offsets
  }

  get indexes(): ArrayLike<bigint> {
    this.#indexes ??= this.#countUp()
    return this.#indexes
  }

  #countUp(): BigInt64Array {
    const { length } = this.#frames
    const indexes = new BigInt64Array(length)
    let index = this.#last - BigInt(length)
    for (let at = 0; at < length; at++) indexes[at] = ++index
    return indexes
  }
}
