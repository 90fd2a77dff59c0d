// Group commit: batches that arrive while one write and sync are running share the next one.
import { monotonicMs } from '../../base/clock.ts'
import { LogboomError } from '../../base/errors.ts'
import { sleep } from '../../base/sleep.ts'
import type { Batch } from './batch.ts'
import type { LogWriter } from './log-writer.ts'
import type { IndexRange, WalRecords } from './writer-contract.ts'

/** One write and sync cover at most so much, so that the first of many callers is not kept waiting for the last. */
const MAX_GROUP_BYTES = 4 * 1024 * 1024

/** A sync shorter than this costs less here than handing it to another thread and being woken by its end. */
const SHORT_SYNC_MS = 0.5
/** After a longer one so many groups go to the other thread before it is tried here again. */
const CAREFUL_GROUPS = 64
/** Callers that are answered here leave others without a turn for so long at most, and one sync. */
const TURN_MS = 1
/** Where nothing is waited for, so many groups are acknowledged before others have their turn. */
const GROUPS_PER_TURN = 16

/** A caller that must be blocked is blocked for this long before the disk is tried again. */
const BLOCKED_WAIT_MS = 50

interface Waiting extends Batch {
  /** Pushed in the turn of the event loop in which one batch was acknowledged alone: by a caller that waits for each. */
  readonly follows: boolean
  readonly resolve: (range: IndexRange) => void
  readonly reject: (error: unknown) => void
}

type Answer = IndexRange | LogboomError

export interface CommitHooks {
  writer(): LogWriter
  /** After a group was appended and before it is acknowledged; resolves when it may be. */
  settle(): Promise<void> | undefined
  /**
   * Appends a batch and has it acknowledged at once, blocking the thread. Undefined if it has to be done the other way; then
   * it is not in the log.
   */
  commitNow(batch: WalRecords): IndexRange | undefined
  degraded(error: LogboomError): void
  recovered(): void
}

export class CommitQueue {
  /** Bytes of all batches not yet appended. */
  queuedBytes = 0
  readonly #hooks: CommitHooks
  readonly #shortSyncMs: number
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined
  #acknowledgedOne = false
  /** When others had their turn while callers were answered here. */
  #turnedMs = 0
  #carefulGroups = CAREFUL_GROUPS
  #appended = 0
  #groupsInTurn = 0
  /** Batches in a group: fewer after a failure, because a disk that is almost full may have room for some. */
  #mostInGroup = Number.POSITIVE_INFINITY

  constructor(hooks: CommitHooks, shortSyncMs = SHORT_SYNC_MS) {
    this.#hooks = hooks
    this.#shortSyncMs = shortSyncMs
  }

  /** Batches that were not appended, in order. */
  get waiting(): WalRecords[] {
    return this.#waiting.map(({ records }) => records)
  }

  /** Grows whenever batches were appended. */
  get progress(): number {
    return this.#appended
  }

