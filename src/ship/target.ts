// The contract between the shipper and what it ships to. A target sends one batch and says what became of it; order, trying
// again, and how far everything has come are the shipper's.

export interface ShipRecord {
  readonly data: Buffer
  /** Counted since the checkpoint was made: with `ShipBatch.stream`, the record's name for ever. */
  readonly number: number
  /** Of the record itself where it tells, else when its batch was noted; ms since 1970. */
  readonly timeMs: number
}

export interface ShipSource {
  /** 16 hexadecimal digits that the checkpoint was given when it was made. */
  readonly stream: string
  /** Name of the log. */
  readonly log: string
  /** Of a log in a folder of logs that is shipped as a whole: its name without extension. */
  readonly event?: string | undefined
}

export interface ShipBatch extends ShipSource {
  /** Whether records are lines, so that a newline ends each. */
  readonly areLines: boolean
  readonly sequence: number
  /** The cursor behind which its records begin; null at the start of the log. */
  readonly after: string | null
  /** Of the first record behind `after`; not that of `records` if this is a part of a batch. */
  readonly firstNumber: number
  /** Of the range of records: the same whenever the same batch is sent again. */
  readonly rangeHash: string
  readonly records: readonly ShipRecord[]
}

export interface Refusal {
  readonly record: ShipRecord
  readonly reason: string
}

/** What a target that keeps the checkpoint with the records has: its last batch, from the beginning of that. */
export interface HeldPosition {
  readonly stream: string
  /** The cursor behind which its last batch begins; null at the start of the log. */
  readonly after: string | null
  /** How many records and batches come before it. */
  readonly records: number
  readonly batches: number
}

export interface ShipTarget {
  readonly name: string
  /** What is true of this source in this target, in a sentence. */
  readonly guarantee: string
  /** Whether a refused batch can be sent in parts, to find the record that is refused. */
  readonly splits: boolean
  /** Batches that may be under way at once. */
  readonly maxInFlight: number
  /**
   * Sends the batch; resolves with the records that it will never take, and has all others then. Rejects with `RefusedError`
   * if it will never take the batch as it is, with anything else if trying again may help.
   */
  send(batch: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]>
  /**
   * Of a target that keeps the checkpoint with the records: called before the first batch, takes over from whoever shipped
   * there before, and says what is there. Such a target leaves out by itself what it has. Rejects as `send` does.
   */
  takeOver?(source: ShipSource, signal: AbortSignal): Promise<HeldPosition | undefined>
  /** Lets go of connections; what is sent afterwards connects again. */
  close?(): Promise<void>
}

/** Trying again will not help. */
export class RefusedError extends Error {}

/** Trying again may help, but not before `afterMs`, as the target says. */
export class RetryLaterError extends Error {
  readonly afterMs: number

  constructor(message: string, afterMs: number) {
    super(message)
    this.afterMs = afterMs
  }
}
