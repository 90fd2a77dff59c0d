// Writes what writers put into the shared memory to the file. Runs in a thread of its own (flusher-thread.ts).
import { monotonicMs } from '../../base/clock.ts'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import type { Disk } from '../../io/disk.ts'
import { FlushAccount } from './flush-account.ts'
import { FlushJournal, LATE_ROUND } from './flush-journal.ts'
import type { FlushItem, FlushTarget, TargetNews } from './flush-target.ts'
import { FlushWriter } from './flush-writer.ts'
import type { FlusherOptions, FlusherPort } from './flusher-protocol.ts'
import { FrameFile } from './frame-file.ts'
import { GroupFile } from './group-file.ts'
import { LargeRecords } from './large-records.ts'
import { isUsed, ShardCollector } from './shard-collector.ts'
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
} from './shared-memory.ts'
import { openRecords } from './statistics.ts'
import { watchDisk } from './watched-disk.ts'

const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 500
const LEAST_IDLE_CHECK_MS = 100
/** Late copies are looked at so often while the file closes. */
const LATE_POLL_MS = 5

export class Flusher {
  readonly #memory: SharedMemory
  readonly #options: FlusherOptions
  readonly #port: FlusherPort
  readonly #account: FlushAccount
  readonly #target: FlushTarget
  readonly #group: GroupFile | undefined
  /** Files that were asked to be closed, with the numbers of the requests. */
  readonly #toClose = new Map<number, number[]>()
  readonly #collector: ShardCollector
  readonly #large: LargeRecords
  readonly #journal: FlushJournal
  /** Collected and not yet settled; see `FlushTarget`. */
  readonly #items: FlushItem[] = []
  #itemsEpoch: number | undefined
  /** 0 while nothing fails. */
  #retryMs = 0
  #retryAtMs = 0
  #askedAtFailure = 0
  #countedDropped = 0
  #lost = 0
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
    this.#large = new LargeRecords(memory)
    const { isRestart = false } = options
    const flushed = Atomics.load(words, control.flushed)
    this.#journal = new FlushJournal(options.journal, isRestart, flushed)
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
    }
    this.#collector = new ShardCollector(
      memory,
      options.flushTimeoutMs,
      (id, kib) => this.#large.take(id, kib),
      isRestart
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
    if (!this.#options.isRestart || openRecords(this.#memory) === 0) this.#attempt(() => this.#target.open())
    for (;;) {
      const seen = Atomics.load(words, control.wake)
      this.step()
      if (Atomics.load(words, control.state) === runState.closed) return
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
    this.#receive()
    const isWanted =
      isDue || isClosing || isAsked || rotateAsked !== this.#rotations || this.#toClose.size > 0
    if (!(this.#flushPending() && (!isWanted || this.#flushActive(isClosing)))) return false
    if (isDue) this.#planFlush()
    if (nowMs >= this.#nextIdleCheckAtMs) {
      this.#group?.closeIdle()
      this.#planIdleCheck()
    }
    if (reopenAsked !== this.#reopens) {
      if (!this.#attempt(() => this.#target.close())) return false
      this.#reopens = reopenAsked
    }
    if (rotateAsked !== this.#rotations) {
      if (!this.#attempt(() => this.#target.rotate())) return false
      this.#rotations = rotateAsked
    }
    if (this.#target.holds) this.#attempt(() => this.#target.writeHeld())
    this.#closeAskedFiles()
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
      let untilMs = Math.min(this.#nextFlushAtMs, this.#nextIdleCheckAtMs)
      if (this.#retryMs > 0) untilMs = this.#retryAtMs
      else if (this.#isWaitingForLate()) untilMs = Math.min(untilMs, monotonicMs() + LATE_POLL_MS)
      const restMs = untilMs - monotonicMs()
      if (restMs <= 0) return
      if (this.#retryMs > 0) Atomics.store(words, control.activity, activity.pausing)
      const woken = Atomics.wait(words, control.wake, seen, restMs) !== 'timed-out'
      Atomics.store(words, control.activity, activity.working)
      if (!woken || this.#retryMs === 0) return
      const isUrgent =
        Atomics.load(words, control.flushAsked) !== this.#askedAtFailure ||
        Atomics.load(words, control.giveUp) !== 0
      if (isUrgent) return
      seen = Atomics.load(words, control.wake)
    }
  }

  #isWaitingForLate(): boolean {
    return this.#collector.hasLate && Atomics.load(this.#memory.words, control.state) === runState.closing
  }

  /** The last thing this thread does. */
  #end(): void {
    const { words } = this.#memory
    try {
      this.#target.close()
    } catch {
      // What was written is sealed; what was not is counted by whoever closes.
    }
    this.#reportLost()
    this.#large.close()
    Atomics.store(words, control.state, runState.closed)
    Atomics.notify(words, control.state)
    Atomics.notify(words, control.flushed)
    this.#port.send({ type: 'closed' })
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
      if (this.#items.length === 0 && items.length > 0) this.#journal.begin(LATE_ROUND)
      this.#items.push(...items)
    }
    this.#countDropped()
    if (this.#items.length > 0) {
      if (!this.#write()) return false
      this.#journal.endLate()
      this.#collector.forget()
    } else if (isClosing && this.#target.hasDropped && this.#group === undefined) {
      return this.#attempt(() => this.#target.write([]))
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
    this.#receive()
    if (this.#itemsEpoch !== epoch) {
      this.#large.receive()
      const { items, lost, missing } = this.#collector.collect(epoch)
      statistics[statistic.goneDropped] += lost
      this.#countLost(missing)
      // What is left in the list is of late copies, and part of the round now.
      if (this.#items.length === 0) this.#journal.begin(epoch)
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
    const isDone = this.#attempt(() => this.#target.write(this.#items))
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
    this.#lost += records
  }

  #reportLost(): void {
    if (this.#lost === 0) return
    this.#port.send({ type: 'lost', records: this.#lost })
    this.#lost = 0
  }

  /** Carries out I/O; after a failure everything is as before, and it is tried again with growing pauses. */
  #attempt(work: () => void): boolean {
    try {
      work()
    } catch (error) {
      this.#account.countError()
      this.#failed(this.#options.path, error)
      return false
    }
    const { heldFailure } = this.#target
    if (this.#target.holds && heldFailure !== undefined) {
      this.#failed(heldFailure.path, heldFailure.error)
      return true
    }
    this.#retryMs = 0
    const { words } = this.#memory
    const { degraded, open } = runState
    if (Atomics.compareExchange(words, control.state, degraded, open) === degraded) {
      this.#port.send({ type: 'recovered' })
    }
    return true
  }

  #failed(path: string, error: unknown): void {
    const { words } = this.#memory
    const nowMs = monotonicMs()
    // What fails in the same round as something else does not make the pause longer.
    if (nowMs >= this.#retryAtMs || this.#retryMs === 0) {
      this.#retryMs = Math.min(Math.max(this.#retryMs * 2, RETRY_MIN_MS), RETRY_MAX_MS)
      this.#retryAtMs = nowMs + this.#retryMs
    }
    this.#askedAtFailure = Atomics.load(words, control.flushAsked)
    const { degraded, open } = runState
    if (Atomics.compareExchange(words, control.state, open, degraded) === open) {
      this.#port.send({ type: 'degraded', ...describe(path, error) })
    }
  }

  #receive(): void {
    const group = this.#group
    if (group === undefined) return
    for (let request = this.#port.receive(); request !== undefined; request = this.#port.receive()) {
      const { type, tag } = request
      if (type === 'add') group.add(tag, request.path)
      else if (type === 'dropped') group.countDroppedOf(tag, request.count)
      else if (type === 'open') group.openOf(tag)
      else {
        // What was logged before is written first.
        const numbers = this.#toClose.get(tag)
        if (numbers === undefined) this.#toClose.set(tag, [request.number])
        else numbers.push(request.number)
      }
    }
  }

  /** Requests that came after the flush of this round wait for the next, as does what is held for their file. */
  #closeAskedFiles(): void {
    const group = this.#group
    if (group === undefined) return
    for (const [tag, numbers] of this.#toClose) {
      if (group.holdsOf(tag)) continue
      group.closeOf(tag)
      this.#toClose.delete(tag)
      for (const number of numbers) this.#port.send({ type: 'fileClosed', number })
    }
  }
}

function describe(path: string, error: unknown): { code: string; message: string; path: string } {
  const code = error instanceof LogboomError ? (systemCode(error.cause) ?? error.code) : systemCode(error)
  return { code: code ?? 'ERR_IO', message: `${path}: ${errorMessage(error)}`, path }
}
