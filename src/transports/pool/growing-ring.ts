// A ring in shared memory that grows: small for an output that logs little, larger for one that logs much, and as large as a
// single record needs. It is a chain of rings; the reader goes on to the next one when it has read the last to its end.
import { SharedRing } from '../../core/lane/shared-ring.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import { sum } from '../../core/sink/intake.ts'
import { nothingDropped } from '../../core/sink/target.ts'
import { MAX_CAPACITY_BYTES, maxPayloadBytes } from '../../formats/lane.ts'
import { type CountRecords, countUnreleased, type OutputRing } from './output-ring.ts'
import type { RingHandle } from './protocol.ts'

const FIRST_BYTES = 64 * 1024
const GROWTH = 4
/** So large every output may become; … */
const FREE_BYTES = 256 * 1024
/** … beyond that all rings of this thread share so much memory. */
const BUDGET_BYTES = 64 * 1024 * 1024
/** Capacities are multiples of this. */
const ROUND_BYTES = 4 * 1024

interface Link {
  readonly ring: SharedRing
  /** Position of the chain at which this ring begins. */
  readonly base: number
}

let heldBytes = 0

export class GrowingRing implements OutputRing {
  readonly survives = false
  readonly #maxBytes: number
  /** Called with each ring that is added, and how many there are with it, so that the reader gets it. */
  readonly #added: (ring: SharedArrayBuffer, rings: number) => void
  /** Those not yet read to their end, oldest first, and the last one in any case. */
  #links: Link[] = []
  #last: SharedRing
  #lastBase = 0
  /** So many units find room in the last one, whatever they are. */
  #shortUnits = 0
  /** How many there were before those. */
  #before = 0

  /** `maxBytes` bounds a ring, but for a single record that needs a larger one. */
  constructor(maxBytes: number, added: (ring: SharedArrayBuffer, rings: number) => void) {
    this.#maxBytes = Math.min(MAX_CAPACITY_BYTES, round(Math.max(maxBytes, ROUND_BYTES)))
    this.#added = added
    this.#last = this.#create(Math.min(FIRST_BYTES, this.#maxBytes), 0)
  }

  /** The most it can become. */
  get capacityBytes(): number {
    return this.#maxBytes
  }

  get written(): number {
    return this.#lastBase + this.#last.written
  }

  get drained(): number {
    this.#forgetRead()
    const { ring, base } = this.#links[0]
    return base + ring.drained
  }

  /** For a thread that takes over. */
  get handle(): RingHandle {
    this.#forgetRead()
    return { backing: 'shared', rings: this.#links.map(({ ring }) => ring.buffer), ringsBefore: this.#before }
  }

  append(record: string): boolean {
    // What is larger gets a larger ring, not a file of its own.
    if (
      record.length > this.#shortUnits &&
      Buffer.byteLength(record) > maxPayloadBytes(this.#last.capacityBytes)
    )
      return false
    return this.#last.append(record)
  }

  /** Adds a ring. */
  grow(record: string): boolean {
    this.#forgetRead()
    const length = Buffer.byteLength(record)
    const neededBytes = capacityFor(length)
    const { capacityBytes } = this.#last
    let bytes = neededBytes
    if (neededBytes > this.#maxBytes) {
      // A single record that is larger than the bound is taken when nothing else waits.
      if (this.written > this.drained || neededBytes > MAX_CAPACITY_BYTES) return false
    } else if (capacityBytes > this.#maxBytes) {
      // The last one was made for such a record, and is not to be kept.
      bytes = Math.max(neededBytes, Math.min(FREE_BYTES, this.#maxBytes))
    } else {
      bytes = Math.max(neededBytes, Math.min(capacityBytes * GROWTH, this.#maxBytes))
      if (bytes <= capacityBytes) return false
      if (bytes > FREE_BYTES && heldBytes + bytes > BUDGET_BYTES) return false
    }
    const ring = this.#tryToCreate(bytes)
    if (ring === undefined) return false
    const { buffer } = ring
    this.#added(buffer, this.#before + this.#links.length)
    return true
  }

  unreleased(count: CountRecords): Dropped {
    return this.#links.reduce((total, { ring }) => sum(total, countUnreleased(ring, count)), nothingDropped)
  }

  mortal(count: CountRecords): Dropped {
    return this.unreleased(count)
  }

  discard(): void {}

  exit(): void {}

  close(): void {
    for (const { ring } of this.#links) {
      heldBytes -= ring.capacityBytes
      ring.close()
    }
    this.#links = []
  }

  /** Undefined where there is no memory now. */
  #tryToCreate(bytes: number): SharedRing | undefined {
    try {
      return this.#create(bytes, this.written)
    } catch (error) {
      if (error instanceof RangeError) return undefined
      throw error
    }
  }

  #create(bytes: number, base: number): SharedRing {
    const ring = SharedRing.create(round(bytes))
    this.#links.push({ ring, base })
    this.#last = ring
    this.#lastBase = base
    this.#shortUnits = Math.floor(maxPayloadBytes(ring.capacityBytes) / 3)
    heldBytes += ring.capacityBytes
    return ring
  }

  #forgetRead(): void {
    while (this.#links.length > 1 && this.#links[0].ring.drained === this.#links[0].ring.written) {
      heldBytes -= this.#links[0].ring.capacityBytes
      this.#links.shift()
      this.#before++
    }
  }
}

/** The least capacity in which a payload always finds room. */
function capacityFor(length: number): number {
  let bytes = round(2 * length)
  while (maxPayloadBytes(bytes) < length) bytes += ROUND_BYTES
  return bytes
}

function round(bytes: number): number {
  return Math.ceil(bytes / ROUND_BYTES) * ROUND_BYTES
}
