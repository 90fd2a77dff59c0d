// Routes records by the name of their event to one file per event.
import { resolve } from 'node:path'
import { requireData } from '../../base/bytes.ts'
import { LogboomError } from '../../base/errors.ts'
import { requireThreads } from '../../base/threads.ts'
import type { FlushMetrics } from '../direct-file/statistics.ts'
import { openQueue } from '../lane/open-queue.ts'
import { LineQueue } from '../queue/line-queue.ts'
import { FrameQueue } from '../queue/payload-queue.ts'
import { Account } from '../sink/account.ts'
import { writeAtExit } from '../sink/at-exit.ts'
import type { SinkStats } from '../sink/contract.ts'
import { internals } from '../sink/internals.ts'
import { Pump } from '../sink/pump.ts'
import { PumpedSink } from '../sink/pumped-sink.ts'
import { failureOf } from '../sink/trouble.ts'
import { DirectOutputs } from './direct-outputs.ts'
import { EventTable } from './event-table.ts'
import { EventTarget } from './event-target.ts'
import { FileOutputs } from './file-outputs.ts'
import { type EventFilesOptions, type ParsedEventFilesOptions, parseEventFilesOptions } from './options.ts'
import type { EventEntry, OutputNews, Outputs } from './outputs.ts'

/** Counters of one event. */
export interface EventStats {
  /** Records offered, dropped ones included. */
  totalLogs: number
  droppedLogs: number
  /** Records and bytes in its files, as of the last flush. */
  recordsWritten: number
  bytesWritten: number
  rotations: number
}

export class EventFiles extends PumpedSink {
  readonly #options: ParsedEventFilesOptions
  readonly #account: Account
  readonly #events: EventTable
  readonly #outputs: Outputs

