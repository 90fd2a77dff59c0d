// The segment of a log that is appended to: writes, syncs, looks after its file, and gives way to the next one when it is
// full, has failed or was taken away. What is not on disk yet is kept in memory, so that it can be written again there.
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, LogboomError } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { exitDeadline } from '../sink/at-exit.ts'
import { handoverName } from './handover.ts'
import { beginNext, restore, type Standing, StraySegment, type Successor } from './next-segment.ts'
import type { Segment } from './segment.ts'
import { SegmentSupply } from './segment-supply.ts'
import { type Savepoint, Unsynced } from './unsynced.ts'
import type { WriterCounters, WriterHooks, WriterOptions } from './writer-contract.ts'
import { WriterLife } from './writer-state.ts'

/**
 * Before something is acknowledged it is looked whether the file is where readers will find it; not more often than this,
 * because who takes it away so shortly before could have done so as shortly after.
 */
const LOOK_EVERY_MS = 10

/** A place in what was appended, to go back to. */
export interface Mark extends Savepoint {
  readonly nextIndex: bigint
}

/** What only the owner of the segment knows. */
export interface SegmentOwner {
  /** Index of the last entry that was appended. */
  lastIndex(): bigint
  /** The end of what was appended. */
  mark(): Mark
  /** Writing works again, after a failure. */
  movedOn(): void
}

export class ActiveSegment {
  /** Index of the last entry that is on disk. */
  durableIndex: bigint
  readonly supply: SegmentSupply
  readonly unsynced: Unsynced
  readonly #disk: Disk
  readonly #options: WriterOptions
  readonly #counters: WriterCounters
  readonly #hooks: WriterHooks
  readonly #owner: SegmentOwner
  readonly #life = new WriterLife()
  #segment: Segment
  /** Where a segment lies that could be neither used nor removed. */
  #stray: string | undefined
  /** The log failed when the segment was to be left. */
  #isLeft = false
  #lookedMs = Number.NEGATIVE_INFINITY

  constructor(
    disk: Disk,
    options: WriterOptions,
    counters: WriterCounters,
    hooks: WriterHooks,
    owner: SegmentOwner,
    segment: Segment,
    position: { crc: number; index: bigint }
  ) {
    this.#disk = disk
    this.#options = options
    this.#counters = counters
    this.#hooks = hooks
    this.#owner = owner
    this.#segment = segment
    this.durableIndex = position.index
    this.supply = new SegmentSupply(disk, options, counters)
    this.unsynced = new Unsynced(position.crc, segment.used)
  }

  /** Whether records may be appended to it; else it must be left first. */
  get isSound(): boolean {
    return this.#life.isSound
  }

  /** Whether what is kept is in no file that readers will find. */
  get isLost(): boolean {
    return this.#life.state === 'lost'
  }

  get isFull(): boolean {
    return this.#segment.used >= this.#options.segmentBytes
  }

