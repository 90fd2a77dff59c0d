// How much one system call is given: as much as the disk takes within about a second, so that a slow disk shows that it
// goes on, and a fast one is not asked in small pieces.

const LEAST_BYTES = 1 << 20
const FIRST_BYTES = 16 << 20
const MOST_BYTES = 1 << 30
const QUICK_MS = 250
const SLOW_MS = 1_000

export class Stride {
  /** Always a multiple of the page size. */
  bytes = FIRST_BYTES

  /** A call with `bytes` bytes took `ms`. */
  took(bytes: number, ms: number): void {
    if (ms > SLOW_MS) this.bytes = Math.max(LEAST_BYTES, this.bytes / 2)
    // A call with little says nothing of one with much.
    else if (ms < QUICK_MS && bytes >= this.bytes / 2) this.bytes = Math.min(MOST_BYTES, this.bytes * 2)
  }
}