  /** Throws `ERR_OPTION` for the options of this sink and of its files, `ERR_LOCKED` for direct files in use. */
  constructor(input: EventFilesOptions) {
    const options = parseEventFilesOptions(input, 'direct-file')
    if (options.output === 'direct-file') requireThreads('event-files', options.folder)
    super()
    const { durability, maxBufferBytes, overflow, fallback, backupDir } = options.checked
    // Absolute, for whoever writes out what is left, wherever that runs.
    const backups = backupDir === undefined ? {} : { backupDir: resolve(backupDir) }
    const account = new Account(this, options.folder, fallback)
    this.#options = options
    this.#account = account
    this.#events = new EventTable(options, (message) => account.warn('ERR_LIMIT', message))
    // Of a transport that hands over whole records each is one, whatever line ends it holds.
    const isFramed = internals().lane?.unit === 'record'
    const { queue, start, ...bound } = openQueue({
      account,
      kind: 'event-files',
      given: input,
      place: { path: undefined, dir: options.folder, output: options.output, ...backups },
      lane: options.checked.lane,
      // The other half of the memory is for what was routed and is not yet written.
      maxBufferBytes: Math.max(1, Math.floor(maxBufferBytes / 2)),
      memory: isFramed ? new FrameQueue('lines') : new LineQueue(),
      format: { unit: isFramed ? 'line' : 'text' },
      rules: { settles: false, keeps: true, isStaging: true }
    })
    try {
      this.#outputs = this.#createOutputs()
    } catch (error) {
      queue.close?.()
      throw error
    }
    const pump = new Pump(
      account,
      { durability, flushInterval: 0, maxBufferBytes: bound.maxBufferBytes, overflow },
      queue,
      new EventTarget(options, this.#events, this.#outputs, (line) => account.isDropNotice(line), isFramed)
    )
    this.attach(pump)
    pump.open()
    this.#outputs.start?.()
    start(() => pump.writeNow())
  }

  /**
   * Logs a record, text or bytes, to the file of `event`; false if it was dropped. An empty one is ignored. Throws
   * `ERR_EVENT_NAME` for an empty name, `ERR_ARGUMENT` for data of another type, `ERR_CLOSED`.
   */
  log(event: string, data: string | Uint8Array): boolean {
    return this.logData(event, requireData('log', data))
  }

  /** Opens the file of `event` before its first record. Throws `ERR_EVENT_NAME`, `ERR_CLOSED`. */
  open(event: string): void {
    this.#refuseClosed()
    const entry = this.#events.entryOf(event)
    entry.isActive = true
    this.#outputs.open(entry)
  }

  /**
   * With a name: writes what waits for that event and closes its file; the next record opens it again. Rejects
   * `ERR_LOST` where that is not possible for eight seconds, and counts what was lost; `ERR_IO` if records are left in
   * memory, behind those of other direct files that cannot be written either. Without: closes all of them for good, see
   * `Sink.close`.
   */
  override async close(event?: string): Promise<void> {
    if (event === undefined) return super.close()
    const entry = this.#events.find(event)
    if (entry === undefined || this.pump.isClosing) return
    this.pump.writeNow()
    entry.isActive = false
    await this.#outputs.closeFile(entry)
  }

  /** The names of all events in use, as in the names of their files. */
  events(): string[] {
    return [...this.#events.all()].filter(({ isActive }) => isActive).map(({ name }) => name)
  }

  /** The totals of all events, as every sink has them. */
  override stats(): SinkStats
  /** The counters of one event. Throws `ERR_NO_EVENT` if nothing was logged to it and it was not opened. */
  override stats(event: string): EventStats
  override stats(event?: string): SinkStats | EventStats {
    if (event !== undefined) return this.#statsOf(event)
    const totals = this.#outputs.totals()
    const stats = super.stats()
    for (const name of ['writes', 'syncs', 'rotations', 'repairs', 'errors'] as const)
      stats[name] += totals[name]
    for (const entry of this.#events.all()) {
      this.#outputs.update(entry)
      stats.records += entry.written.records
      stats.bytes += entry.written.bytes
    }
    return stats
  }

  /**
   * `log`, when it is known that it is data.
   * @internal
   */
  protected logData(event: string, data: string | Uint8Array): boolean {
    this.#refuseClosed()
    const entry = this.#events.entryOf(event)
    if (data.length === 0) return true
    this.pump.writeBefore()
    return this.#add(entry, typeof data === 'string' ? Buffer.from(data) : data)
  }

  /** Whether `event` is in use. */
  protected isActive(event: string): boolean {
    return this.#events.find(event)?.isActive === true
  }

  /** How writing goes, over all events. */
  protected get metrics(): FlushMetrics {
    return { ...this.#outputs.metrics }
  }

  /** Records offered to all events. */
  protected get offered(): number {
    let records = 0
    for (const entry of this.#events.all()) records += offeredTo(entry)
    return records
  }

  #add(entry: EventEntry, data: Uint8Array): boolean {
    if (this.pump.giveUp({ lines: 1, bytes: data.length })) {
      entry.dropped++
      return false
    }
    const { overflow } = this.#options.checked
    const isTaken = (): boolean => this.#outputs.add(entry, data, 0, data.length)
    if (overflow === 'block') while (!isTaken()) this.#outputs.waitForRoom()
    else if (!isTaken()) {
      if (overflow === 'drop-oldest') this.#outputs.dropOldest?.(data.length)
      if (overflow === 'drop-newest' || !isTaken()) {
        entry.dropped++
        this.#account.drop({ lines: 1, bytes: data.length })
        return false
      }
    }
    entry.isActive = true
    entry.accepted++
    writeAtExit(this.pump)
    return true
  }

  #statsOf(event: string): EventStats {
    const entry = this.#events.find(event)
    if (entry === undefined || !isUsed(entry)) {
      const { folder } = this.#options
      throw new LogboomError('ERR_NO_EVENT', `there is no event ${JSON.stringify(event)}`, { path: folder })
    }
    this.#outputs.update(entry)
    const { dropped, written } = entry
    return {
      totalLogs: offeredTo(entry),
      droppedLogs: dropped,
      recordsWritten: written.records,
      bytesWritten: written.bytes,
      rotations: written.rotations
    }
  }

  #createOutputs(): Outputs {
    const account = this.#account
    const news: OutputNews = {
      rotated: (event) => account.announce('rotated', event),
      finished: (event) => account.announce('finished', event),
      removed: (event) => account.announce('removed', event),
      repaired: (event) => account.announce('repaired', event),
      warning: (code, message, path) => account.warn(code, message, path),
      notice: (message) => account.notice(message, true),
      degraded: (code, message, path) => {
        this.pump.targetFailed(failureOf(code, message, path))
      },
      recovered: () => this.pump.targetRecovered(),
      failed: (error) => this.pump.failForGood(error),
      dropped: (dropped) => account.drop(dropped)
    }
    return this.#options.output === 'direct-file'
      ? new DirectOutputs(this.#options, news)
      : new FileOutputs(this.#options, news)
  }

  #refuseClosed(): void {
    if (!this.pump.isClosing) return
    const { folder } = this.#options
    throw new LogboomError('ERR_CLOSED', `the sink of ${folder} is closed`, { path: folder })
  }
}

function offeredTo({ accepted, dropped, notices }: EventEntry): number {
  return accepted + dropped - notices
}

function isUsed({ isActive, accepted, dropped }: EventEntry): boolean {
  return isActive || accepted + dropped > 0
}
