// Writes what writers put into the shared memory to the file. Runs in a thread of its own (flusher-thread.ts).
import { monotonicMs } from '../../../base/clock.ts'
import type { Disk } from '../../../io/disk.ts'
import type { FreeSpace } from '../../shared-file/free-space.ts'
import { FlushAccount } from '../files/flush-account.ts'
import { FlushJournal, LATE_ROUND } from '../files/flush-journal.ts'
import type { FlushItem, FlushTarget, TargetNews } from '../files/flush-target.ts'
import { FlushWriter } from '../files/flush-writer.ts'
import { FrameFile } from '../files/frame-file.ts'
import { GroupFile } from '../files/group-file.ts'
import { LargeRecords } from '../memory/large-records.ts'
import {
  activity,
  control,
  OFFSET_MASK,
  runState,
  type SharedMemory,
  SWAP_AT,
  slot,
  statistic,
  threadState
} from '../memory/shared-memory.ts'
import { openRecords } from '../statistics.ts'
import { Attempts } from './attempts.ts'
import type { FlusherOptions, FlusherPort } from './flusher-protocol.ts'
import { createSpace, roomOf } from './flusher-space.ts'
import { GroupRequests } from './group-requests.ts'
import { isUsed, ShardCollector } from './shard-collector.ts'
import { watchDisk } from './watched-disk.ts'

const LEAST_IDLE_CHECK_MS = 100
/** Late copies are looked at so often while the file closes. */
const LATE_POLL_MS = 5

export class Flusher {
  readonly #memory: SharedMemory
  readonly #options: FlusherOptions
  readonly #port: FlusherPort
  readonly #account: FlushAccount
  readonly #target: FlushTarget
  readonly #attempts: Attempts
  readonly #group: GroupFile | undefined
  readonly #requests: GroupRequests | undefined
  readonly #collector: ShardCollector
  readonly #large: LargeRecords
  readonly #journal: FlushJournal
  readonly #space: FreeSpace | undefined
  /** Collected and not yet settled; see `FlushTarget`. */
  readonly #items: FlushItem[] = []
  #itemsEpoch: number | undefined
  #countedDropped = 0
  #hasLost = false
  #rotations: number
  #reopens: number
  #nextFlushAtMs = Number.POSITIVE_INFINITY
  #nextIdleCheckAtMs = Number.POSITIVE_INFINITY

