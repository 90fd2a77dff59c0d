// What a flusher must know of its files to go on where another has ended: in shared memory, so that it outlives the
// thread. With it a record that was on disk before is not written again, and half a flush is taken back.
//
// A round is one list of records, from its collection until all of it is settled. A flusher that resumes a round gets
// the same list again, and each file says how many records of it are in the file already.
import { randomBytes } from 'node:crypto'
import { statistic } from '../memory/shared-memory.ts'

const HEADER = { round: 1, epoch: 2 } as const
const HEADER_FIELDS = 4
/**
 * Per file: its last seal, where that ends, and what of the round is settled; whether a flush under way counts for the
 * round; and the totals since the sink was opened.
 */
const FILE = {
  sequence: 0,
  size: 1,
  round: 2,
  roundRecords: 3,
  counts: 4,
  records: 5,
  bytes: 6,
  rotations: 7,
  lost: 8
} as const
const FILE_FIELDS = 9

/** Totals of one file; `lost` are accepted records that were given up. */
export interface FileTotals {
  readonly records: number
  readonly bytes: number
  readonly rotations: number
  readonly lost: number
}

/** What any thread can see of file `number`. */
export function fileTotals(buffer: SharedArrayBuffer, number: number): FileTotals {
  const fields = new Float64Array(buffer, (HEADER_FIELDS + number * FILE_FIELDS) * 8, FILE_FIELDS)
  return {
    records: fields[FILE.records],
    bytes: fields[FILE.bytes],
    rotations: fields[FILE.rotations],
    lost: fields[FILE.lost]
  }
}

/** A flush that is on disk. */
export interface EndedFlush {
  /** Where it begins and ends in the file. */
  readonly start: number
  readonly end: number
  readonly records: number
  /** Drops that its seal tells of. */
  readonly dropped: number
  /** How long it was written. */
  readonly ms: number
}

/** A list of late copies alone belongs to no epoch. */
export const LATE_ROUND = -0.5
const NO_ROUND = -1.5

/** Memory for the journal of so many files; the numbers of the files are below that. */
export function createJournal(files: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer((HEADER_FIELDS + files * FILE_FIELDS) * 8)
  new BigUint64Array(buffer, 0, 1)[0] = randomBytes(8).readBigUInt64LE()
  new Float64Array(buffer)[HEADER.epoch] = NO_ROUND
  return buffer
}

export class FlushJournal {
  /** In the seals of all its files. */
  readonly writerId: bigint
  readonly #fields: Float64Array
  readonly #statistics: Float64Array
  readonly #files: number
  /** The next list is one that an earlier flusher began to write. */
  #isResuming: boolean
  #resumedRound: number | undefined

  /**
   * `flushed` is the epoch that is to be written next; `isRestart` if another flusher worked on it. `statistics` are those of
   * all files together.
   */
  constructor(buffer: SharedArrayBuffer, isRestart: boolean, flushed: number, statistics: Float64Array) {
    this.#statistics = statistics
    this.writerId = new BigUint64Array(buffer, 0, 1)[0]
    this.#fields = new Float64Array(buffer)
    this.#files = (this.#fields.length - HEADER_FIELDS) / FILE_FIELDS
    const epoch = this.#fields[HEADER.epoch]
    this.#isResuming = isRestart && (epoch === flushed || epoch === LATE_ROUND)
    if (this.#isResuming) this.#resumedRound = this.#fields[HEADER.round]
  }

  /** The next list has to be the one that an earlier flusher began to write. */
  get isResuming(): boolean {
    return this.#isResuming
  }

  /** A list was collected, of `epoch` or `LATE_ROUND`. `isMore`: behind what is left of the last one, in its round. */
  begin(epoch: number, isMore = false): void {
    if (!this.#isResuming && !isMore) this.#fields[HEADER.round]++
    this.#isResuming = false
    this.#fields[HEADER.epoch] = epoch
  }

  /** A list of late copies is settled. */
  endLate(): void {
    if (this.#fields[HEADER.epoch] === LATE_ROUND) this.#fields[HEADER.epoch] = NO_ROUND
  }

  file(number: number): FileJournal {
    if (number >= this.#files) throw new Error(`file ${number} of a journal of ${this.#files}`)
    const isResumed = this.#resumedRound === this.#fields[HEADER.round]
    return new FileJournal(this.#fields, HEADER_FIELDS + number * FILE_FIELDS, isResumed, this.#statistics)
  }
}

export class FileJournal {
  readonly #fields: Float64Array
  readonly #at: number
  readonly #statistics: Float64Array
  /** Records of the present round that are in the file although they come again. */
  #toSkip: number | undefined

  constructor(fields: Float64Array, at: number, isResumed: boolean, statistics: Float64Array) {
    this.#fields = fields
    this.#statistics = statistics
    this.#at = at
    this.#toSkip = isResumed ? undefined : 0
  }

  /** Of the last seal; 0 before the first. */
  get sequence(): number {
    return this.#fields[this.#at + FILE.sequence]
  }

  /** Where the last seal ends. */
  get size(): number {
    return this.#fields[this.#at + FILE.size]
  }

  /** Records that are on disk or were given up. */
  get settled(): number {
    return this.#fields[this.#at + FILE.records] + this.#fields[this.#at + FILE.lost]
  }

  set size(bytes: number) {
    this.#fields[this.#at + FILE.size] = bytes
  }

  /** A flush is going to be written; `counts` unless its records were in the list of an earlier round. */
  beginFlush(counts: boolean): void {
    this.#fields[this.#at + FILE.counts] = counts ? 1 : 0
  }

  // No call and no loop, where V8 could end the thread: all of it is counted, or nothing.
  endFlush({ start, end, records, dropped, ms }: EndedFlush): void {
    const fields = this.#fields
    const statistics = this.#statistics
    const at = this.#at
    const round = fields[HEADER.round]
    const longestMs = statistics[statistic.longestWriteMs]
    if (fields[at + FILE.counts] === 1) {
      if (fields[at + FILE.round] !== round) fields[at + FILE.roundRecords] = 0
      fields[at + FILE.round] = round
      fields[at + FILE.roundRecords] += records
    }
    fields[at + FILE.records] += records
    fields[at + FILE.bytes] += end - start
    fields[at + FILE.size] = end
    fields[at + FILE.sequence]++
    statistics[statistic.records] += records
    statistics[statistic.bytesWritten] += end - start
    statistics[statistic.sealedDropped] += dropped
    statistics[statistic.writeMs] += ms
    statistics[statistic.longestWriteMs] = ms > longestMs ? ms : longestMs
  }

  countRotation(): void {
    this.#fields[this.#at + FILE.rotations]++
  }

  countLost(records: number): void {
    this.#fields[this.#at + FILE.lost] += records
  }

  /** How many records at the head of the first list are to be passed over. Once. */
  takeSkip(): number {
    const isOfRound = this.#fields[this.#at + FILE.round] === this.#fields[HEADER.round]
    const skip = this.#toSkip ?? (isOfRound ? this.#fields[this.#at + FILE.roundRecords] : 0)
    this.#toSkip = 0
    return skip
  }
}
