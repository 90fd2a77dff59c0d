// The flusher's end of the channel for records that are too large for a shard.
import { BroadcastChannel, receiveMessageOnPort } from 'node:worker_threads'
import { control, type SharedMemory } from './shared-memory.ts'

/** What the flusher is told about such a record. */
export interface LargeRecord {
  readonly id: number
  readonly writer: number
  /** Undefined: the record of this number will not come. */
  readonly data: SharedArrayBuffer | undefined
}

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
