// The ends of the channel for records that are too large for a shard. What is on its way to the flusher is kept by the
// thread that opened the file as well, so that it does not end with the flusher's thread.
import { BroadcastChannel, receiveMessageOnPort } from 'node:worker_threads'
import { control, type SharedMemory } from './shared-memory.ts'

/** What the flusher is told about such a record. */
interface LargeRecord {
  readonly id: number
  /** Undefined: the record of this number will not come. */
  readonly data: SharedArrayBuffer | undefined
}

/** A record that an earlier flusher has not settled. */
export interface KeptRecord {
  readonly id: number
  readonly data: SharedArrayBuffer
}

/** What is told to whoever keeps them: a record, or those that need not be kept any more. */
type KeeperMessage = KeptRecord | { readonly settled: readonly number[] }

/** The flusher's end. */
export class LargeRecords {
  readonly #memory: SharedMemory
  readonly #channel: BroadcastChannel
  readonly #records: Map<number, SharedArrayBuffer>
  #taken: number[] = []

  /** `kept`: of an earlier flusher. What it let go of in the round that it did not end counts again. */
  constructor(memory: SharedMemory, kept: readonly KeptRecord[]) {
    const { words } = memory
    this.#memory = memory
    Atomics.add(words, control.largeKib, Atomics.exchange(words, control.releasedKib, 0))
    this.#records = new Map(kept.map(({ id, data }) => [id, data]))
    this.#channel = new BroadcastChannel(memory.handle.channel)
    this.#channel.unref()
  }

  /** The record of number `id`; undefined if it is gone with an earlier flusher. */
  take(id: number, kib: number): Uint8Array | undefined {
    this.receive()
    const data = this.#records.get(id)
    this.#records.delete(id)
    if (data !== undefined) {
      this.#taken.push(id)
      return new Uint8Array(data)
    }
    this.release(kib)
    return undefined
  }

  receive(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#channel as never)
      if (received === undefined) return
      const { id, data } = received.message as LargeRecord
      if (data === undefined) this.#records.delete(id)
      else this.#records.set(id, data)
    }
  }

  /** The memory of a record no longer counts. */
  release(kib: number): void {
    const { words } = this.#memory
    Atomics.sub(words, control.largeKib, kib)
    Atomics.add(words, control.releasedKib, kib)
  }

  /** The list with those that were taken is settled: a flusher that goes on for this one does not collect it again. */
  settled(): void {
    Atomics.store(this.#memory.words, control.releasedKib, 0)
    if (this.#taken.length === 0) return
    tellKeeper(this.#memory, { settled: this.#taken })
    this.#taken = []
  }

  close(): void {
    this.#channel.close()
  }
}

/** The end of the thread that opened the file. */
export class LargeKeeper {
  readonly #words: Int32Array
  readonly #channel: BroadcastChannel
  readonly #records = new Map<number, SharedArrayBuffer>()

  constructor(memory: SharedMemory) {
    this.#words = memory.words
    this.#channel = new BroadcastChannel(keeperOf(memory))
    this.#channel.onmessage = (message) => this.#hear((message as MessageEvent).data)
    this.#channel.unref()
  }

  /** This thread may not have got to its events for a while. */
  receive(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#channel as never)
      if (received === undefined) return
      this.#hear(received.message)
    }
  }

  /** Everything that is not settled, for the next flusher. */
  records(): KeptRecord[] {
    this.receive()
    return [...this.#records].map(([id, data]) => ({ id, data }))
  }

  close(): void {
    this.#channel.close()
    this.#records.clear()
  }

  #hear(message: KeeperMessage): void {
    if ('data' in message) {
      this.#records.set(message.id, message.data)
      return
    }
    for (const id of message.settled) {
      const data = this.#records.get(id)
      if (data === undefined) continue
      this.#records.delete(id)
      Atomics.sub(this.#words, control.keptKib, kibOf(data.byteLength))
    }
  }
}

/** A record on its way: its number, and the KiB that it counts. */
export interface SentRecord {
  readonly id: number
  readonly kib: number
}

/** A writer's end. */
export class LargeSender {
  readonly #memory: SharedMemory

  constructor(memory: SharedMemory) {
    this.#memory = memory
  }

  /** Sends `data`; undefined if as much is on its way as may be, with `mustKeep` also if as much is kept. */
  send(data: Uint8Array, mustKeep: boolean): SentRecord | undefined {
    const { words } = this.#memory
    const kib = kibOf(data.length)
    if (!this.#reserve(control.largeKib, kib)) return undefined
    // While the thread that keeps records does not get to its events, it is told of no more than the bound: others go
    // on without that safety.
    const isKept = this.#reserve(control.keptKib, kib)
    if (mustKeep && !isKept) {
      Atomics.sub(words, control.largeKib, kib)
      return undefined
    }
    const id = Atomics.add(words, control.largeId, 1)
    const copy = new SharedArrayBuffer(data.length)
    new Uint8Array(copy).set(data)
    if (isKept) tellKeeper(this.#memory, { id, data: copy })
    // Sent before its place is reserved: a place in the order always has its record.
    this.#post({ id, data: copy })
    return { id, kib }
  }

  /** There was no place for it. */
  takeBack({ id, kib }: SentRecord): void {
    this.#post({ id, data: undefined })
    tellKeeper(this.#memory, { settled: [id] })
    Atomics.sub(this.#memory.words, control.largeKib, kib)
  }

  /** Counts `kib` more at a control word; false if that is too much. One record alone may be larger than the bound. */
  #reserve(word: number, kib: number): boolean {
    const { words, handle } = this.#memory
    const before = Atomics.add(words, word, kib)
    if (before <= 0 || (before + kib) * 1024 <= handle.maxLargeBytes) return true
    Atomics.sub(words, word, kib)
    return false
  }

  #post(record: LargeRecord): void {
    post(this.#memory.handle.channel, record)
  }
}

function tellKeeper(memory: SharedMemory, message: KeeperMessage): void {
  post(keeperOf(memory), message)
}

function keeperOf({ handle }: SharedMemory): string {
  return `${handle.channel}-kept`
}

function kibOf(bytes: number): number {
  return Math.ceil(bytes / 1024)
}

function post(channel: string, message: unknown): void {
  const sender = new BroadcastChannel(channel)
  sender.postMessage(message)
  sender.close()
}
