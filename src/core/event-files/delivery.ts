// Gives the records of an event to its file, or drops and counts them: what happens to events whose files cannot be
// opened, cannot be written, or will never be written again.
import { errorMessage, isOutOfDescriptors, LogboomError, systemCode } from '../../base/errors.ts'
import { checkedFor } from '../../base/options.ts'
import { native } from '../../native/index.ts'
import { fileKinds } from '../file-kinds.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import type { Overflow, WarningEvent } from '../sink/contract.ts'
import { type Internals, withInternals } from '../sink/internals.ts'
import type { InternalSink } from '../sink/pumped-sink.ts'
import type { SinkKind } from '../sink/sink-kind.ts'
import { nothingDropped, PermanentError, type SyncLevel } from '../sink/target.ts'
import { ClosedFiles } from './closed-files.ts'
import { EventBuffer } from './event-buffer.ts'
import type { EventFile } from './event-file.ts'
import { OpenFiles } from './open-files.ts'
import type { ParsedEventFilesOptions } from './options.ts'
import { placeOf } from './output-kind.ts'
import { countDropped, type EventEntry, type OutputNews } from './outputs.ts'
import { isObstacle, isWholeDisk, Refusals } from './refusals.ts'

/** Of the memory for records half is the sink's queue, a quarter this buffer; the files share the last one. */
const SHARE = 1 / 4

export interface DeliveryHooks {
  /** The records of an event are with its file, or dropped. */
  passed(entry: EventEntry): void
  /** A file that could not be written can be again, and records wait for it. */
  mayGoOn(): void
}

export class Delivery {
  readonly files: OpenFiles
  readonly buffer: EventBuffer
  /** Events whose files were closed before they were known to be on disk. */
  readonly unsynced: ClosedFiles
  /** Why no file can be written any more. */
  failure: PermanentError | undefined
  readonly #options: ParsedEventFilesOptions
  /** Looked up before there is an event, which then needs no file of the package any more. */
  readonly #kind: SinkKind
  readonly #internals: Internals
  readonly #news: OutputNews
  readonly #hooks: DeliveryHooks
  readonly #refusals = new Refusals()
  /** The policy where memory is full. */
  readonly #overflow: Overflow
  /** What all files together may hold. */
  readonly #filesBytes: number
  /** Tags of events whose files were open before. */
  readonly #opened = new Set<number>()
  /** Files that said they are in trouble, and events whose files cannot be made for now. */
  readonly #troubled = new Set<EventFile | EventEntry>()
  /** When a file last took everything it was given. */
  #tookAllAtMs = 0
  #saidDescriptors = false
  #isClosed = false
  #lost: Dropped = nothingDropped

