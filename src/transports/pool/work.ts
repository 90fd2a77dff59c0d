// Which output a thread is at work on, in shared memory: so that the main thread knows when the thread has died of it.

export const WORK_BYTES = 4
const NOBODY = 0

/** Of a thread that has died; 0 if it was at none, or nobody knows. */
export function outputAtWork(buffer: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(buffer), 0)
}

/** The thread's end. */
export class Work {
  readonly #word: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#word = new Int32Array(buffer)
  }

  /** From now on it is at work on that one; returns on which before, for `back`. */
  on(id: number): number {
    return Atomics.exchange(this.#word, 0, id)
  }

  back(id: number = NOBODY): void {
    Atomics.store(this.#word, 0, id)
  }
}
