// One worker of a spool: a pre-allocated buffer, and the temp file that the buffer goes to. The buffer mirrors the
// end of the file, so a write that failed, was short or was overtaken is simply done again at the same place.

import { errorMessage } from '../../base/errors.ts'
import { writeUtf8 } from '../../formats/utf8.ts'
import { failpoint } from '../../io/failpoint.ts'
import { fdatasync, run, runNow, type Steps, writeAll } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import { isAt } from './is-at.ts'
import type { SpoolNote } from './note.ts'
import {
  type Content,
  removeTemp,
  type SpoolFolders,
  syncFolder,
  TempFile,
  type TempFileName,
  TempSyncError,
  targetPath,
  tempPath
} from './temp-file.ts'

/** A record that overflows `size` by less than this needs no call of its own. */
const SLACK_BYTES = 64 * 1024
/** A file whose publication in the background has not begun after this time, or twice that, is published here. */
const ASIDE_PATIENCE_MS = 100
/** Texts are collected up to this length and encoded together: a call for each costs as much as 200 bytes of it. */
const COLLECTED_UNITS = 8 * 1024
/** UTF-8 takes at most so many bytes for each UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3

export interface WorkerMark {
  readonly complete: number
  readonly records: number
  readonly crc: number
}

/** A file that is published in the background. */
interface Aside {
  readonly from: string
  readonly to: string
  readonly publication: number
  resolve(isPublished: boolean): void
}

/** What a worker needs of its spool. */
export interface WorkerHost {
  readonly folders: SpoolFolders
  readonly prefix: string
  /** Bytes at which a file is published. */
  readonly size: number
  /** The note, present as long as there is a temp file; undefined where the platform has no locks. */
  note(): SpoolNote | undefined
  /** Names temp files where there are no notes. */
  readonly instance: string
  /** Temp files are on another file system. */
  readonly isCopying: boolean
  /** The number of the next temp file. */
  nextNumber(): number
  published(from: string, to: string, content: Content): void
  lost(records: number, bytes: number, reason: string): void
  /** A published file could not be made durable. */
  unsynced(path: string, error: unknown): void
}

export class SpoolWorker {
  readonly index: number
  /** Files published so far. */
  publications = 0
  readonly #host: WorkerHost
  readonly #buffer: Buffer
  // All of these are offsets in the file: #base ≤ #written ≤ … ; #complete ≤ #fill; #buffer holds [#base, #fill).
  #base = 0
  #written = 0
  /** End of the last complete record. */
  #complete = 0
  #fill = 0
  /** Texts of records to come at #fill, not yet encoded: so few that they cannot make the file full. */
  #collected = ''
  #records = 0
  /** CRC-32C of the file up to #crcEnd. */
  #crc = 0
  #crcEnd = 0
  /** The same of a record in pieces, up to #fill. */
  #newCrc = 0
  /** Up to here the note speaks for the file. */
  #noted = 0
  #durable = 0
  #temp: TempFile | undefined
  /** The file holds bytes of a record that was given up. */
  #hasRest = false
  #instance: SpoolNote | undefined
  /** The temp file cannot be trusted or found any more: its content has to go to a new one. */
  #renew = false
  /** Counts the takeovers by `publishNow`, which end asynchronous runs. */
  #epoch = 0
  #running = 0
  /** Left by `publishNow` while a call on them may still be running. */
  #toClose: TempFile[] = []
  #aside: Aside | undefined
  #patience: NodeJS.Timeout | undefined

  constructor(index: number, host: WorkerHost) {
    this.index = index
    this.#host = host
    this.#buffer = Buffer.allocUnsafeSlow(host.size + SLACK_BYTES)
  }

  /** Bytes of complete records that are not published. */
  get pendingBytes(): number {
    this.#encodeCollected()
    return this.#complete
  }

  get pendingRecords(): number {
    return this.#records
  }

  /** Whether it has to be published; what is collected cannot make it full. */
  get isFull(): boolean {
    return this.#complete >= this.#host.size
  }

  /** Whether the note speaks for every pending record, so that they outlive the process. */
  get isNoted(): boolean {
    this.#encodeCollected()
    return this.#noted === this.#complete
  }

