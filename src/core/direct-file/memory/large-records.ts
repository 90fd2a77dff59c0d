// Both ends of the channel for records that are too large for a shard.
import { BroadcastChannel, receiveMessageOnPort } from 'node:worker_threads'
import { control, type SharedMemory } from './shared-memory.ts'

/** What the flusher is told about such a record. */
interface LargeRecord {
  readonly id: number
  /** Undefined: the record of this number will not come. */
  readonly data: SharedArrayBuffer | undefined
}

/** The flusher's end. */
export class LargeRecords {
  readonly #memory: SharedMemory
  readonly #channel: BroadcastChannel
  readonly #records = new Map<number, SharedArrayBuffer>()

  constructor(memory: SharedMemory) {
    this.#memory = memory
    this.#channel = new BroadcastChannel(memory.handle.channel)
    this.#channel.unref()
  }

  /** The record of number `id`; undefined if it is gone, which it is where an earlier flusher had received it. */
  take(id: number, kib: number): Uint8Array | undefined {
    this.receive()
    const data = this.#records.get(id)
    this.#records.delete(id)
    if (data !== undefined) return new Uint8Array(data)
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
    if (kib > 0) Atomics.sub(this.#memory.words, control.largeKib, kib)
  }

  close(): void {
    this.#channel.close()
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

  /** Sends `data`; undefined if as much is on its way as may be. */
  send(data: Uint8Array): SentRecord | undefined {
    const { words, handle } = this.#memory
    const kib = Math.ceil(data.length / 1024)
    const held = Atomics.add(words, control.largeKib, kib)
    if (held > 0 && (held + kib) * 1024 > handle.maxLargeBytes) {
      Atomics.sub(words, control.largeKib, kib)
      return undefined
    }
    const id = Atomics.add(words, control.largeId, 1)
    const copy = new SharedArrayBuffer(data.length)
    new Uint8Array(copy).set(data)
    // Sent before its place is reserved: a place in the order always has its record.
    this.#post({ id, data: copy })
    return { id, kib }
  }

  /** There was no place for it. */
  takeBack({ id, kib }: SentRecord): void {
    this.#post({ id, data: undefined })
    Atomics.sub(this.#memory.words, control.largeKib, kib)
  }

  #post(record: LargeRecord): void {
    const sender = new BroadcastChannel(this.#memory.handle.channel)
    sender.postMessage(record)
    sender.close()
  }
}