  constructor(memory: SharedMemory, options: FlusherOptions, realDisk: Disk, port: FlusherPort) {
    const { words } = memory
    const disk = watchDisk(realDisk, words)
    this.#memory = memory
    this.#options = options
    this.#port = port
    this.#account = new FlushAccount(memory)
    const { isRestart = false, kept = [] } = options
    this.#large = new LargeRecords(memory, kept)
    const flushed = Atomics.load(words, control.flushed)
    this.#journal = new FlushJournal(options.journal, isRestart, flushed, memory.statistics)
    const news: TargetNews = {
      rotated: (event, isQuarantine) => port.send({ type: 'rotated', ...event, isQuarantine }),
      warning: (code, message, path) => port.send({ type: 'warning', code, message, path }),
      replaced: (message, path) => port.send({ type: 'replaced', message, path }),
      released: ({ heldKib }) => this.#large.release(heldKib),
      lost: (records) => this.#countLost(records)
    }
    if (options.group === undefined) {
      const writer = new FlushWriter(disk, this.#account, this.#journal.writerId)
      const file = this.#journal.file(0)
      this.#target = new FrameFile(disk, options.path, options, news, this.#account, writer, file, isRestart)
    } else {
      this.#target = this.#group = new GroupFile(
        disk,
        { ...options, ...options.group },
        news,
        this.#account,
        this.#journal,
        isRestart
      )
      this.#requests = new GroupRequests(this.#group, port, words, options.group.stallMs)
    }
    this.#space = createSpace(disk, options, words, port)
    this.#attempts = new Attempts(words, this.#account, this.#target, options.path, port)
    this.#collector = new ShardCollector(
      memory,
      options.flushTimeoutMs,
      (id, kib) => this.#large.take(id, kib),
      isRestart,
      this.#journal.isResuming
    )
    this.#rotations = 0
    this.#reopens = 0
    if (isRestart) {
      this.#countLost(this.#account.takeHeld())
      this.#countedDropped = this.#account.sealedDropped
      this.#rotations = Atomics.load(words, control.rotateAsked)
      this.#reopens = Atomics.load(words, control.reopenAsked)
    }
    this.#planFlush()
    this.#planIdleCheck()
  }

  /** Works until the file is closed. Blocks the thread. */
  run(): void {
    const { words } = this.#memory
    Atomics.compareExchange(words, control.state, runState.opening, runState.open)
    // From here on messages about large records arrive.
    Atomics.store(words, control.thread, threadState.running)
    Atomics.notify(words, control.thread)
    // Having come so far is progress, too: starting may take long on a machine that has much to do.
    this.#account.progress()
    // That a file can be opened says nothing of records that ended an earlier thread.
    if (!this.#options.isRestart || openRecords(this.#memory) === 0)
      this.#attempts.run(() => this.#target.open())
    for (;;) {
      const seen = Atomics.load(words, control.wake)
      this.step()
      if (Atomics.load(words, control.state) === runState.closed) return
      // Whoever started this thread looks why it ended, and starts no other.
      if (Atomics.load(words, control.unsyncable) !== 0) {
        this.#release()
        return
      }
      this.#waitForWork(seen)
    }
  }

  /** One round: everything that is due. True if all of it could be done. */
  step(): boolean {
    const { words } = this.#memory
    const asked = Atomics.load(words, control.flushAsked)
    const reopenAsked = Atomics.load(words, control.reopenAsked)
    const rotateAsked = Atomics.load(words, control.rotateAsked)
    const nowMs = monotonicMs()
    const isDue = nowMs >= this.#nextFlushAtMs
    const isClosing = Atomics.load(words, control.state) === runState.closing
    if (Atomics.load(words, control.giveUp) !== 0) {
      this.#end()
      return true
    }
    const isAsked = asked !== Atomics.load(words, control.flushDone)
    this.#requests?.receive()
    this.#requests?.closeStalled()
    const isWanted =
      isDue || isClosing || isAsked || rotateAsked !== this.#rotations || this.#requests?.isWaiting === true
    if (!(this.#flushPending() && (!isWanted || this.#flushActive(isClosing)))) return false
    if (isDue) this.#planFlush()
    if (nowMs >= this.#nextIdleCheckAtMs) {
      this.#group?.closeIdle()
      this.#planIdleCheck()
    }
    if (reopenAsked !== this.#reopens) {
      if (!this.#attempts.run(() => this.#target.close())) return false
      this.#reopens = reopenAsked
    }
    if (rotateAsked !== this.#rotations) {
      if (!this.#attempts.run(() => this.#target.rotate())) return false
      this.#rotations = rotateAsked
    }
    if (this.#target.holds) {
      this.#attempts.run(() => {
        this.#space?.require(0)
        this.#target.writeHeld()
      })
    }
    this.#requests?.closeAsked()
    this.#reportLost()
    // One file's trouble keeps no other from being written, but it keeps a flush of all of them from being true.
    if (this.#target.holds) return false
    if (isAsked) {
      Atomics.store(words, control.flushDone, asked)
      Atomics.notify(words, control.flushDone)
      this.#port.send({ type: 'flushed', number: asked })
    }
    if (!isClosing) return true
    if (this.#collector.hasLate) return false
    this.#end()
    return true
  }

  #planFlush(): void {
    const { flushIntervalMs } = this.#options
    this.#nextFlushAtMs = flushIntervalMs > 0 ? monotonicMs() + flushIntervalMs : Number.POSITIVE_INFINITY
  }

  #planIdleCheck(): void {
    const idleCloseMs = this.#options.group?.idleCloseMs
    if (idleCloseMs === undefined) return
    this.#nextIdleCheckAtMs = monotonicMs() + Math.max(LEAST_IDLE_CHECK_MS, idleCloseMs / 4)
  }

  /** Blocks until something may be due; after a failure not before its pause is over, unless somebody asks. */
  #waitForWork(seenWake: number): void {
    const { words } = this.#memory
    let seen = seenWake
    for (;;) {
      const { retryAtMs } = this.#attempts
      let untilMs = Math.min(this.#nextFlushAtMs, this.#nextIdleCheckAtMs)
      if (retryAtMs !== undefined) untilMs = retryAtMs
      else if (this.#isWaitingForLate()) untilMs = Math.min(untilMs, monotonicMs() + LATE_POLL_MS)
      const restMs = untilMs - monotonicMs()
      if (restMs <= 0) return
      if (retryAtMs !== undefined) Atomics.store(words, control.activity, activity.pausing)
      const woken = Atomics.wait(words, control.wake, seen, restMs) !== 'timed-out'
      Atomics.store(words, control.activity, activity.working)
      if (!woken || retryAtMs === undefined || this.#attempts.isAsked) return
      seen = Atomics.load(words, control.wake)
    }
  }

  #isWaitingForLate(): boolean {
    return this.#collector.hasLate && Atomics.load(this.#memory.words, control.state) === runState.closing
  }

  /** The last thing this thread does. */
  #end(): void {
    const { words } = this.#memory
    this.#release()
    Atomics.store(words, control.state, runState.closed)
    Atomics.notify(words, control.state)
    Atomics.notify(words, control.flushed)
    this.#port.send({ type: 'closed' })
  }

  #release(): void {
    try {
      this.#target.close()
    } catch {
      // What was written is sealed; what was not is counted by whoever closes.
    }
    this.#reportLost()
    this.#large.close()
  }

  /** Writes the set that a swap left to us; true if nothing of it remains. */
  #flushPending(isClosing = false): boolean {
    const { words } = this.#memory
    while (Atomics.load(words, control.flushed) !== Atomics.load(words, control.epoch)) {
      if (!this.#flushEpoch(Atomics.load(words, control.flushed), isClosing)) return false
    }
    return true
  }

  /** Swaps the sets unless nothing was logged, and writes the other one. */
  #flushActive(isClosing: boolean): boolean {
    // While the file closes both sets are taken out of use for good, used or not: a thread that is just about to
    // reserve bytes in one must learn that it comes too late.
    for (let turn = 0; turn < (isClosing ? 2 : 1); turn++) {
      const epoch = Atomics.load(this.#memory.words, control.epoch)
      if (isClosing || this.#isActiveUsed(epoch)) {
        this.#memory.swap(epoch)
        if (!this.#flushPending(isClosing)) return false
      }
    }
    if (this.#collector.hasLate) {
      const { items, lost, missing } = this.#collector.collectLate()
      this.#memory.statistics[statistic.goneDropped] += lost
      this.#countLost(missing)
      if (items.length > 0) this.#journal.begin(LATE_ROUND, this.#items.length > 0)
      this.#items.push(...items)
    }
    this.#countDropped()
    if (this.#items.length > 0) {
      if (!this.#write()) return false
      this.#journal.endLate()
      this.#collector.forget()
      this.#large.settled()
    } else if (isClosing && this.#target.hasDropped && this.#group === undefined) {
      return this.#attempts.run(() => this.#target.write([]))
    }
    return true
  }

  #isActiveUsed(epoch: number, beyondBytes = 0): boolean {
    const { words, handle } = this.#memory
    for (let shard = 0; shard < handle.shape.shards; shard++) {
      const word = Atomics.load(words, this.#memory.shardWord(epoch & 1, shard))
      if (isUsed(word) && (word & OFFSET_MASK) > beyondBytes) return true
    }
    return false
  }

  #flushEpoch(epoch: number, isClosing: boolean): boolean {
    const { words, statistics } = this.#memory
    const startedMs = monotonicMs()
    // Requests were posted before the records they belong to were logged.
    this.#requests?.receive()
    if (this.#itemsEpoch !== epoch) {
      this.#large.receive()
      const { items, lost, missing } = this.#collector.collect(epoch)
      statistics[statistic.goneDropped] += lost
      this.#countLost(missing)
      // What is left in the list is of late copies, and part of the round now.
      this.#journal.begin(epoch, this.#items.length > 0)
      this.#items.push(...items)
      this.#itemsEpoch = epoch
    }
    const isUsedEpoch = this.#items.length > 0
    this.#countDropped()
    if (isUsedEpoch && !this.#write()) return false
    this.#journal.endLate()
    this.#collector.forget()
    if (isClosing) this.#collector.retire(epoch)
    else this.#collector.reset(epoch)
    this.#collector.freeWriters()
    this.#itemsEpoch = undefined
    Atomics.store(words, control.flushed, (epoch + 1) | 0)
    this.#large.settled()
    // Whoever waits for the flush may do so because too much was kept.
    Atomics.notify(words, control.flushed)
    // A writer that passed the mark while we were busy could not swap.
    if (this.#isActiveUsed(epoch + 1, this.#memory.handle.shape.limitBytes * SWAP_AT)) {
      this.#memory.swap((epoch + 1) | 0)
    }
    if (!isUsedEpoch) return true
    const ms = monotonicMs() - startedMs
    statistics[statistic.flushes]++
    statistics[statistic.flushMs] += ms
    statistics[statistic.longestFlushMs] = Math.max(statistics[statistic.longestFlushMs], ms)
    return true
  }

  #write(): boolean {
    const isDone = this.#attempts.run(() => {
      this.#space?.require(roomOf(this.#items))
      this.#target.write(this.#items)
    })
    if (isDone && this.#items.length > 0) throw new Error('a target has left something in the list')
    return isDone
  }

  /** Drops since the last look, for the next seal. */
  #countDropped(): void {
    const dropped = this.#droppedRecords()
    this.#target.countDropped(dropped - this.#countedDropped)
    this.#countedDropped = dropped
  }

  #droppedRecords(): number {
    return this.#memory.statistics[statistic.goneDropped] + this.#memory.sumOfWriters(slot.dropped)
  }

  #countLost(records: number): void {
    if (records === 0) return
    this.#account.countLost(records)
    this.#hasLost = true
  }

  #reportLost(): void {
    if (!this.#hasLost) return
    this.#port.send({ type: 'lost' })
    this.#hasLost = false
  }
}
