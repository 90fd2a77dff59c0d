// What a writer of a shared log tells those who look at the log: a small record in the statistics file, written at most
// once a second by the thread that writes anyway. Statistics are never a reason for a sink to fail.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { monotonicMs } from '../../base/clock.ts'
import {
  encodeStatistics,
  isStatisticsFile,
  latencyBucket,
  latencyBuckets,
  maxStatisticsSlots,
  statisticsBytes,
  statisticsFileName
} from '../../formats/statistics-file.ts'
import type { Disk } from '../../io/disk.ts'
import { type OpenFile, type OpenOptions, openFile } from '../../io/open-file.ts'
import type { SinkStats } from '../sink/contract.ts'

/** Private like the lock file. */
const MODE = 0o600
const INTERVAL_MS = 1_000
/** A writer that died keeps its record until so many are there, so that it can be seen. */
const FRESH_SLOTS = 64

export interface StatisticsOptions extends OpenOptions {
  readonly maxBytes: number
}

export class Statistics {
  readonly path: string
  readonly #disk: Disk
  readonly #now: () => number
  readonly #options: StatisticsOptions
  readonly #stats: () => SinkStats
  readonly #lastError: () => string
  readonly #bytes = Buffer.alloc(statisticsBytes)
  readonly #syncLatency = new Uint32Array(latencyBuckets)
  readonly #startedAtMs: number
  #lockWaitUs = 0
  #lockWaits = 0
  #file: OpenFile | undefined
  #slot = -1
  #nextAtMs = 0
  #timer: NodeJS.Timeout | undefined
  /** It could not be written, so it is left alone from now on. */
  #isOver = false

  constructor(
    disk: Disk,
    now: () => number,
    logPath: string,
    options: StatisticsOptions,
    source: { readonly stats: () => SinkStats; readonly lastError: () => string }
  ) {
    this.path = join(dirname(logPath), statisticsFileName(basename(logPath)))
    this.#disk = disk
    this.#now = now
    this.#options = { ...options, mode: MODE }
    this.#stats = source.stats
    this.#lastError = source.lastError
    this.#startedAtMs = now()
  }

  waited(ms: number): void {
    this.#lockWaits++
    this.#lockWaitUs += Math.round(ms * 1000)
  }

  synced(ms: number): void {
    this.#syncLatency[latencyBucket(Math.round(ms * 1000))]++
  }

  /** Something has changed; it is written now or within a second. */
  changed(): void {
    if (this.#isOver || this.#timer !== undefined) return
    const leftMs = this.#nextAtMs - monotonicMs()
    if (leftMs <= 0) this.#write()
    else {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        this.#write()
      }, leftMs).unref()
    }
  }

  /** Writes the last numbers and gives the record free. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#file !== undefined) this.#write('closed')
    this.#end()
  }

  #write(state?: 'closed'): void {
    if (this.#isOver) return
    this.#nextAtMs = monotonicMs() + INTERVAL_MS
    try {
      this.#file ??= this.#open()
      const { pid } = process
      encodeStatistics(
        {
          ...this.#stats(),
          ...(state === undefined ? undefined : { state }),
          pid,
          threadId,
          startedAtMs: Math.max(0, this.#startedAtMs),
          updatedAtMs: Math.max(0, this.#now()),
          maxBytes: this.#options.maxBytes,
          lockWaitUs: this.#lockWaitUs,
          lockWaits: this.#lockWaits,
          syncLatency: this.#syncLatency,
          lastError: this.#lastError()
        },
        this.#bytes
      )
      const written = this.#disk.write(
        this.#file.fd,
        this.#bytes,
        0,
        statisticsBytes,
        this.#slot * statisticsBytes
      )
      if (written !== statisticsBytes) this.#end()
    } catch {
      this.#end()
    }
  }

  #end(): void {
    this.#isOver = true
    this.#file?.release()
    this.#file = undefined
  }

  #open(): OpenFile {
    const file = openFile(this.#disk, this.path, constants.O_RDWR, this.#options)
    try {
      const { size, nlink } = this.#disk.fstat(file.fd)
      const head = Buffer.alloc(8)
      const length = this.#disk.read(file.fd, head, 0, head.length, 0)
      if (nlink > 1 || !isStatisticsFile(head.subarray(0, length)))
        throw new Error(`${this.path} is not ours`)
      this.#slot = this.#takeSlot(file.fd, Math.ceil(size / statisticsBytes))
      return file
    } catch (error) {
      file.release()
      throw error
    }
  }

  /** A record whose lock is free belongs to nobody any more. */
  #takeSlot(fd: number, used: number): number {
    const fresh = used < FRESH_SLOTS ? used : 0
    for (let turn = 0; turn < maxStatisticsSlots; turn++) {
      const slot = (fresh + turn) % maxStatisticsSlots
      if (this.#disk.lock(fd, slot, 0)) return slot
    }
    throw new Error(`${this.path} has no room for one more writer`)
  }
}
