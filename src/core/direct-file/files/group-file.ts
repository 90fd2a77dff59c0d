// Many direct files for one flusher: each record begins with the number of its file. A flush sorts the records
// by file in memory; at most so many files are open at a time. What is wrong with one file concerns that file alone.

import { monotonicMs } from '../../../base/clock.ts'
import { errorMessage, isOutOfDescriptors, LogboomError, systemCode } from '../../../base/errors.ts'
import type { Disk } from '../../../io/disk.ts'
import { NotSyncableError } from '../../sink/target.ts'
import type { FlushAccount } from './flush-account.ts'
import type { FlushJournal } from './flush-journal.ts'
import type { FlushItem, FlushTarget, FrameFileOptions, TargetNews } from './flush-target.ts'
import { isLarge } from './flush-target.ts'
import { FlushWriter } from './flush-writer.ts'
import { FrameFile } from './frame-file.ts'
import { HeldRecords } from './held-records.ts'
import { type TaggedPart, TagSorter } from './tag-sorter.ts'

/** Not a matter of one file: every other one has, or will have, the same. */
const EVERYBODYS = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM'])

export interface GroupOptions extends FrameFileOptions {
  readonly maxOpenFiles: number
  readonly idleCloseMs: number
  /** Bound of what is held for files that cannot be written. */
  readonly maxHeldBytes: number
}

interface Member {
  readonly file: FrameFile
  readonly path: string
  usedAtMs: number
  /** A refusal was reported and nothing was written since. */
  isRefused: boolean
}

/** A list that was sorted, as far as it is not settled yet. */
interface Round {
  parts: TaggedPart[]
  readonly count: number
}

export class GroupFile implements FlushTarget {
  readonly #disk: Disk
  readonly #options: GroupOptions
  readonly #news: TargetNews
  readonly #memberNews: TargetNews
  readonly #account: FlushAccount
  readonly #writer: FlushWriter
  readonly #journal: FlushJournal
  readonly #isRestart: boolean
  readonly #sorter = new TagSorter()
  readonly #held: HeldRecords
  readonly #paths = new Map<number, string>()
  /** Numbers are below this. */
  #tags = 0
  readonly #members = new Map<number, Member>()
  /** Those that are open, in the order of their last use. */
  readonly #open = new Map<number, Member>()
  #maxOpenFiles: number
  #round: Round | undefined
  #heldFailure: FlushTarget['heldFailure']

  constructor(
    disk: Disk,
    options: GroupOptions,
    news: TargetNews,
    account: FlushAccount,
    journal: FlushJournal,
    isRestart = false
  ) {
    this.#disk = disk
    this.#options = options
    this.#news = news
    // An item of the list is given back by the group, when all files have their part of the list.
    this.#memberNews = { ...news, released: () => {} }
    this.#account = account
    this.#writer = new FlushWriter(disk, account, journal.writerId)
    this.#journal = journal
    this.#isRestart = isRestart
    this.#held = new HeldRecords(options.maxHeldBytes)
    this.#maxOpenFiles = options.maxOpenFiles
  }

  get holds(): boolean {
    return !this.#held.isEmpty
  }

  get heldFailure(): FlushTarget['heldFailure'] {
    return this.#heldFailure
  }

