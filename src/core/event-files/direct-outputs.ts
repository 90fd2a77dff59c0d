// Direct files of many events: one shared memory and one flusher thread for all of them.
import { join } from 'node:path'
import { realDisk } from '../../io/disk.ts'
import type { FlusherMessage } from '../direct-file/flusher.ts'
import { FlusherLink } from '../direct-file/flusher-link.ts'
import { CHANGE_FIELDS } from '../direct-file/group-file.ts'
import { instancePath, parseDirectFileOptions } from '../direct-file/options.ts'
import { PathLock } from '../direct-file/path-lock.ts'
import { acceptedRecords, type FlushMetrics, flushMetrics, sinkStats } from '../direct-file/statistics.ts'
import { DirectWriter } from '../direct-file/writer.ts'
import type { Dropped } from '../queue/byte-queue.ts'
import { createCounters, type SinkStats } from '../sink/contract.ts'
import { nothingDropped, type SyncLevel } from '../sink/target.ts'
import type { ParsedEventFilesOptions } from './options.ts'
import type { EventEntry, OutputNews, Outputs, OutputTotals } from './outputs.ts'

/** Sorting takes as much memory again as a set, so the default is smaller than that of a single file. */
const BUFFER_SIZE = '8m'

const NOTHING: SinkStats = { ...createCounters(), queuedBytes: 0, state: 'open' }

export class DirectOutputs implements Outputs {
  readonly #flusher: FlusherLink
  readonly #writer: DirectWriter
  readonly #lock: PathLock | undefined
  readonly #entries: EventEntry[] = []
  /** Drops of each event that the flusher knows. */
  readonly #reported = new Map<EventEntry, number>()
  readonly #instance: string
  readonly #news: OutputNews

  constructor(options: ParsedEventFilesOptions, news: OutputNews) {
    const file = parseDirectFileOptions({ bufferSize: BUFFER_SIZE, ...options.child, path: options.path })
    this.#instance = file.instance
    this.#news = news
    // One lock for the folder: a file may be opened by the flusher at any time.
    this.#lock =
      file.instance === 'exclusive'
        ? new PathLock(realDisk, join(options.folder, 'event-files'), file)
        : undefined
    try {
      this.#flusher = new FlusherLink(
        {
          shape: file.shape,
          path: options.folder,
          overflow: file.overflow,
          maxLargeBytes: file.maxBufferBytes
        },
        {
          ...file,
          // Each file has a write of its own in every flush; syncing them all is for those who ask for it.
          sync: options.checked.durability === 'disk',
          flushIntervalMs: file.flushInterval,
          flushTimeoutMs: file.flushTimeout,
          // One descriptor is that of the lock.
          group: { maxOpenFiles: options.own.maxOpenFiles - 1, idleCloseMs: options.own.idleClose }
        },
        (message) => this.#hear(message)
      )
    } catch (error) {
      this.#lock?.close()
      throw error
    }
    this.#writer = new DirectWriter(this.#flusher.memory)
  }

  add(entry: EventEntry, data: Uint8Array, start: number, end: number): boolean {
    this.#introduce(entry)
    return this.#writer.tryLogTagged(entry.tag, data, start, end)
  }

  waitForRoom(): void {
    this.#writer.waitForFlush()
  }

  open(entry: EventEntry): void {
    this.#introduce(entry)
    this.#flusher.request({ type: 'open', tag: entry.tag })
    this.#flusher.memory.wake()
  }

  async closeFile(entry: EventEntry): Promise<void> {
    if (this.#entries[entry.tag] === undefined) return
    this.#flusher.request({ type: 'close', tag: entry.tag })
    await this.flush('os')
  }

  async flush(_to: SyncLevel): Promise<void> {
    this.#reportDrops()
    await this.#flusher.flush()
  }

  flushNow(_to: SyncLevel, waitMs: number): void {
    this.#reportDrops()
    this.#flusher.flushNow(waitMs)
  }

  pending(): { bytes: number; progress: number } {
    const { bytes, queuedBytes } = sinkStats(this.#flusher.memory, NOTHING)
    return { bytes: queuedBytes, progress: bytes }
  }

  async close(): Promise<Dropped> {
    this.#reportDrops()
    this.#writer.close()
    const { queuedBytes } = sinkStats(this.#flusher.memory, NOTHING)
    await this.#flusher.close()
    this.#lock?.close()
    const lost = acceptedRecords(this.#flusher.memory) - sinkStats(this.#flusher.memory, NOTHING).records
    return lost > 0 ? { lines: lost, bytes: queuedBytes } : nothingDropped
  }

  totals(): OutputTotals {
    const { writes, syncs, rotations, repairs, errors } = sinkStats(this.#flusher.memory, NOTHING)
    return { writes, syncs, rotations, repairs, errors }
  }

  // The flusher tells after each flush.
  update(): void {}

  get metrics(): FlushMetrics {
    return flushMetrics(this.#flusher.memory)
  }

  #introduce(entry: EventEntry): void {
    if (this.#entries[entry.tag] !== undefined) return
    this.#entries[entry.tag] = entry
    this.#flusher.request({ type: 'add', tag: entry.tag, path: instancePath(entry.path, this.#instance) })
  }

  #hear(message: FlusherMessage): void {
    if (message.type === 'files') this.#update(message)
    else if (message.type === 'warning') this.#news.warning(message.code, message.message, message.path)
    else if (message.type === 'recovered') this.#news.recovered()
    else if (message.type === 'rotated') {
      this.#news.rotated({ from: message.from, to: message.to, bytes: message.bytes })
    } else if (message.type === 'degraded') {
      this.#news.degraded(message.code, message.message, message.path)
    }
  }

  #reportDrops(): void {
    for (const entry of this.#entries) {
      if (entry === undefined) continue
      const count = entry.dropped - (this.#reported.get(entry) ?? 0)
      if (count === 0) continue
      this.#reported.set(entry, entry.dropped)
      this.#flusher.request({ type: 'dropped', tag: entry.tag, count })
    }
  }

  #update({ changes }: Extract<FlusherMessage, { type: 'files' }>): void {
    for (let at = 0; at < changes.length; at += CHANGE_FIELDS) {
      const entry = this.#entries[changes[at]]
      if (entry === undefined) continue
      entry.written.records = changes[at + 1]
      entry.written.bytes = changes[at + 2]
      entry.written.rotations = changes[at + 3]
    }
  }
}
