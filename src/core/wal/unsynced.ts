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
    return this.#tail.length + (this.#before?.length ?? 0)
  }

  /** The encoded records in order, the first one following `durableCrc`. */
  get pieces(): Uint8Array[] {
    return this.#before === undefined ? [this.#tail.bytes] : [this.#before.bytes, this.#tail.bytes]
  }

  savepoint(): Savepoint {
    const { length, crc } = this.#tail
    return { turn: this.#turn, length, crc }
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

  /** All of it is on disk and ends at `end`, behind which checksum `crc` holds. */
  allDurable(end: number, crc: number): void {
    this.#covered = undefined
    this.#before = undefined
    this.#tail.reset(crc)
    this.#turn++
    this.durableCrc = crc
    this.durableEnd = end
  }

  /** Appends all of it to `encoder`, with the checksums that belong there. */
  copyTo(encoder: WalEncoder): void {
    let crc = this.durableCrc
    for (const bytes of this.pieces) crc = reencode(bytes, crc, encoder)
  }
}
