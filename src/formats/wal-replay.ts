// The rules that span the records of a whole log: contiguous segments, one metadata, indices without gaps, and
// the commit marks that make batches whole. Pure: fed by whoever reads the files.

import { WAL_RUN, walRun } from '../native/wal-scan.ts'
import {
  ENTRY,
  MEMBER,
  METADATA,
  type SegmentName,
  SNAPSHOT,
  STATE,
  TERM,
  type WalSnapshot,
  type WalState
} from './wal.ts'
import { WalDecoder, type WalStep } from './wal-decoder.ts'
import { decodeSnapshot, decodeState, WalEntry } from './wal-record.ts'

const NO_LIMIT = BigInt(Number.MAX_SAFE_INTEGER)

/** `torn`: an interrupted last write, cut off by recovery. `corrupt`: anything else. */
export interface WalDamage {
  readonly kind: 'torn' | 'corrupt'
  /** Name of the segment. */
  readonly file: string
  readonly offset: number
  readonly reason: string
  /** Where whole batches follow behind the damage, if they do. */
  readonly intactAt?: number | undefined
}

/** A place between two records. */
export interface WalPosition {
  readonly segment: SegmentName
  readonly offset: number
  readonly crc: number
  /** Index of the last entry before it. */
  readonly index: bigint
}

export class WalReplay {
  readonly decoder = new WalDecoder()
  damage: WalDamage | undefined
  metadata: Uint8Array | undefined
  /** Index of the first entry of the segment; 0 if there was none yet. */
  firstInSegment = 0n
  /** The last record of each type that `next` returned. The data of an entry lies in the decoder's window. */
  readonly entry = new WalEntry()
  state: WalState | undefined
  snapshot: WalSnapshot | undefined
  /** Index of the last entry; of the one before the first if there was none yet. */
  lastIndex = 0n
  commit = 0n
  /** Index of the first entry, or of the one that the first segment was made for. */
  firstIndex = 1n
  /** Index of the newest snapshot record. */
  snapshotIndex = 0n
  entries = 0
  /** Entries that took the place of an earlier one with their index, as raft does before it commits. */
  replaced = 0
  /** Whether another program wrote this: a raft log with a history, or one without commit marks. */
  foreign = false
  /** Whether any state record was seen: logs without one do not mark what is committed. */
  marked = false
  /** Behind the last record up to which every entry is committed. */
  committed: WalPosition | undefined
  segment: SegmentName | undefined
  /** Whether the head of the segment was read: it is on disk before the segment gets its name. */
  #hasHead = false
  readonly #run = new Float64Array(WAL_RUN)