  push({ records, bytes }: Batch): Promise<IndexRange> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, bytes, follows: this.#acknowledgedOne, resolve, reject })
      this.queuedBytes += bytes
      this.#running ??= this.#run()
    })
  }

  /** Resolves when no batch is left. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  /** Appends what is waiting on this thread, without waiting for a sync. Throws if it cannot. */
  appendNow(): void {
    while (this.#waiting.length > 0) {
      const group = this.#nextGroup()
      const answers = this.#appendOnce(group)
      this.#remove(group)
      this.#acknowledge(group, answers).catch(() => {})
    }
  }

  /** The same, waiting on this thread for as long as the cause may pass. */
  appendBlocking(): void {
    let told = false
    while (this.#waiting.length > 0) {
      try {
        this.appendNow()
      } catch (error) {
        if (!isPassing(error)) throw error
        if (!told) this.#hooks.degraded(error)
        told = true
        sleep(BLOCKED_WAIT_MS)
      }
    }
    if (told) this.#hooks.recovered()
  }

  /** Rejects what was not appended. */
  rejectAll(error: LogboomError): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error)
    this.queuedBytes = 0
  }

  async #run(): Promise<void> {
    // Callers that were resolved together call again one after the other: they all belong to the next group.
    await undefined
    await undefined
    while (this.#waiting.length > 0) {
      const group = this.#nextGroup()
      try {
        if (await this.#commitHere(group)) continue
        const answers = await this.#append(group)
        if (answers !== undefined) await this.#acknowledge(group, answers)
      } catch (error) {
        this.#remove(group)
        for (const { reject } of group) reject(error)
      }
    }
    // In the same turn as the last look: a batch that came in between would never be taken up.
    this.#running = undefined
  }

  /**
   * Undefined if the group was appended by somebody else meanwhile. After a failure only the first ones of the group are
   * tried, which is then the group.
   */
  async #append(group: Waiting[]): Promise<Answer[] | undefined> {
    let told = false
    while (this.#waiting[0] === group[0]) {
      const writer = this.#hooks.writer()
      try {
        const answers = this.#appendOnce(group)
        this.#remove(group)
        if (told) this.#hooks.recovered()
        return answers
      } catch (error) {
        if (!isPassing(error)) {
          if (told) this.#hooks.recovered()
          throw error
        }
        if (!told) this.#hooks.degraded(error)
        told = true
        group.splice(this.#mostInGroup)
      }
      await writer.waitToRetry()
    }
    if (told) this.#hooks.recovered()
    return undefined
  }

  #appendOnce(group: Waiting[]): Answer[] {
    try {
      const answers = this.#hooks.writer().append(group.map(({ records }) => records))
      this.#mostInGroup *= 2
      return answers
    } catch (error) {
      this.#mostInGroup = Math.ceil(group.length / 2)
      throw error
    }
  }

  async #acknowledge(group: Waiting[], answers: Answer[]): Promise<void> {
    try {
      await this.#settle()
    } catch (error) {
      for (const { reject } of group) reject(error)
      return
    }
    for (const [i, { resolve, reject }] of group.entries()) {
      const answer = answers[i]
      if (answer instanceof LogboomError) reject(answer)
      else resolve(answer)
    }
    if (group.length === 1) this.#expectNext()
  }

  /** What is pushed in this turn comes from somebody who waited for the last one. */
  #expectNext(): void {
    if (this.#acknowledgedOne) return
    this.#acknowledgedOne = true
    setImmediate(() => {
      this.#acknowledgedOne = false
    })
  }

  /**
   * Writes and syncs on this thread for a caller that has nothing to do but wait, while the disk is fast: one call in place
   * of two, and no way to another thread and back. Batches of others would have been grouped meanwhile; they come in other
   * turns. False if it has to be done the other way.
   */
  async #commitHere(group: Waiting[]): Promise<boolean> {
    if (group.length > 1 || !group[0].follows || this.#carefulGroups > 0) return false
    const startedMs = monotonicMs()
    const range = this.#hooks.commitNow(group[0].records)
    const endedMs = monotonicMs()
    if (range === undefined || endedMs - startedMs > this.#shortSyncMs) this.#carefulGroups = CAREFUL_GROUPS
    if (range === undefined) return false
    this.#remove(group)
    if (endedMs - this.#turnedMs >= TURN_MS) {
      await nextTurn()
      this.#turnedMs = monotonicMs()
    }
    group[0].resolve(range)
    this.#expectNext()
    return true
  }

  async #settle(): Promise<void> {
    const startedMs = monotonicMs()
    const settled = this.#hooks.settle()
    if (settled === undefined) {
      // Callers that await each batch would else never let anybody else have a turn.
      if (++this.#groupsInTurn % GROUPS_PER_TURN === 0) await nextTurn()
      return
    }
    await settled
    if (monotonicMs() - startedMs > this.#shortSyncMs) this.#carefulGroups = CAREFUL_GROUPS
    else this.#carefulGroups--
  }

  #nextGroup(): Waiting[] {
    let bytes = 0
    let count = 0
    const most = Math.min(this.#waiting.length, this.#mostInGroup)
    while (count < most && (count === 0 || bytes < MAX_GROUP_BYTES)) {
      bytes += this.#waiting[count++].bytes
    }
    return this.#waiting.slice(0, count)
  }

  #remove(group: Waiting[]): void {
    if (this.#waiting[0] !== group[0]) return
    this.#waiting.splice(0, group.length)
    this.#appended += group.length
    for (const { bytes } of group) this.queuedBytes -= bytes
  }
}

function isPassing(error: unknown): error is LogboomError {
  return error instanceof LogboomError && error.code === 'ERR_IO'
}

/** Whoever else uses the event loop has its turn, however fast the disk. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