  constructor(options: ParsedEventFilesOptions, replaced: Internals, news: OutputNews, hooks: DeliveryHooks) {
    this.#options = options
    this.#internals = replaced
    this.#kind = fileKinds[options.output]
    this.#news = news
    this.#hooks = hooks
    this.unsynced = new ClosedFiles(replaced.disk, options.folder)
    // A file that is shared holds a lock file, too, and a sign of life where that is no kernel lock; a write-ahead log its
    // folder's lock, a segment and the one prepared behind it. One descriptor is for the folder, which is synced now and
    // then.
    const { checked } = options
    const perLock = checked.lock === false ? 0 : native.canLock ? 1 : 2
    const descriptors = options.output === 'wal' ? 3 : 1 + perLock + (checked.statistics === true ? 1 : 0)
    this.files = new OpenFiles(
      {
        maxFiles: Math.max(1, Math.floor((options.own.maxOpenFiles - 1) / descriptors)),
        create: (entry) => this.#create(entry),
        closeFailed: ({ entry }, error) => {
          if (!this.#isClosed) this.#warn(entry, error)
        },
        closedUnsynced: ({ entry }) => this.unsynced.add(entry)
      },
      {
        rotated: (event) => news.rotated(event),
        finished: (event) => news.finished(event),
        removed: (event) => news.removed(event),
        repaired: (event) => news.repaired(event),
        warning: ({ code, message, path }) => news.warning(code, message, path),
        degraded: (file, event) => this.#degraded(file, event),
        recovered: (file) => this.#recovered(file),
        dropped: (file, dropped) => this.drop(file.entry, dropped)
      }
    )
    this.#overflow = options.checked.overflow
    this.#filesBytes = Math.max(1, Math.floor(options.maxBufferBytes * SHARE))
    this.buffer = new EventBuffer(this.#filesBytes)
  }

  /** Whether a file has said so, and not yet that it is over. */
  get isInTrouble(): boolean {
    return this.#troubled.size > 0
  }

  /** What was dropped since `end`. */
  get lost(): Dropped {
    return this.#lost
  }

  /** Nothing is told any more; what is dropped from now on is in `lost`. */
  end(): void {
    this.#isClosed = true
  }

  /** Gives the records of an event to its file, or drops them; leaves them where they are if neither is right now. */
  handOver(entry: EventEntry): void {
    const isOpen = this.files.get(entry) !== undefined
    if (!isOpen && (this.files.isFull || this.files.closingOf(entry) !== undefined)) return
    this.handOverAnyway(entry)
  }

  /** Whatever the limit. `isHeld`: see `OpenFiles.shrink`. */
  handOverAnyway(entry: EventEntry, isHeld = false): void {
    const file = this.failure === undefined ? this.open(entry) : undefined
    if (file === undefined) {
      if (this.failure !== undefined || this.#refusals.isFinal(entry)) this.dropWaiting(entry)
      return
    }
    if (this.leftIfDead(file)) return
    if (file.isLagging) {
      file.writeNow()
      if (file.isLagging && !this.#hasRoomFor(file)) return
    }
    file.give(
      this.#options.output === 'rotating-file' ? this.buffer.take(entry) : this.buffer.takeEach(entry)
    )
    this.unsynced.delete(entry)
    this.#hooks.passed(entry)
    file.writeNow(isHeld)
    // Said by event only after the next ones have been opened in vain.
    if (file.isLagging && isOutOfDescriptors(file.failureCode)) {
      this.files.shrink(isHeld)
      if (isHeld) file.tryNow()
    }
    if (file.isLagging) {
      file.count()
      return
    }
    this.#tookAllAtMs = file.usedAtMs
    this.#refusals.delete(entry)
    this.#endTrouble(entry)
  }

  /** The file of an event; undefined if it cannot be had at the moment. */
  open(entry: EventEntry): EventFile | undefined {
    const open = this.files.get(entry)
    if (open === undefined && this.#refusals.mustWait(entry)) return undefined
    try {
      return this.files.open(entry)
    } catch (error) {
      this.#refuse(entry, error)
      return undefined
    }
  }

  async flushFile(file: EventFile, to: SyncLevel): Promise<void> {
    try {
      await file.flush(to)
    } catch (error) {
      if (file.closed === undefined && !this.leftIfDead(file)) throw error
      // Its records are written or counted as dropped when it is closed.
      await this.files.close(file, true)
    }
  }

  dropWaiting(entry: EventEntry): void {
    let bytes = 0
    const lines = this.buffer.takeEach(entry)
    for (const line of lines) bytes += line.length
    this.drop(entry, { lines: lines.length, bytes })
    this.#hooks.passed(entry)
  }

  drop(entry: EventEntry, dropped: Dropped): void {
    if (dropped.lines === 0 && dropped.bytes === 0) return
    countDropped(entry, dropped.lines)
    if (!this.#isClosed) this.#news.dropped(dropped)
    else this.#lost = { lines: this.#lost.lines + dropped.lines, bytes: this.#lost.bytes + dropped.bytes }
  }

  /** Gives up a file whose sink has failed for good; true if it has. */
  leftIfDead(file: EventFile): boolean {
    if (!file.isDead) return false
    const { failure, entry } = file
    if (failure?.code === 'ERR_UNSUPPORTED') this.#fail(failure)
    this.#replace(file, failure?.message ?? `the file of ${entry.path} has failed`)
    return true
  }

  /** What one file cannot have here, such as durability on a file system that cannot sync, none can. */
  #fail({ code, message, path, cause }: LogboomError): void {
    if (this.failure !== undefined) return
    // What is lost from now on is told by `close`.
    this.end()
    const text = message.replace(/ \[ERR_[A-Z_]+\]$/, '')
    this.failure = new PermanentError(code, text, { ...(path !== undefined && { path }), cause })
    this.#news.failed(this.failure)
  }

  #create(entry: EventEntry): InternalSink {
    const { checked, output, folder } = this.#options
    // The folder of an event is ours to make, whatever is said of the folder of all of them.
    const isBelow = output === 'wal' && !checked.mkdir
    if (isBelow && !this.#internals.disk.exists(folder)) {
      throw Object.assign(new Error(`ENOENT: ${folder} does not exist, and 'mkdir' is false`), {
        code: 'ENOENT'
      })
    }
    // Files say what is wrong to us, and the sink of all of them to the world.
    const place = {
      // An event whose file is opened again goes on in it.
      ...(this.#opened.has(entry.tag) ? { rotateOnStart: false, truncateOnStart: false } : {}),
      ...placeOf(output, folder, entry.name),
      fallback: false,
      // That of the sink holds the records of all its files.
      lane: false,
      mkdir: checked.mkdir || isBelow,
      // The bound is kept here, and no file must block or drop for one of its own.
      maxBufferBytes: this.#options.maxBufferBytes
    }
    const replaced = { ...this.#internals, looksForLanes: false }
    const sink: InternalSink = withInternals(replaced, () =>
      this.#kind.create(checkedFor(checked, place) as never)
    )
    this.#opened.add(entry.tag)
    return sink
  }

  /** Whether a file that cannot write now may take the records that wait for it. If not, they may be dropped. */
  #hasRoomFor(file: EventFile): boolean {
    const { entry } = file
    if (this.files.queuedBytes + this.buffer.bytesOf(entry) <= this.#filesBytes) return true
    // One event must not hold up the others: where they can be written, it alone pays. Where none can, or the cause
    // is the disk, all of them wait, and the policy is applied to what comes.
    const isDisk = this.#overflow === 'block' && isWholeDisk(file.failureCode)
    const othersWork = this.#tookAllAtMs > (file.laggingSinceMs ?? 0) && !isDisk
    if (!othersWork) return false
    // The cause may be gone, and only its next attempt not be due yet.
    if (file.failureCode !== undefined) file.tryNow()
    if (!file.isLagging) return true
    const reason = file.trouble?.message ?? 'its lock is held by somebody else'
    this.#news.warning(
      'ERR_OVERFLOW',
      `${entry.path}: records are dropped, as they cannot be written: ${reason}`,
      entry.path
    )
    if (this.#overflow === 'drop-oldest') {
      this.#replaceOldest(file)
      return true
    }
    this.dropWaiting(entry)
    return false
  }

  /** Makes room for what waits for a file: its own oldest records go first, then those that wait for files that hold most. */
  #replaceOldest(file: EventFile): void {
    const waitingBytes = this.buffer.bytesOf(file.entry)
    file.dropOldest(waitingBytes)
    let surplus = this.files.queuedBytes + waitingBytes - this.#filesBytes
    for (const other of [...this.files.list].sort((a, b) => b.queuedBytes - a.queuedBytes)) {
      if (surplus <= 0) break
      const before = other.queuedBytes
      other.dropOldest(surplus)
      surplus -= before - other.queuedBytes
    }
  }

  /** The file of an event cannot be opened. */
  #refuse(entry: EventEntry, error: unknown): void {
    const code = error instanceof LogboomError ? (systemCode(error.cause) ?? error.code) : systemCode(error)
    const isFinal = error instanceof LogboomError || isObstacle(code)
    if (error instanceof LogboomError && error.code === 'ERR_UNSUPPORTED') this.#fail(error)
    const isFirst = this.#refusals.add(entry, isFinal)
    if (isFirst && (isFinal || isOutOfDescriptors(code))) this.#warn(entry, error)
    else if (isFirst) {
      this.#troubled.add(entry)
      this.#news.degraded(code ?? 'ERR_IO', `${entry.path}: ${errorMessage(error)}`, entry.path)
    }
    if (isFinal) this.dropWaiting(entry)
    if (isOutOfDescriptors(code)) this.files.shrink()
  }

  /** Gives up a file that will not write any more; its records count as dropped, and later ones get a new one. */
  #replace(file: EventFile, message: string): void {
    const { entry } = file
    if (this.#refusals.add(entry, true)) this.#news.warning('ERR_LOST', message, entry.path)
    this.dropWaiting(entry)
    void this.files.close(file, true)
  }

  #degraded(file: EventFile, { code, message, path }: WarningEvent): void {
    if (this.#isClosed) return
    if (isOutOfDescriptors(code)) {
      if (!this.#saidDescriptors)
        this.#news.warning('ERR_LIMIT', `fewer event files are kept open: ${message}`, path)
      this.#saidDescriptors = true
      return
    }
    // Something else is in its place and was there before, so waiting would not help.
    if (isObstacle(code) && file.bytesWritten === 0 && this.files.get(file.entry) === file) {
      this.#replace(file, message)
      return
    }
    this.#troubled.add(file)
    this.#news.degraded(code, message, path)
  }

  #recovered(file: EventFile): void {
    this.#refusals.delete(file.entry)
    this.#endTrouble(file)
    if (this.buffer.has(file.entry)) this.#hooks.mayGoOn()
  }

  #endTrouble(of: EventFile | EventEntry): void {
    if (this.#troubled.delete(of) && this.#troubled.size === 0) this.#news.recovered()
  }

  #warn({ path }: EventEntry, error: unknown): void {
    const code = error instanceof LogboomError ? error.code : (systemCode(error) ?? 'ERR_IO')
    this.#news.warning(code, `${path}: ${errorMessage(error)}`, path)
  }
}