  /** Begins to prepare the next one when it is time. */
  prepareNext(): void {
    this.supply.consider(this.#segment)
  }

  /** Writes the tail from `from` on to the segment, or all that is kept to a new one. */
  write(from: Mark): void {
    const { tail } = this.unsynced
    if (this.#life.isSound) {
      try {
        this.#segment.write(tail.bytes.subarray(from.length))
        failpoint('wal-written')
        return
      } catch (error) {
        this.#break(error, 'broken')
      }
    }
    this.leave(from)
  }

  /** Writes and syncs the tail in one call, where it is all there is to sync; false if it is not on disk. */
  writeAloneNow(): boolean {
    const { tail } = this.unsynced
    if (this.#life.state !== 'healthy') return false
    try {
      this.#segment.writeNow(tail.bytes)
      failpoint('wal-synced')
    } catch (error) {
      this.#break(error, 'suspect')
      return false
    }
    if (!this.#isInPlace()) return false
    this.#allDurable(this.#segment.used, tail.crc)
    return true
  }

  /** Syncs on this thread; false if it must be left instead. */
  syncNow(): boolean {
    if (!this.#life.isSound) return false
    try {
      this.#segment.syncNow()
      failpoint('wal-synced')
    } catch (error) {
      this.#break(error, 'suspect')
      return false
    }
    if (!this.#isInPlace()) return false
    this.#allDurable(this.#segment.used, this.unsynced.tail.crc)
    return true
  }

  /** Syncs in the background what was appended up to now; false if the segment must be left instead. */
  async sync(): Promise<boolean> {
    if (!this.#life.isSound) return false
    const lastIndex = this.#owner.lastIndex()
    const covered = this.unsynced.beginSync(this.#segment.used)
    this.#life.become('syncing')
    try {
      await this.#segment.sync()
      failpoint('wal-synced')
    } catch (error) {
      // It may have been left, and all that was in it be on disk, meanwhile.
      if (!this.unsynced.isAwaiting(covered)) return true
      this.unsynced.distrust()
      if (this.#life.isSound) this.#break(error, 'suspect')
      return false
    }
    if (!this.unsynced.isAwaiting(covered)) return true
    if (this.#life.isSound && !this.#isInPlace()) return false
    if (!this.unsynced.confirm(covered)) return true
    this.durableIndex = lastIndex
    if (this.#life.state === 'syncing') this.#life.become('healthy')
    return true
  }

  /** Looks where the file is that is written to without syncing. */
  look(from: Mark, isUrgent: boolean): void {
    if (this.#life.isSound && !this.#isInPlace(isUrgent)) this.leave(from)
  }

  /**
   * Leaves a failed segment: cuts it to what is on disk, and writes all that is kept to a new one, durably. May be
   * called again after it threw. A failed sync is never repeated on the same file: the kernel has marked its pages
   * clean, so it would succeed and lie. What is kept was acknowledged up to `acknowledged`.
   */
  leave(acknowledged: Mark = this.#owner.mark()): void {
    this.#removeStray()
    if (this.#life.state !== 'lost' && this.#segment.fate() === 'moved') this.#life.become('lost')
    if (this.#life.state === 'lost') {
      this.#restore()
      return
    }
    // A sync that is running may be about to cover what is cut off here.
    this.unsynced.distrust()
    if (this.#life.state === 'broken') this.#secure(acknowledged)
    const inDoubt = this.#life.state === 'suspect' ? acknowledged : undefined
    this.#takeNext(() => beginNext(this.#disk, this.supply, this.#standing(), inDoubt))
  }

  /**
   * What was appended last is taken back, and must not be found in the segment, should the process die now. Where the disk
   * refuses that, too, it is tried again before anything else is appended, and at the end.
   */
  takenBack(): void {
    if (this.#life.state !== 'broken' && this.#life.state !== 'suspect') return
    this.#cutTo(this.unsynced.endOf(this.#owner.mark()))
  }

  /** Begins the next one behind a full one, all of which is on disk. Throws if that does not work; then it goes on, if it is sound. */
  finish(): void {
    try {
      if (this.#isInPlace(true)) this.#segment.truncate(this.#segment.used)
    } catch (error) {
      this.#break(error, 'suspect')
    }
    if (!this.#life.isSound) this.leave()
    else this.#takeNext(() => beginNext(this.#disk, this.supply, this.#standing(), undefined))
  }

  /** Nothing is written any more. What nobody was told of is not left where the next start would find it. */
  fail(): void {
    this.#isLeft = !this.#life.isSound && this.#life.state !== 'lost'
    this.#life.become('failed')
    this.#removeRefused()
  }

  /** The same for a sound one, at once, whatever still uses it. */
  closeNow(): void {
    this.#lookLast()
    if (this.#life.isSound) this.#segment.finish(exitDeadline() !== undefined)
    else this.#segment.close()
  }

  /** Frees everything but what is prepared. */
  close(): void {
    this.#lookLast()
    this.#leaveWhatWasRefused()
    if (this.#life.isSound) this.#segment.finish()
    else {
      this.#removeRefused()
      this.#segment.close()
    }
  }

  /** What was acknowledged since the file was looked for may be where nobody finds it, and nobody will look again. */
  #lookLast(): void {
    if (!this.#life.isSound || this.#isInPlace(true)) return
    try {
      this.leave()
    } catch (error) {
      this.#hooks.warning(ioError(this.#options.walDir, error))
    }
  }

  /** What was taken back may still be in a file: a new segment does without it. */
  #leaveWhatWasRefused(): void {
    const { state } = this.#life
    if (this.#life.isSound || state === 'failed' || (state === 'lost' && this.#stray === undefined)) return
    try {
      this.leave()
    } catch {
      // All that is to be found is on disk already.
    }
  }

  /** After a failure, as far as the disk lets us. */
  #removeRefused(): void {
    if (!this.#isLeft) return
    const { acknowledgesAppended } = this.#options
    this.#cutTo(acknowledgesAppended ? this.unsynced.endOf(this.#owner.mark()) : this.unsynced.durableEnd)
    if (acknowledgesAppended) return
    this.supply.remove(handoverName(this.#segment.nextPath(this.durableIndex)))
    if (this.#stray !== undefined) this.supply.remove(this.#stray)
  }

  /** A write failed, no sync: what was acknowledged before is synced where it is, if that works. */
  #secure(acknowledged: Mark): void {
    try {
      this.#segment.truncate(this.unsynced.endOf(acknowledged))
    } catch (error) {
      this.#break(error, 'suspect')
      return
    }
    this.unsynced.durableUpTo(acknowledged)
    this.durableIndex = acknowledged.nextIndex - 1n
    this.#life.become('sealed')
    failpoint('wal-sealed')
  }

  #cutTo(end: number): void {
    if (this.#segment.used <= end && !this.#segment.hasRest) return
    try {
      this.#segment.cutTo(Math.min(end, this.#segment.used))
      failpoint('wal-taken-back')
    } catch {
      // The segment is left in any case, before it is appended to again.
    }
  }

  #restore(): void {
    const hasContent = !this.#segment.isShortened
    this.#hooks.prepareFolder()
    const { missingTo } = this.#takeNext(() => restore(this.#disk, this.supply, this.#standing(), hasContent))
    if (missingTo === 0n) return
    const released = this.#hooks.releasedIndex()
    this.#hooks.entriesLost(released + 1n, missingTo)
  }

  /** Nothing is acknowledged for a file that nobody can find. */
  #isInPlace(isUrgent = false): boolean {
    const now = monotonicMs()
    if (!isUrgent && now - this.#lookedMs < LOOK_EVERY_MS) return true
    this.#lookedMs = now
    const fate = this.#segment.fate()
    if (fate === 'sound') return true
    const { path } = this.#segment
    const what = fate === 'moved' ? 'was removed, moved or replaced' : 'was shortened'
    this.#counters.errors++
    this.unsynced.distrust()
    this.#life.become('lost')
    this.#hooks.warning(new LogboomError('ERR_IO', `${path} ${what} while it was written to`, { path }))
    return false
  }

  #break(error: unknown, to: 'broken' | 'suspect'): void {
    this.#counters.errors++
    this.#life.become(to)
    this.#hooks.warning(ioError(this.#options.walDir, error))
  }

  #standing(): Standing {
    const { walDir, metadata } = this.#options
    const releasedIndex = this.#hooks.releasedIndex()
    const { durableIndex } = this
    return { walDir, metadata, old: this.#segment, unsynced: this.unsynced, durableIndex, releasedIndex }
  }

  #takeNext(begin: () => Successor): Successor {
    let next: Successor
    try {
      next = begin()
    } catch (error) {
      if (error instanceof StraySegment) {
        this.#stray = error.path
        // The old one must not go on while another one is in the place behind it.
        if (this.#life.isSound) this.#break(error, 'broken')
      }
      throw error
    }
    const old = this.#segment
    const bytes = old.used
    old.close()
    this.#segment = next.segment
    if (this.#life.state !== 'healthy') this.#life.become('healthy')
    this.#owner.movedOn()
    this.#counters.rotations++
    this.#allDurable(next.segment.used, next.crc)
    this.#hooks.rotated(old.path, next.segment.path, bytes)
    return next
  }

  #removeStray(): void {
    if (this.#stray === undefined) return
    // That of one in doubt holds what is nowhere else.
    if (this.#life.state === 'suspect') this.#disk.rename(this.#stray, handoverName(this.#stray))
    else if (!this.supply.remove(this.#stray)) throw new Error(`${this.#stray} cannot be removed`)
    this.#stray = undefined
  }

  /** Everything kept is on disk now, and ends at `end` of the segment. */
  #allDurable(end: number, crc: number): void {
    this.durableIndex = this.#owner.lastIndex()
    this.unsynced.allDurable(end, crc)
    if (this.#life.state === 'syncing') this.#life.become('healthy')
  }
}

/** The error of the system as one of ours. */
export function ioError(walDir: string, error: unknown): LogboomError {
  if (error instanceof LogboomError) return error
  return new LogboomError('ERR_IO', `${walDir}: ${errorMessage(error)}`, { path: walDir, cause: error })
}