  /** Starts the next segment; false if it cannot follow the one before, with `damage` set. */
  begin(segment: SegmentName, bytes: number, last: boolean): boolean {
    const previous = this.segment
    this.segment = segment
    this.#hasHead = false
    this.firstInSegment = 0n
    this.decoder.commit = this.commit
    this.decoder.begin(bytes, last)
    if (previous === undefined) {
      this.firstIndex = segment.index === 0n ? 1n : segment.index
      this.lastIndex = this.firstIndex - 1n
      this.commit = this.lastIndex
      return true
    }
    if (this.lastIndex > this.commit) this.foreign = true
    if (segment.sequence !== previous.sequence + 1n) {
      return this.#fail('corrupt', `segment ${segment.sequence} follows ${previous.sequence}`)
    }
    if (segment.index > this.#reach() + 1n) {
      return this.#fail(
        'corrupt',
        `entries ${this.#reach() + 1n} to ${segment.index - 1n} are missing before it`
      )
    }
    return true
  }

  /** The segment has grown, or another one follows it: goes on behind the last sound record. */
  resume(bytes: number, last: boolean): void {
    this.damage = undefined
    this.decoder.resume(bytes, last)
  }

  /** Like the decoder's `next`, with the records understood and the rules checked. */
  next(): WalStep {
    const step = this.decoder.next()
    if (step === 'record') return this.#record() ? step : 'corrupt'
    if (step === 'more') return step
    if (step !== 'corrupt' && (this.decoder.offset === 0 || (step === 'torn' && !this.#hasHead))) {
      this.#fail(
        'corrupt',
        `the head of the segment is missing: ${this.decoder.reason || 'it was emptied or cut short'}`
      )
      return 'corrupt'
    }
    if (step !== 'end') this.#fail(step, this.decoder.reason)
    return step
  }

  /**
   * Goes over the entries and commit marks at hand that follow in order, as `next` would one by one, up to entry `limit`.
   * Returns how many entries they were; of each, start and end of its data in the window go to `bounds` and the start of
   * its frame to `frames`, as many as fit.
   */
  follow(limit = NO_LIMIT, bounds?: Int32Array, frames?: Int32Array): number {
    const { lastIndex, commit } = this
    if (this.entries === 0 || this.damage !== undefined || lastIndex > NO_LIMIT || commit > NO_LIMIT) return 0
    const run = this.#run
    run[walRun.index] = Number(lastIndex)
    run[walRun.commit] = Number(commit)
    run[walRun.limit] = Number(limit < NO_LIMIT ? limit : NO_LIMIT)
    if (!this.decoder.follow(run, bounds, frames)) return 0
    const entries = run[walRun.entries]
    this.lastIndex = BigInt(run[walRun.index])
    if (entries > 0) this.firstInSegment ||= lastIndex + 1n
    this.entries += entries
    if (run[walRun.states] > 0) {
      this.marked = true
      this.commit = BigInt(run[walRun.commit])
      this.decoder.commit = this.commit
    }
    if (run[walRun.committedEnd] >= 0) {
      const offset = this.decoder.windowPosition + run[walRun.committedEnd]
      const index = BigInt(run[walRun.committedIndex])
      this.committed = { segment: this.segment!, offset, crc: run[walRun.committedCrc], index }
    }
    return entries
  }

  #record(): boolean {
    const { type, window, dataStart, dataEnd } = this.decoder
    let sound = true
    if (type === ENTRY) sound = this.#entry(this.entry.decode(window, dataStart, dataEnd))
    else if (type === STATE) sound = this.#state(decodeState(window, dataStart, dataEnd))
    else if (type === SNAPSHOT) sound = this.#snapshot(decodeSnapshot(window, dataStart, dataEnd))
    else if (type === METADATA) sound = this.#metadata(window.subarray(dataStart, dataEnd))
    if (sound && this.lastIndex <= this.commit) {
      const { offset, crc } = this.decoder
      this.committed = { segment: this.segment!, offset, crc, index: this.lastIndex }
    }
    return sound
  }

  #entry(isEntry: boolean): boolean {
    const { entry } = this
    if (!isEntry) return this.#reject('not an entry')
    if (this.entries === 0) this.#startAt(entry.index)
    if (entry.index <= this.lastIndex) this.replaced++
    else if (entry.index > this.#reach() + 1n) {
      return this.#reject(`entry ${entry.index} follows ${this.#reach()}`)
    }
    if (entry.term !== TERM || entry.type !== 0) this.foreign = true
    this.lastIndex = entry.index
    this.firstInSegment ||= entry.index
    this.entries++
    return true
  }

  // Copies that etcd's backup makes begin behind a snapshot and note that only at the end.
  #startAt(index: bigint): void {
    if (index <= this.lastIndex + 1n || this.segment?.index !== 0n) return
    this.firstIndex = index
    this.lastIndex = index - 1n
    if (this.commit < this.lastIndex) this.commit = this.lastIndex
  }

  #state(state: WalState | undefined): boolean {
    this.state = state
    if (state === undefined) return this.#reject('not a state')
    if (state.term !== TERM || state.vote !== MEMBER) this.foreign = true
    this.marked = true
    this.commit = state.commit
    this.decoder.commit = state.commit
    return true
  }

  #snapshot(snapshot: WalSnapshot | undefined): boolean {
    this.snapshot = snapshot
    if (snapshot === undefined) return this.#reject('not a snapshot')
    if (snapshot.index > this.snapshotIndex) this.snapshotIndex = snapshot.index
    return true
  }

  #metadata(metadata: Uint8Array): boolean {
    this.#hasHead = true
    if (this.metadata === undefined) this.metadata = Uint8Array.from(metadata)
    else if (Buffer.compare(this.metadata, metadata) !== 0) {
      return this.#reject('the metadata differs from that of the segments before')
    }
    return true
  }

  /** Up to where the log is complete: a snapshot stands for the entries before it. */
  #reach(): bigint {
    if (this.snapshotIndex > this.lastIndex) return this.snapshotIndex
    return this.lastIndex
  }

  #fail(kind: WalDamage['kind'], reason: string): false {
    const { offset, intactAt } = this.decoder
    this.damage = {
      kind,
      file: this.segment?.name ?? '',
      offset,
      reason,
      ...(intactAt !== undefined && { intactAt })
    }
    return false
  }

  #reject(reason: string): false {
    this.decoder.reject(reason)
    return this.#fail('corrupt', reason)
  }
}
