// What was appended to a log and is not known to be on disk: kept as encoded records, so that it can be written again to
// another segment, which it follows with another checksum.
import { WalEncoder } from '../../formats/wal-encoder.ts'
import { reencode } from './reencode.ts'

/** A place in what was appended, to go back to. */
export interface Savepoint {
  readonly turn: number
  readonly length: number
  readonly crc: number
}

/** What a running sync covers: everything up to `end` of the segment. */
export interface Covered {
  readonly encoder: WalEncoder
  readonly end: number
}

export class Unsynced {
  /** Checksum at the end of what is on disk, and that end in the segment. */
  durableCrc: number
  durableEnd: number
  /** What was appended since the running sync began, and before that what no sync has confirmed. */
  #tail: WalEncoder
  #before: WalEncoder | undefined
  #covered: Covered | undefined
  #spare: WalEncoder | undefined
  /** So much of the tail is on disk. */
  #durableBytes = 0
  /** Changes whenever the tail begins anew. */
  #turn = 0

  constructor(crc: number, end: number) {
    this.durableCrc = crc
    this.durableEnd = end
    this.#tail = new WalEncoder(crc)
  }

  /** To be appended to. */
  get tail(): WalEncoder {
    return this.#tail
  }

  get bytes(): number {
    return this.#tail.length - this.#durableBytes + (this.#before?.length ?? 0)
  }

  /** The encoded records in order, the first one following `durableCrc`. */
  get pieces(): Uint8Array[] {
    const tail = this.#tail.bytes.subarray(this.#durableBytes)
    return this.#before === undefined ? [tail] : [this.#before.bytes, tail]
  }

  savepoint(): Savepoint {
    const { length, crc } = this.#tail
    return { turn: this.#turn, length, crc }
  }

  /** Where a place in the tail lies in the segment. */
  endOf({ length }: Savepoint): number {
    return this.durableEnd + (this.#before?.length ?? 0) + length - this.#durableBytes
  }

  /** Forgets what was appended since; false if that has been covered by a sync. */
  rollBack({ turn, length, crc }: Savepoint): boolean {
    if (turn !== this.#turn) return false
    this.#tail.rewind(length, crc)
    return true
  }

  /** A sync begins that covers all there is, up to `end`. Only one at a time, and only after the last one was confirmed. */
  beginSync(end: number): Covered {
    if (this.#before !== undefined) throw new Error('an earlier sync was not confirmed')
    if (this.#durableBytes > 0) throw new Error('the segment was to be left')
    const encoder = this.#tail
    this.#before = encoder
    this.#tail = this.#spare ?? new WalEncoder()
    this.#tail.reset(encoder.crc)
    this.#spare = undefined
    this.#turn++
    this.#covered = { encoder, end }
    return this.#covered
  }

  /** The sync succeeded. False if that has become meaningless: the segment was left, or all of it was synced. */
  confirm(covered: Covered): boolean {
    if (this.#covered !== covered) return false
    this.#covered = undefined
    this.#before = undefined
    this.#spare = covered.encoder
    this.durableCrc = covered.encoder.crc
    this.durableEnd = covered.end
    return true
  }

  /** Whatever the running sync says does not count any more. */
  distrust(): void {
    this.#covered = undefined
  }

  /** Whether what the sync is to cover still waits for it. */
  isAwaiting(covered: Covered): boolean {
    return this.#covered === covered
  }

  /** What was appended up to `place` is on disk. Appending goes on in another segment. */
  durableUpTo(place: Savepoint): void {
    this.durableEnd = this.endOf(place)
    this.durableCrc = place.crc
    this.#covered = undefined
    this.#before = undefined
    this.#durableBytes = place.length
  }

  /** All of it is on disk and ends at `end`, behind which checksum `crc` holds. */
  allDurable(end: number, crc: number): void {
    this.#covered = undefined
    this.#before = undefined
    this.#durableBytes = 0
    this.#tail.reset(crc)
    this.#turn++
    this.durableCrc = crc
    this.durableEnd = end
  }

  /**
   * Appends all of it to `encoder`, with the checksums that belong there. Returns where in it the records before `place`
   * end.
   */
  copyTo(encoder: WalEncoder, place = this.savepoint()): number {
    const split = place.length - this.#durableBytes
    const [tail, before] = this.pieces.reverse()
    let crc = this.durableCrc
    if (before !== undefined) crc = reencode(before, crc, encoder)
    crc = reencode(tail.subarray(0, split), crc, encoder)
    const end = encoder.length
    reencode(tail.subarray(split), crc, encoder)
    return end
  }
}