  get hasDropped(): boolean {
    for (const { file } of this.#members.values()) if (file.hasDropped) return true
    return false
  }

  /** Drops are counted for each file, by `countDroppedOf`. */
  countDropped(): void {}

  /** Files are opened by their first record. */
  open(): void {}

  /** Makes `path` the file of number `tag`. */
  add(tag: number, path: string): void {
    this.#paths.set(tag, path)
    this.#tags = Math.max(this.#tags, tag + 1)
  }

  countDroppedOf(tag: number, records: number): void {
    this.#member(tag)?.file.countDropped(records)
  }

  /** Opens a file before its first record; what is wrong with it is reported. */
  openOf(tag: number): void {
    const member = this.#member(tag)
    if (member === undefined) return
    const error = this.#attempt(tag, member, () => member.file.open())
    if (error !== undefined) this.#warn(member, error)
  }

  /** Whether records of this file wait for what is wrong with it to pass. */
  holdsOf(tag: number): boolean {
    return this.#held.of(tag) !== undefined
  }

  /** Records of this file that are off the shared memory and neither written nor given up. */
  waitingOf(tag: number): number {
    const parts = this.#round?.parts.filter((part) => part.tag === tag) ?? []
    return recordsOf([...(this.#held.of(tag) ?? []), ...parts.flatMap(({ items }) => items)])
  }

  /** A number that grows with what is done for the records of this file. */
  settledOf(tag: number): number {
    return this.#journal.file(tag).settled
  }

  /** Gives those that wait up, and says how many they are. */
  giveUpOf(tag: number): number {
    const member = this.#member(tag)
    const records = this.waitingOf(tag)
    if (member === undefined || records === 0) return 0
    this.#lose(tag, member, this.#held.of(tag)?.splice(0) ?? [])
    this.#held.settle(tag)
    const parts = this.#round?.parts ?? []
    for (const part of parts) if (part.tag === tag) this.#lose(tag, member, part.items)
    if (this.#round !== undefined) this.#round.parts = parts.filter((part) => part.tag !== tag)
    this.#updateHeldFailure()
    return records
  }

  closeOf(tag: number): void {
    const member = this.#open.get(tag)
    if (member !== undefined) this.#close(tag, member)
  }

  write(items: FlushItem[]): void {
    while (items.length > 0) {
      this.#round ??= { parts: this.#sorter.sort(items, this.#tags), count: items.length }
      this.#writeRound(this.#round)
      for (const item of items.splice(0, this.#round.count)) if (isLarge(item)) this.#news.released(item)
      this.#round = undefined
    }
  }

  writeHeld(): void {
    for (const tag of this.#held.tags()) {
      const member = this.#member(tag)!
      const error = this.#writeHeldOf(tag, member)
      if (error !== undefined) this.#keep({ tag, items: [] }, member, error)
    }
    this.#updateHeldFailure()
  }

  /** Closes files that nothing was written to for a while. */
  closeIdle(): void {
    const before = monotonicMs() - this.#options.idleCloseMs
    // Descriptors may have become free since there were none.
    this.#maxOpenFiles = Math.min(this.#maxOpenFiles + 1, this.#options.maxOpenFiles)
    for (const [tag, member] of this.#open) {
      if (member.usedAtMs >= before) return
      this.#close(tag, member)
    }
  }

  /** Rotates every file that can be; one that cannot keeps the others from nothing. */
  rotate(): void {
    for (const [tag, member] of this.#members) {
      const error = this.#attempt(tag, member, () => member.file.rotate())
      if (error !== undefined) this.#warn(member, error)
    }
  }

  close(): void {
    for (const [tag, member] of this.#members) {
      // Seals what was dropped since the last record, where it can be: it is counted in any case.
      if (member.file.hasDropped) this.#attempt(tag, member, () => member.file.write([]))
      if (this.#open.has(tag)) this.#close(tag, member)
    }
  }

  /** Throws if parts are left that neither were written nor can be held; what could be done is done. */
  #writeRound(round: Round): void {
    const left: TaggedPart[] = []
    let failure: unknown
    for (const part of round.parts) {
      const { tag, items } = part
      const member = this.#member(tag)
      if (member === undefined) {
        this.#news.lost(recordsOf(items), tag)
        continue
      }
      const error =
        this.#writeHeldOf(tag, member) ?? this.#attempt(tag, member, () => member.file.write(items))
      if (error === undefined || this.#keep(part, member, error)) continue
      left.push(part)
      failure = error
    }
    round.parts = left
    this.#updateHeldFailure()
    if (left.length > 0) throw failure
  }

  /** What waits for a file goes before what is new for it. */
  #writeHeldOf(tag: number, member: Member): unknown {
    const held = this.#held.of(tag)
    if (held === undefined) return undefined
    const error = this.#attempt(tag, member, () => member.file.write(held, false))
    this.#held.settle(tag)
    return error
  }

  /** Answers for a part that could not be written; false if it has to stay with the flusher. */
  #keep({ tag, items }: TaggedPart, member: Member, error: unknown): boolean {
    // What one file cannot have here, none can.
    if (error instanceof NotSyncableError) throw error
    if (isRefusal(error)) {
      const held = this.#held.of(tag) ?? []
      this.#lose(tag, member, held.splice(0))
      this.#held.settle(tag)
      this.#lose(tag, member, items)
      if (!member.isRefused) this.#warn(member, error)
      member.isRefused = true
      return true
    }
    this.#heldFailure = { path: member.path, error }
    if (this.#held.add(tag, items)) return true
    if (EVERYBODYS.has(systemCode(error) ?? '')) return false
    this.#lose(tag, member, items)
    return true
  }

  #lose(tag: number, member: Member, items: readonly FlushItem[]): void {
    const records = recordsOf(items)
    if (records === 0) return
    this.#journal.file(tag).countLost(records)
    member.file.countDropped(records)
    this.#news.lost(records, tag)
  }

  #updateHeldFailure(): void {
    this.#account.holds(this.#held.bytes, this.#held.records)
    if (this.#held.isEmpty) this.#heldFailure = undefined
  }

  #warn({ path }: Member, error: unknown): void {
    const code = error instanceof LogboomError ? error.code : (systemCode(error) ?? 'ERR_IO')
    this.#news.warning(code, `${path}: ${errorMessage(error)}`, path)
  }

  /** Does `work` with a file that may be opened for it; returns what went wrong. */
  #attempt(tag: number, member: Member, work: () => void): unknown {
    try {
      this.#use(tag, member)
      work()
    } catch (error) {
      if (!isOutOfDescriptors(systemCode(error)) || this.#open.size < 2) return error
      // Fewer files have to do.
      this.#maxOpenFiles = Math.max(1, this.#open.size >> 1)
      while (this.#open.size > this.#maxOpenFiles) this.#closeOldest()
      try {
        work()
      } catch (again) {
        return again
      }
    }
    member.isRefused = false
    return undefined
  }

  #member(tag: number): Member | undefined {
    const found = this.#members.get(tag)
    const path = this.#paths.get(tag)
    if (found !== undefined || path === undefined) return found
    const member = {
      file: new FrameFile(
        this.#disk,
        path,
        this.#options,
        this.#memberNews,
        this.#account,
        this.#writer,
        this.#journal.file(tag),
        this.#isRestart
      ),
      path,
      usedAtMs: 0,
      isRefused: false
    }
    this.#members.set(tag, member)
    return member
  }

  /** Makes a file the one used last; closes others so that it may be open. */
  #use(tag: number, member: Member): void {
    member.usedAtMs = monotonicMs()
    if (!this.#open.delete(tag)) {
      while (this.#open.size >= this.#maxOpenFiles) this.#closeOldest()
    }
    this.#open.set(tag, member)
  }

  #closeOldest(): void {
    const [oldest] = this.#open
    if (oldest !== undefined) this.#close(...oldest)
  }

  #close(tag: number, member: Member): void {
    this.#open.delete(tag)
    try {
      member.file.close()
    } catch {
      // The descriptor is gone whatever was said, and what is reserved behind the end is all that can be wrong.
    }
  }
}

/** What will not pass by itself, and costs the file its records. */
function isRefusal(error: unknown): boolean {
  return error instanceof LogboomError && error.code !== 'ERR_SYNC' && error.code !== 'ERR_IO'
}

function recordsOf(items: readonly FlushItem[]): number {
  return items.reduce((sum, { records }) => sum + (records ?? 0), 0)
}
