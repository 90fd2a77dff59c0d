// The public face of a pump: what the six kinds of sink have in common, and nothing that users should not call.
import { EventEmitter } from 'node:events'
import type { LogboomError } from '../../base/errors.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import { writeAtExit } from './at-exit.ts'
import type { ControlRequest, Durability, FlushCallback, Sink, SinkEvents, SinkStats } from './contract.ts'
import type { Pump } from './pump.ts'

/**
 * What transports and other sinks of this package use of a sink, beyond its public face.
 */
export interface InternalSink extends Sink {
  /** Like `write`, for a sink that writes to this one: it gives data, and takes care itself of the end of the process. */
  accept(data: string | Uint8Array): boolean
  /** See `Pump.commit`. */
  commit(chunk: string | Uint8Array): boolean
  /** See `Pump.flushLines`. */
  flushLines(to?: Durability): Promise<void>
  /** See `Pump.writeRecords`. */
  writeRecords(lines: readonly Uint8Array[]): boolean
  /** See `Pump.writeNow`. */
  writeNow(isHeld?: boolean): boolean
  /** See `Pump.pull`. */
  pull(isAwaited?: boolean): void
  /** See `Pump.hurry`. */
  hurry(): void
  /** See `Target.closeNow`. */
  closeNow(): boolean
  /** See `Pump.dropOldest`. */
  dropOldest(bytes: number): void
  /** See `Pump.abandon`. */
  abandon(): Dropped
  /** Bytes accepted and not yet written. */
  readonly queuedBytes: number
  /** Why writing fails at the moment. */
  readonly failure: LogboomError | undefined
  /** Carries out a request that came through `transport.emit('message', …)`; false if the sink has none such. */
  control(request: ControlRequest): boolean
}

export abstract class PumpedSink extends EventEmitter<SinkEvents> implements Sink {
  readonly writable = true
  #pump: Pump | undefined

  /**
   * To be called once by the constructor of a kind, which cannot make its pump before its emitter.
   * @internal
   */
  protected attach(pump: Pump): void {
    this.#pump = pump
  }

  /** @internal */
  protected get pump(): Pump {
    return this.#pump!
  }

  get path(): string {
    return this.#pump!.path
  }

  write(chunk: string | Uint8Array): boolean {
    const isWelcome = this.#pump!.write(chunk)
    writeAtExit(this.#pump!)
    return isWelcome
  }

  /**
   * `write`, when it is known that it is data.
   * @internal
   */
  protected writeData(data: string | Uint8Array): boolean {
    const isWelcome = this.#pump!.accept(data)
    writeAtExit(this.#pump!)
    return isWelcome
  }

  /** @internal */
  accept(data: string | Uint8Array): boolean {
    return this.#pump!.accept(data)
  }

  flush(to?: Durability | FlushCallback): Promise<void> {
    return this.#pump!.flush(to)
  }

  flushSync(to?: Durability): void {
    this.#pump!.flushSync(to)
  }

  close(): Promise<void> {
    return this.#pump!.close()
  }

  stats(): SinkStats {
    return this.#pump!.stats()
  }

  /** @internal */
  commit(chunk: string | Uint8Array): boolean {
    return this.#pump!.commit(chunk)
  }

  /** @internal */
  flushLines(to?: Durability): Promise<void> {
    return this.#pump!.flushLines(to)
  }

  /** @internal */
  writeRecords(lines: readonly Uint8Array[]): boolean {
    return this.#pump!.writeRecords(lines)
  }

  /** @internal */
  writeNow(isHeld = false): boolean {
    return this.#pump!.writeNow(isHeld)
  }

  /** @internal */
  pull(isAwaited = false): void {
    this.#pump!.pull(isAwaited)
  }

  /** @internal */
  hurry(): void {
    this.#pump!.hurry()
  }

  /** @internal */
  closeNow(): boolean {
    return this.#pump!.closeNow()
  }

  /** @internal */
  dropOldest(bytes: number): void {
    this.#pump!.dropOldest(bytes)
  }

  /** @internal */
  abandon(): Dropped {
    return this.#pump!.abandon()
  }

  /** @internal */
  get queuedBytes(): number {
    return this.#pump!.queuedBytes
  }

  /** @internal */
  get failure(): LogboomError | undefined {
    return this.#pump!.failure
  }

  /** @internal */
  control(_request: ControlRequest): boolean {
    return false
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
