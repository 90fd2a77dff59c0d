// Page-aligned memory. Node has none but that of WebAssembly, whose types come only with those of the browser.
import { roundUp } from '../../../formats/direct-file.ts'

interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
}

interface WasmMemoryOptions {
  initial: number
  maximum?: number
  shared?: boolean
}

const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (options: WasmMemoryOptions) => WasmMemory }
}

const PAGE_BYTES = 4096
const WASM_PAGE_BYTES = 65_536

/** Zeroed memory for all threads; touched lazily. Throws RangeError if the system has not enough. */
export function sharedPages(bytes: number): SharedArrayBuffer {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES)
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer as SharedArrayBuffer
}

/** Zeroed memory of this thread alone. */
export function privatePages(bytes: number): Buffer {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES)
  return Buffer.from(new WebAssembly.Memory({ initial: pages }).buffer as ArrayBuffer)
}

/** For the copies of one flush. */
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
