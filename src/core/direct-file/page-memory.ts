// Page-aligned memory. Node has none but that of WebAssembly, whose types come only with those of the browser.

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
