// How the main thread wakes a thread of the pool: one word to wait on, and one that says whether ringing is of any use, so
// that a record costs no wake-up while the thread is busy anyway.

/** 0: the thread is at work and will look again before it sleeps. */
const AWAKE = 0
/** It looks again in a moment by itself; only what somebody waits for is worth a ring. */
const NAPPING = 1
const ASLEEP = 2

const BELL = 0
const REST = 1
export const DOORBELL_BYTES = 8

/** What the types of ES2023 leave out. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number
) => { async: false; value: string } | { async: true; value: Promise<string> }
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync

/** The main thread's end. */
export class Doorbell {
  readonly #words: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer)
  }

  /** To be called when there is something new. */
  ring(): void {
    // An exchange, not a load: what was stored before has to be visible before the thread is seen to be awake.
    if (Atomics.or(this.#words, REST, 0) === ASLEEP) this.#wake()
  }

  /** The same, when somebody waits for it. */
  ringNow(): void {
    if (Atomics.or(this.#words, REST, 0) !== AWAKE) this.#wake()
  }

  #wake(): void {
    Atomics.add(this.#words, BELL, 1)
    Atomics.notify(this.#words, BELL)
  }
}

/** The thread's end. */
export class DoorbellListener {
  readonly #words: Int32Array
  readonly #onRing: () => void
  #isArmed = false

  constructor(buffer: SharedArrayBuffer, onRing: () => void) {
    this.#words = new Int32Array(buffer)
    this.#onRing = onRing
  }

  /** The thread is at work: nobody needs to ring. */
  wakeUp(): void {
    Atomics.store(this.#words, REST, AWAKE)
  }

  /** From now on a ring calls `onRing`. The caller looks once more whether there is work; what comes later rings. */
  rest(isNap: boolean): void {
    Atomics.store(this.#words, REST, isNap ? NAPPING : ASLEEP)
    if (this.#isArmed) return
    const wait = waitAsync(this.#words, BELL, Atomics.load(this.#words, BELL))
    this.#isArmed = true
    const rung = (): void => {
      this.#isArmed = false
      this.#onRing()
    }
    if (wait.async) void wait.value.then(rung)
    else setImmediate(rung)
  }
}
