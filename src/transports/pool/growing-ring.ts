// A ring in shared memory that grows: small for an output that logs little, larger for one that logs much, and as large as a
// single record needs. It is a chain of rings; the reader goes on to the next one when it has read the last to its end.
import { SharedRing } from '../../core/lane/shared-ring.ts'
import type { Dropped } from '../../core/queue/byte-queue.ts'
import { MAX_CAPACITY_BYTES, maxPayloadBytes, recordBytes } from '../../formats/lane.ts'

const FIRST_BYTES = 64 * 1024
const GROWTH = 4
/** So large every output may become; … */
const FREE_BYTES = 256 * 1024
/** … beyond that all rings of this thread share so much memory. */
const BUDGET_BYTES = 64 * 1024 * 1024
/** Capacities are multiples of this. */
const ROUND_BYTES = 4 * 1024
const LEAST_RECORD_BYTES = recordBytes(0)

interface Link {
  readonly ring: SharedRing
  /** Position of the chain at which this ring begins. */
  readonly base: number
}

let heldBytes = 0

/** The end that appends. */
export class GrowingRing {
  readonly #maxBytes: number
  /** Called with each ring that is added, and how many there are with it, so that the reader gets it. */
  readonly #added: (ring: SharedArrayBuffer, rings: number) => void
  /** Those not yet read to their end, oldest first, and the last one in any case. */
  #links: Link[] = []
  #last: SharedRing
  #lastBase = 0
  /** How many there were before those. */
  #before = 0

  /** `maxBytes` bounds a ring, but for a single record that needs a larger one. */
  constructor(maxBytes: number, added: (ring: SharedArrayBuffer, rings: number) => void) {
    this.#maxBytes = Math.min(MAX_CAPACITY_BYTES, round(Math.max(maxBytes, ROUND_BYTES)))
    this.#added = added
    this.#last = this.#create(Math.min(FIRST_BYTES, this.#maxBytes), 0)
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
  get handle(): { rings: SharedArrayBuffer[]; ringsBefore: number } {
    this.#forgetRead()
    return { rings: this.#links.map(({ ring }) => ring.buffer), ringsBefore: this.#before }
  }

  /** See `Ring.append`. */
  append(record: string | Uint8Array): boolean {
    return this.#last.append(record)
  }

  /** Makes room for `record` by adding a ring. False where that is more than may be held now. */
  grow(record: string | Uint8Array): boolean {
    this.#forgetRead()
    const length = typeof record === 'string' ? Buffer.byteLength(record) : record.length
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
    const { buffer } = this.#create(bytes, this.written)
    this.#added(buffer, this.#before + this.#links.length)
    return true
  }

  /** What is not released. `count` says how many records there are in payloads that lie one behind the other. */
  unreleased(count: (payloads: Buffer, records: number) => number): Dropped {
    let lines = 0
    let bytes = 0
    for (const { ring } of this.#links) {
      const target = Buffer.allocUnsafe(ring.capacityBytes)
      const ends = new Uint32Array(ring.capacityBytes / LEAST_RECORD_BYTES)
      const found = ring.read(ring.drained, target, ends)
      lines += count(target.subarray(0, found.bytes), found.records)
      bytes += found.bytes
    }
    return { lines, bytes }
  }

  /** Lets go of the memory. */
  close(): void {
    for (const { ring } of this.#links) {
      heldBytes -= ring.capacityBytes
      ring.close()
    }
    this.#links = []
  }

  #create(bytes: number, base: number): SharedRing {
    const ring = SharedRing.create(round(bytes))
    this.#links.push({ ring, base })
    this.#last = ring
    this.#lastBase = base
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