  /** Takes a record into the buffer. False if it has no room: take it in pieces. */
  put(record: string | Uint8Array): boolean {
    const isTaken = typeof record === 'string' ? this.#putText(record) : this.#putBytes(record)
    if (isTaken) this.#records++
    return isTaken
  }

  /** Begins a record that comes in pieces. Nothing of it counts until `endRecord`. */
  beginRecord(): void {
    this.#encodeCollected()
    this.#advanceCrc()
    this.#newCrc = this.#crc
  }

  /** Copies what has room of `piece` from `at` on; returns how many bytes. At 0 the buffer must be spilled. */
  append(piece: Uint8Array, at: number): number {
    const start = this.#fill - this.#base
    const length = Math.min(piece.length - at, this.#buffer.length - start)
    this.#buffer.set(length === piece.length ? piece : piece.subarray(at, at + length), start)
    this.#newCrc = native.crc32c(this.#buffer, this.#newCrc, start, start + length)
    this.#fill += length
    return length
  }

  /** Writes the full buffer out to make room for the rest of a long record. */
  *spill(): Steps<void> {
    yield* this.#writeOut(this.#fill)
    this.#base = this.#fill
  }

  endRecord(records = 1): void {
    this.#complete = this.#crcEnd = this.#fill
    this.#crc = this.#newCrc
    this.#records += records
  }

  /** Forgets the bytes behind the last complete record. The file is cut when it is published. */
  rollBack(): void {
    if (this.#base > this.#complete) this.#base = this.#complete
    this.#fill = this.#complete
    this.#hasRest ||= this.#temp !== undefined
    this.#written = Math.min(this.#written, this.#complete)
  }

  /** What `returnTo` needs to forget everything put after this call. */
  mark(): WorkerMark {
    this.#encodeCollected()
    this.#advanceCrc()
    return { complete: this.#complete, records: this.#records, crc: this.#crc }
  }

  returnTo(mark: WorkerMark): void {
    this.#complete = this.#crcEnd = mark.complete
    this.#records = mark.records
    this.#crc = mark.crc
    this.rollBack()
  }

  /** Changes whenever `publishNow` or `abandon` ends what was under way. */
  get epoch(): number {
    return this.#epoch
  }

  /** Hands the pending records to the kernel (`durable`: to the disk) without publishing them. */
  *stage(durable: boolean): Steps<void> {
    this.#encodeCollected()
    this.#advanceCrc()
    const done = durable ? this.#durable : this.#noted
    if (done === this.#complete && !this.#renew) return
    const temp = yield* this.#settle()
    if (!durable || temp === undefined || this.#instance === undefined) return
    const { complete, fresh } = { complete: this.#complete, fresh: this.#durable === 0 }
    yield* this.#syncing(temp)
    this.#host.folders.counters.syncs++
    yield* fdatasync(this.#instance.fd)
    if (fresh) yield* syncFolder(this.#host.folders, this.#host.folders.temp)
    this.#durable = complete
  }

  /**
   * Publishes the pending records in the background, as one piece of work; for what never left the buffer, so that no
   * note has to speak for it. False if that is not possible or failed, and it may reject: then `publish` has to, and says
   * why.
   */
  async publishAside(): Promise<boolean> {
    const { folders } = this.#host
    this.#encodeCollected()
    const isWhole = this.#temp === undefined && this.#base === 0 && this.#complete > 0
    if (!isWhole || folders.durable || this.#host.isCopying) return false
    const name = this.#nextName()
    const from = tempPath(folders, name)
    const to = targetPath(folders, name.base)
    const { disk, permission } = folders
    return new Promise((resolve) => {
      const done = (isPublished: boolean): void => {
        if (this.#aside === aside) this.#endAside(aside, isPublished)
      }
      const publication = disk.publishFile(from, to, permission, this.#buffer, this.#complete, done)
      if (publication === undefined) {
        resolve(false)
        return
      }
      const aside = { from, to, publication, resolve }
      this.#aside = aside
      this.#patience ??= this.#watchAside()
    })
  }

  /** Ends what `publishAside` began: at once if it has not begun, and if it has, only with `wait`. */
  settleAside(wait: boolean): void {
    const aside = this.#aside
    if (aside === undefined) return
    const isPublished = this.#host.folders.disk.settlePublication(aside.publication, wait)
    if (isPublished !== undefined) this.#endAside(aside, isPublished)
  }

  /** Publishes the pending records. To be repeated after a failure. */
  *publish(): Steps<void> {
    const { folders } = this.#host
    this.#encodeCollected()
    this.#advanceCrc()
    const temp = this.#complete === 0 ? undefined : yield* this.#settle()
    if (temp === undefined) {
      this.#discard()
      return
    }
    const content = this.#content()
    const from = temp.path
    let to: string
    try {
      to = yield* temp.publish(folders, this.#instance, content, this.#hasRest)
    } catch (error) {
      if (error instanceof TempSyncError || !isAt(folders.disk, temp.fd, temp.path)) this.#renew = true
      throw error
    }
    this.#close(temp)
    this.#published(from, to)
    failpoint('spool-published')
    if (!folders.durable) return
    try {
      yield* syncFolder(folders, folders.target)
    } catch (error) {
      // The file has its name, so there is nothing to repeat; but nobody may be told that it is durable.
      this.#host.unsynced(to, error)
    }
  }

  /** Runs `steps` of this worker without blocking the thread. */
  async run(steps: Steps<void>): Promise<void> {
    const epoch = this.#epoch
    this.#running++
    try {
      await run(this.#host.folders.disk, steps, () => epoch === this.#epoch)
    } finally {
      if (--this.#running === 0) {
        for (const temp of this.#toClose.splice(0)) temp.close(this.#host.folders.disk)
      }
    }
  }

  /** Publishes the complete records at once, overtaking whatever is under way. */
  publishNow(): void {
    this.#epoch++
    this.settleAside(true)
    // A write may still be under way, of an unfinished record or from a buffer that the next records go to: it must not
    // reach a published file.
    this.#renew ||= this.#running > 0 && this.#temp !== undefined
    if (this.#fill > this.#complete) this.rollBack()
    runNow(this.#host.folders.disk, this.publish())
  }

  /** Gives up: what is not published stays in the temp file as far as it came. */
  abandon(): void {
    this.#epoch++
    clearTimeout(this.#patience)
    this.#aside?.resolve(false)
    this.#aside = undefined
    if (this.#temp !== undefined) this.#close(this.#temp)
    this.#temp = undefined
  }

  get hasTemp(): boolean {
    return this.#temp !== undefined || this.#aside !== undefined
  }

  #putText(text: string): boolean {
    const collected = this.#collected.length + text.length
    if (this.#complete + collected * MAX_BYTES_PER_UNIT < this.#host.size) {
      // Two halves of a pair of surrogates in two records are no character.
      if (isLowSurrogate(text.charCodeAt(0))) this.#encodeCollected()
      this.#collected += text
      if (this.#collected.length >= COLLECTED_UNITS) this.#encodeCollected()
      return true
    }
    this.#encodeCollected()
    const room = this.#room
    if (text.length * MAX_BYTES_PER_UNIT > room && Buffer.byteLength(text) > room) return false
    this.#encode(text)
    return true
  }

  #putBytes(bytes: Uint8Array): boolean {
    this.#encodeCollected()
    if (bytes.length > this.#room) return false
    this.#buffer.set(bytes, this.#fill - this.#base)
    this.#complete = this.#fill += bytes.length
    return true
  }

  get #room(): number {
    return this.#buffer.length - (this.#fill - this.#base)
  }

  #encodeCollected(): void {
    if (this.#collected.length === 0) return
    this.#encode(this.#collected)
    this.#collected = ''
  }

  #encode(text: string): void {
    this.#complete = this.#fill += writeUtf8(this.#buffer, text, this.#fill - this.#base)
  }

  // The thread may be held up by the file of another spool, on a disk that hangs. No timer for each file: that would cost
  // as much as a twentieth of its records.
  #watchAside(): NodeJS.Timeout {
    const before = this.#aside
    const timer = setTimeout(() => {
      if (this.#aside === before) this.settleAside(false)
      this.#patience = this.#aside === undefined ? undefined : this.#watchAside()
    }, ASIDE_PATIENCE_MS)
    return timer.unref()
  }

  #endAside(aside: Aside, isPublished: boolean): void {
    this.#aside = undefined
    this.#host.folders.counters.writes++
    if (isPublished) this.#published(aside.from, aside.to)
    aside.resolve(isPublished)
  }

  #published(from: string, to: string): void {
    const content = this.#content()
    this.#reset()
    this.publications++
    this.#host.published(from, to, content)
  }

  *#writeOut(end: number): Steps<TempFile> {
    this.#temp ??= yield* TempFile.create(this.#host.folders, this.#nextName())
    const temp = this.#temp
    if (this.#written < end) {
      this.#host.folders.counters.writes++
      yield* writeAll(temp.fd, this.#buffer, this.#written - this.#base, end - this.#base, this.#written)
      this.#written = end
    }
    return temp
  }

  /** Names the next temp file. Whoever finds it without its spool knows by the note what it is. */
  #nextName(): TempFileName {
    this.#instance = this.#host.note()
    return {
      base: `${this.#host.prefix}${this.index}`,
      worker: this.index,
      number: this.#host.nextNumber(),
      instance: this.#instance?.instance ?? this.#host.instance,
      pid: process.pid
    }
  }

  /** All complete records in the file, and the note speaking for them. Undefined if they are lost. */
  *#settle(): Steps<TempFile | undefined> {
    if (this.#renew) yield* this.#copyToNew()
    if (this.#complete === 0) return undefined
    const temp = yield* this.#writeOut(this.#complete)
    failpoint('spool-written')
    if (this.#noted !== this.#complete) this.#saveNote(temp)
    failpoint('spool-noted')
    return temp
  }

  #saveNote(temp: TempFile): void {
    this.#instance?.save(this.index, { ...this.#content(), place: temp.place, file: temp.number })
    this.#noted = this.#complete
  }

  // After a failed sync the pages of the old file are marked clean though the disk may not have them, so the
  // buffer is used where it still has everything; else the checksum tells whether the old file reads back right.
  *#copyToNew(): Steps<void> {
    const { folders } = this.#host
    const old = this.#temp as TempFile
    if (this.#base > 0) yield* this.#writeOut(this.#complete)
    const content = this.#content()
    const fresh = yield* TempFile.create(folders, this.#nextName())
    let intact = true
    try {
      if (this.#base === 0) yield* writeAll(fresh.fd, this.#buffer, 0, content.end, 0)
      else intact = yield* old.copyTo(fresh.fd, folders, content)
      if (intact) this.#saveNote(fresh)
      else this.#host.lost(content.records, content.end, `${old.path} does not read back as written`)
    } catch (error) {
      this.#dropTemp(fresh)
      throw error
    }
    this.#dropTemp(old)
    this.#temp = fresh
    this.#written = content.end
    this.#durable = 0
    this.#renew = this.#hasRest = false
    if (!intact) this.#discard()
  }

  *#syncing(temp: TempFile): Steps<void> {
    this.#host.folders.counters.syncs++
    try {
      yield* fdatasync(temp.fd)
    } catch (error) {
      this.#renew = true
      throw new TempSyncError(`sync of ${temp.path} failed: ${errorMessage(error)}`, { cause: error })
    }
  }

  #content(): Content {
    return { end: this.#complete, records: this.#records, crc: this.#crc }
  }

  #advanceCrc(): void {
    if (this.#crcEnd === this.#complete) return
    this.#crc = native.crc32c(this.#buffer, this.#crc, this.#crcEnd - this.#base, this.#complete - this.#base)
    this.#crcEnd = this.#complete
  }

  #discard(): void {
    if (this.#temp !== undefined) this.#dropTemp(this.#temp)
    this.#reset()
  }

  #dropTemp(temp: TempFile): void {
    const { disk } = this.#host.folders
    if (isAt(disk, temp.fd, temp.path)) removeTemp(disk, temp.path)
    this.#close(temp)
  }

  #close(temp: TempFile): void {
    if (this.#running > 0 && this.#epoch > 0) this.#toClose.push(temp)
    else temp.close(this.#host.folders.disk)
  }

  #reset(): void {
    this.#temp = undefined
    this.#base = this.#written = this.#complete = this.#fill = 0
    this.#records = this.#crc = this.#crcEnd = this.#noted = this.#durable = 0
    this.#renew = this.#hasRest = false
  }
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff
}
