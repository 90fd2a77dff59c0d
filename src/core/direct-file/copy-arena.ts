// Page-aligned memory for the copies of one flush.
import { roundUp } from '../../formats/direct-file.ts'
import { privatePages } from './page-memory.ts'

const PAGE_BYTES = 4096

export class CopyArena {
  readonly #blockBytes: number
  readonly #blocks: Buffer[] = []
  #block = 0
  #used = 0

  constructor(blockBytes: number) {
    this.#blockBytes = blockBytes
  }

  take(bytes: number): Buffer {
    const size = roundUp(bytes, PAGE_BYTES)
    if (size > this.#blockBytes) throw new Error(`a copy of ${bytes} bytes in blocks of ${this.#blockBytes}`)
    if (this.#used + size > this.#blockBytes) {
      this.#block++
      this.#used = 0
    }
    if (this.#blocks.length <= this.#block) this.#blocks.push(privatePages(this.#blockBytes))
    const at = this.#used
    this.#used += size
    return this.#blocks[this.#block].subarray(at, this.#used)
  }

  /** Everything that was taken may be used again. */
  reset(): void {
    this.#block = 0
    this.#used = 0
  }
}
