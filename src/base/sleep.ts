// Blocking sleep, for the few places where waiting on this thread is the contract.

const cell = new Int32Array(new SharedArrayBuffer(4))

/** Blocks this thread for `ms` milliseconds. */
export function sleep(ms: number): void {
  Atomics.wait(cell, 0, 0, ms)
}
