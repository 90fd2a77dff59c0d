// What event routing needs of the files it writes to, whatever their kind.
import type { Durability, SinkState } from '../sink/contract.ts'

/** One event and its file. */
export interface EventEntry {
  /** As used for the file, without extension. */
  readonly name: string
  readonly path: string
  /** Counts from 0 in the order of first use. */
  readonly tag: number
  /** Something was logged to it, or it was initialised, since it was last closed. */
  isActive: boolean
  accepted: number
  dropped: number
  /** As far as known, without what waits. */
  written: { records: number; bytes: number; rotations: number }
}

/** Totals over all files. */
export interface OutputTotals {
  /** By the files themselves. */
  dropped: number
  writes: number
  syncs: number
  rotations: number
  repairs: number
  errors: number
  queuedBytes: number
  state: SinkState
}

export interface Outputs {
  /** So much waits that its writing should come first. */
  readonly isCrowded: boolean
  /** Takes a line, given without its end; false if there is no room at the moment. */
  add(entry: EventEntry, data: Uint8Array, start: number, end: number): boolean
  /** Blocks this thread until there may be room again. Throws if waiting is in vain. */
  waitForRoom(): void
  open(entry: EventEntry): void
  close(entry: EventEntry): Promise<void>
  /** Resolves when everything added before has reached `to`. */
  flush(to: Durability): Promise<void>
  flushNow(to: Durability, timeoutMs: number): void
  end(): Promise<void>
  totals(): OutputTotals
}
