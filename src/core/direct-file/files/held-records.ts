// Records of files that cannot be written at the moment, copied out of the shared memory so that the records of other
// files can go on. Bounded; what waits for one file stays in order.
import { FRAME_HEADER_BYTES } from '../../../formats/direct-file.ts'
import { type FlushItem, isLarge } from './flush-target.ts'

/** What a list of small items costs beside their bytes. */
const OVERHEAD_BYTES = 512

interface Held {
  readonly items: FlushItem[]
  bytes: number
}

export class HeldRecords {
  readonly #maxBytes: number
  readonly #byTag = new Map<number, Held>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get isEmpty(): boolean {
    return this.#byTag.size === 0
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Of all files. */
  get records(): number {
    let sum = 0
    for (const { items } of this.#byTag.values()) for (const { records } of items) sum += records ?? 0
    return sum
  }

  tags(): number[] {
    return [...this.#byTag.keys()]
  }

  /** The waiting items of `tag`: whoever writes them takes them off the list and calls `settle`. */
  of(tag: number): FlushItem[] | undefined {
    return this.#byTag.get(tag)?.items
  }

  /** Copies `items` behind what waits for `tag`. False, and nothing of it taken, if that is too much. */
  add(tag: number, items: readonly FlushItem[]): boolean {
    const bytes = items.reduce((sum, item) => sum + sizeOf(item), 0)
    if (this.#bytes + bytes > this.#maxBytes) return false
    const held = this.#byTag.get(tag) ?? { items: [], bytes: 0 }
    this.#byTag.set(tag, held)
    held.items.push(...items.map(copyOf))
    held.bytes += bytes
    this.#bytes += bytes
    return true
  }

  /** Items were taken off the list of `tag`, all or some of them. */
  settle(tag: number): void {
    const held = this.#byTag.get(tag)
    if (held === undefined) return
    const bytes = held.items.reduce((sum, item) => sum + sizeOf(item), 0)
    this.#bytes -= held.bytes - bytes
    held.bytes = bytes
    if (held.items.length === 0) this.#byTag.delete(tag)
  }
}

function sizeOf(item: FlushItem): number {
  return OVERHEAD_BYTES + (isLarge(item) ? item.data.length : item.validBytes)
}

function copyOf(item: FlushItem): FlushItem {
  // A large record lies in memory of its own already.
  if (isLarge(item)) return { ...item, heldKib: 0 }
  return { ...item, bytes: Buffer.from(item.bytes.subarray(0, FRAME_HEADER_BYTES + item.validBytes)) }
}
