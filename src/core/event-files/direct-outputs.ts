// Direct files of many events: one shared memory and one flusher thread for all of them.
import { createHash } from 'node:crypto'
import { basename, dirname, extname, join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { BACKUP_SUFFIX_BYTES, MAX_NAME_BYTES } from '../../base/file-name.ts'
import { fileTotals } from '../direct-file/files/flush-journal.ts'
import type { FlusherRequest } from '../direct-file/flusher/flusher-protocol.ts'
import { instancePath, parseDirectFileOptions } from '../direct-file/options.ts'
import { Staging } from '../direct-file/staging.ts'
import { type FlushMetrics, flusherStats, flushMetrics } from '../direct-file/statistics.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import { internals } from '../sink/internals.ts'
import { warnOfOtherMachines } from '../sink/other-machines.ts'
import type { SyncLevel } from '../sink/target.ts'
import type { ParsedEventFilesOptions } from './options.ts'
import { countDropped, type EventEntry, type OutputNews, type Outputs, type OutputTotals } from './outputs.ts'

/** Sorting takes as much memory again as a set, so the default is smaller than that of a single file. */
const BUFFER_SIZE = '8m'
/** The part of `maxBufferBytes` that may be held for files that cannot be written. */
const HELD_SHARE = 1 / 4

export class DirectOutputs implements Outputs {
  readonly #staging: Staging
  readonly #entries: EventEntry[] = []
  /** Drops of each event that the flusher knows. */
  readonly #reported: number[] = []
  /** Records of each event that the flusher has given up, as far as they are counted. */
  readonly #lost: number[] = []
  readonly #instance: string

  constructor(options: ParsedEventFilesOptions, news: OutputNews) {
    const warn = (code: string, message: string): void => news.warning(code as never, message, options.folder)
    warnOfOtherMachines({ warn }, options.folder)
    const file = parseDirectFileOptions({ bufferSize: BUFFER_SIZE, ...options.child, path: options.path })
    this.#instance = file.instance
    this.#staging = new Staging(
      {
        file,
        path: options.folder,
        // One lock for the folder: a file may be opened by the flusher at any time. Names of a process keep other
        // threads of it from nothing.
        lockPath: instancePath(join(options.folder, 'event-files'), file.instance),
        flusher: {
          // Each file has a write of its own in every flush; syncing them all is for those who ask for it.
          sync: options.checked.durability === 'disk',
          mustSync: options.checked.durability === 'disk',
          group: {
            // One descriptor is that of the lock.
            maxOpenFiles: options.own.maxOpenFiles - 1,
            idleCloseMs: options.own.idleClose,
            // The default event is not counted.
            maxFiles: options.own.maxEvents + 2,
            maxHeldBytes: Math.floor(file.maxBufferBytes * HELD_SHARE),
            stallMs: internals().stallMs
          }
        }
      },
      {
        rotated: (event) => news.rotated(event),
        finished: (event) => news.finished(event),
        removed: (event) => news.removed(event),
        warning: (code, message, path) => news.warning(code, message, path),
        degraded: (code, message, path) => news.degraded(code, message, path),
        recovered: () => news.recovered(),
        failed: (error) => {
          this.#dropRest()
          news.failed(error)
        },
        lost: (dropped) => news.dropped(dropped),
        notice: (message) => news.notice(message)
      },
      () => this.#known()
    )
  }

  start(): void {
    this.#staging.start()
  }

  add(entry: EventEntry, data: Uint8Array, start: number, end: number): boolean {
    this.#introduce(entry)
    return this.#staging.writer.tryLogTagged(entry.tag, data, start, end)
  }

  waitForRoom(): void {
    const { failure } = this.#staging
    if (failure !== undefined) throw failure
    this.#staging.writer.waitForFlush()
  }

  open(entry: EventEntry): void {
    this.#introduce(entry)
    this.#staging.link.request({ type: 'open', tag: entry.tag })
    this.#staging.link.memory.wake()
  }

  async closeFile(entry: EventEntry): Promise<void> {
    if (this.#entries[entry.tag] === undefined) return
    this.#reportDrops()
    const { lost, isWaiting } = await this.#staging.closeFile(entry.tag)
    this.update(entry)
    if (lost === 0 && !isWaiting) return
    const path = this.#pathOf(entry)
    const rest = entry.accepted - entry.written.records
    if (lost > 0) {
      throw new LogboomError('ERR_LOST', `closed with ${lost} records not written to ${path}`, { path })
    }
    if (rest > 0) {
      const message = `${rest} records for ${path} could not be written by now, and wait in memory`
      throw new LogboomError('ERR_IO', message, { path })
    }
  }

  async flush(_to: SyncLevel): Promise<void> {
    this.#reportDrops()
    await this.#staging.flush()
  }

  flushNow(_to: SyncLevel, waitMs: number): void {
    this.#reportDrops()
    this.#staging.flushNow(waitMs)
  }

  pending(): { bytes: number; progress: number } {
    return this.#staging.pending()
  }

  abandon(): Dropped {
    const dropped = this.#staging.abandon()
    this.#dropRest()
    return dropped
  }

  async close(): Promise<Dropped> {
    this.#reportDrops()
    const dropped = await this.#staging.close()
    this.#dropRest()
    return dropped
  }

  totals(): OutputTotals {
    this.#staging.tellLost()
    const { writes, syncs, rotations, errors } = flusherStats(this.#staging.link.memory)
    return { writes, syncs, rotations, repairs: 0, errors }
  }

  /** Nothing is written any more: what is not in a file is lost. */
  #dropRest(): void {
    for (const entry of this.#entries) {
      if (entry === undefined) continue
      this.update(entry)
      const rest = entry.accepted - entry.written.records
      if (rest > 0) countDropped(entry, rest)
    }
  }

  update(entry: EventEntry): void {
    if (this.#entries[entry.tag] === undefined) return
    const { lost, ...written } = fileTotals(this.#staging.link.journal, entry.tag)
    Object.assign(entry.written, written)
    const news = lost - this.#lost[entry.tag]
    if (news === 0) return
    this.#lost[entry.tag] = lost
    // The flusher has told the file's seal.
    this.#reported[entry.tag] += news
    countDropped(entry, news)
  }

  get metrics(): FlushMetrics {
    return flushMetrics(this.#staging.link.memory)
  }

  #introduce(entry: EventEntry): void {
    if (this.#entries[entry.tag] !== undefined) return
    this.#entries[entry.tag] = entry
    this.#reported[entry.tag] = 0
    this.#lost[entry.tag] = 0
    const path = this.#pathOf(entry)
    this.#staging.link.request({ type: 'add', tag: entry.tag, path })
    this.#staging.upkeep.begin(path)
  }

  /** With the names of host and process in it, a long name has to be cut so that its backups can have names. */
  #pathOf({ path }: EventEntry): string {
    const own = instancePath(path, this.#instance)
    const bytes = Buffer.byteLength(basename(own))
    const tooMany = bytes - (MAX_NAME_BYTES - BACKUP_SUFFIX_BYTES)
    if (tooMany <= 0) return own
    const hash = createHash('sha256').update(basename(path)).digest('hex').slice(0, 8)
    const extension = extname(path)
    const stem = Buffer.from(basename(path, extension))
    // Cut as Latin-1 would be between bytes; what is no whole character any more becomes '_'.
    const kept = stem.subarray(0, Math.max(0, stem.length - tooMany - hash.length - 3)).toString()
    return instancePath(
      join(dirname(path), `${kept.replaceAll('\uFFFD', '_')}-${hash}${extension}`),
      this.#instance
    )
  }

  /** What a new thread of the flusher has to know. */
  #known(): FlusherRequest[] {
    return this.#entries.flatMap((entry) =>
      entry === undefined ? [] : [{ type: 'add' as const, tag: entry.tag, path: this.#pathOf(entry) }]
    )
  }

  #reportDrops(): void {
    for (const entry of this.#entries) {
      if (entry === undefined) continue
      this.update(entry)
      const count = entry.dropped - this.#reported[entry.tag]
      if (count === 0) continue
      this.#reported[entry.tag] = entry.dropped
      this.#staging.link.request({ type: 'dropped', tag: entry.tag, count })
    }
  }
}
