// Routes records by the name of their event to one file per event.
import { join } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import type { FlushMetrics } from '../direct-file/statistics.ts'
import { BaseSink } from '../sink/base-sink.ts'
import type { Durability, SinkEvents, SinkStats } from '../sink/contract.ts'
import { DirectOutputs } from './direct-outputs.ts'
import { eventFileStem } from './event-name.ts'
import { LineEvents } from './line-events.ts'
import { type EventFilesOptions, type ParsedEventFilesOptions, parseEventFilesOptions } from './options.ts'
import { extensionOf, type OutputKind } from './output-kind.ts'
import type { EventEntry } from './outputs.ts'
import { SinkOutputs } from './sink-outputs.ts'

/** How long a commit blocks its thread. */
const COMMIT_WAIT_MS = 50
const EXIT_TIMEOUT_MS = 8_000
const CROWDED_BYTES = 4 * 1024 * 1024
/** The base allows a batch more time than this when its caller is to be blocked. */
const SHORT_WAIT_MS = 10
/** Spellings of names in lines that are remembered; names have few. */
const MAX_SPELLINGS_PER_EVENT = 4

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

export class LoggerManager extends BaseSink {
  protected readonly _lockTimeoutMs = Number.POSITIVE_INFINITY
  readonly #options: ParsedEventFilesOptions
  readonly #outputs: DirectOutputs | SinkOutputs
  readonly #lines: LineEvents
  readonly #entries = new Map<string, EventEntry>()
  /** What names and spellings in lines have been seen lead to. */
  readonly #byName = new Map<string, EventEntry>()
  readonly #bySpelling = new Map<string, EventEntry>()
  readonly #default: EventEntry
  readonly #acknowledges: boolean
  readonly #level: Durability
  #commits = 0
  #warnedOfEvents = false
  #ended = false

  /** Throws `ERR_OPTION` for the options of this sink and of its files, `ERR_LOCKED` for direct files in use. */
  constructor(input: EventFilesOptions, defaultOutput: OutputKind = 'direct-file') {
    const options = parseEventFilesOptions(input, defaultOutput)
    const { durability, maxBufferBytes } = options.checked
    super(options.folder, {
      ...options.checked,
      durability: 'none',
      flushInterval: 0,
      // The other half is for what was routed and is not yet written.
      maxBufferBytes: Math.max(1, Math.floor(maxBufferBytes / 2))
    })
    this.#options = options
    this.#level = durability === 'none' ? 'os' : durability
    this.#acknowledges = durability !== 'none' && options.overflow === 'block'
    this.#lines = new LineEvents(options.own.eventKey)
    this.#outputs =
      options.output === 'direct-file'
        ? new DirectOutputs(
            options,
            (message) => {
              if (message.type === 'warning') this.warn(message.code, message.message, message.path)
              else if (message.type === 'recovered') this.announce('recovered')
              else if (message.type === 'rotated') {
                this.counters.rotations++
                this.announce('rotated', { from: message.from, to: message.to, bytes: message.bytes })
              } else if (message.type === 'degraded') {
                this.notice(message.message)
                this.announce('degraded', {
                  code: message.code,
                  message: message.message,
                  path: message.path
                })
              }
            },
            (records) =>
              this.warn('ERR_LOST', `closed with ${records} records not written to ${options.folder}`)
          )
        : new SinkOutputs(options, {
            event: (name, ...args) => this.announce(name as 'rotated', ...(args as SinkEvents['rotated'])),
            failed: (entry, error) =>
              this.warn(systemCode(error) ?? 'ERR_IO', `${entry.path}: ${errorMessage(error)}`, entry.path),
            dropped: (entry, bytes) => {
              entry.accepted--
              entry.dropped++
              this.countDropped(1, bytes)
            }
          })
    this.#default = this.#entryOf(options.own.defaultEvent)
    this.openNow()
  }

  /**
   * Logs `message` to the file of `event`; false if it was dropped. An empty message is ignored. Throws
   * `ERR_EVENT_NAME` for an empty name, `ERR_CLOSED`.
   */
  logWithEvent(event: string, message: string): boolean {
    return this.logBytesWithEvent(event, Buffer.from(message))
  }

  /** The same for bytes. */
  logBytesWithEvent(event: string, data: Uint8Array): boolean {
    this.#checkOpen()
    const entry = this.#entryOf(event)
    if (data.length === 0) return true
    while (!this.#outputs.add(entry, data, 0, data.length)) {
      if (this.#options.overflow !== 'block') {
        entry.dropped++
        this.countDropped(1, data.length)
        return false
      }
      this.#outputs.waitForRoom()
    }
    entry.isActive = true
    entry.accepted++
    return true
  }

  /** Opens the file of `event` before its first record. */
  initializeEventLogger(event: string): void {
    this.#checkOpen()
    const entry = this.#entryOf(event)
    entry.isActive = true
    this.#outputs.open(entry)
  }

  /** Writes what waits for `event` and closes its file; the next record opens it again. */
  async closeEventLogger(event: string): Promise<void> {
    const entry = this.#byName.get(event) ?? this.#entries.get(this.#stemOf(event))
    if (entry === undefined) return
    await super.flushLines('os')
    entry.isActive = false
    await this.#outputs.close(entry)
  }

  hasEventLogger(event: string): boolean {
    return this.#entries.get(this.#stemOf(event))?.isActive === true
  }

  /** The names of all events in use, as in the names of their files. */
  listEventLoggers(): string[] {
    return [...this.#entries.values()].filter(({ isActive }) => isActive).map(({ name }) => name)
  }

  /** The counters of every event that was used. */
  getStatsSnapshot(): Record<string, EventStats> {
    const used = [...this.#entries.values()].filter(isUsed)
    return Object.fromEntries(used.map((entry) => [entry.name, this.#statsOf(entry)]))
  }

  /** Throws `ERR_NO_EVENT` if nothing was logged to `event` and it was not initialised. */
  getEventStats(event: string): EventStats {
    const entry = this.#entries.get(this.#stemOf(event))
    if (entry === undefined || !isUsed(entry)) {
      throw new LogboomError('ERR_NO_EVENT', `there is no event ${JSON.stringify(event)}`, {
        path: this.path
      })
    }
    return this.#statsOf(entry)
  }

  /** How writing goes, over all events. */
  getAggregatedFlushMetrics(): FlushMetrics {
    return { ...this.#outputs.metrics }
  }

  override commit(chunk: string | Uint8Array): boolean {
    this.write(chunk)
    if (!this.#acknowledges && !this.#isCrowded()) return true
    const commit = ++this.#commits
    if (this.#outputs instanceof DirectOutputs && this.writeLinesNow()) {
      try {
        this.#outputs.flushNow(this.#level, COMMIT_WAIT_MS)
        return true
      } catch {
        // The disk is slow or failing, and this thread must not be blocked for long.
      }
    }
    const settle = (): void => {
      if (commit === this.#commits) this.announce('drain')
    }
    this.flushLines().then(settle, settle)
    return false
  }

  /** Whether a caller that waits for 'drain' should, so that this thread gets to writing. */
  #isCrowded(): boolean {
    if (this.#options.overflow !== 'block') return false
    return this.#outputs.isCrowded || this.queuedBytes >= CROWDED_BYTES
  }

  override async flushLines(to: Durability = this.#level): Promise<void> {
    if (to === 'none') return
    await super.flushLines('os')
    if (!this.#ended) await this.#outputs.flush(to)
  }

  override flushSync(to: Durability = this.#level): void {
    if (to === 'none') return
    super.flushSync('os')
    this.#outputs.flushNow(to, EXIT_TIMEOUT_MS)
  }

  override exitNow(): void {
    super.exitNow()
    if (this.#ended) return
    try {
      this.#outputs.flushNow(this.#level, EXIT_TIMEOUT_MS)
    } catch (error) {
      this.warn('ERR_LOST', `${this.path}: not everything could be written at exit: ${errorMessage(error)}`)
    }
  }

  override stats(): SinkStats {
    const base = super.stats()
    const totals = this.#outputs.totals()
    let records = 0
    let bytes = 0
    for (const entry of this.#entries.values()) {
      const { recordsWritten, bytesWritten } = this.#statsOf(entry)
      records += recordsWritten
      bytes += bytesWritten
    }
    return {
      ...base,
      ...totals,
      records,
      bytes,
      dropped: base.dropped + totals.dropped,
      errors: base.errors + totals.errors,
      queuedBytes: base.queuedBytes + totals.queuedBytes,
      state: base.state === 'open' ? totals.state : base.state
    }
  }

  protected _open(): void {}

  protected _writeBatch(lines: Buffer, waitMs: number): number {
    const outputs = this.#outputs
    let at = 0
    while (at < lines.length) {
      const count = this.#lines.scan(lines, at, lines.length)
      for (let index = 0; index < count; index++) {
        const end = this.#lines.endOf(index)
        if (end - at > 1) {
          const entry = this.#entryOfLine(lines, at, index)
          while (!outputs.add(entry, lines, at, end - 1)) {
            if (at > 0 || waitMs < SHORT_WAIT_MS) return at
            outputs.waitForRoom()
          }
          entry.isActive = true
          entry.accepted++
        }
        at = end
      }
    }
    return at
  }

  // Not called, as the base's durability is 'none'.
  protected async _sync(): Promise<void> {}
  protected _syncNow(): void {}
  protected _seal(): void {}

  protected async _close(): Promise<void> {
    await this.#outputs.end()
    this.#ended = true
  }

  #entryOfLine(lines: Buffer, start: number, index: number): EventEntry {
    const spelling = this.#lines.spellingOf(lines, start, index)
    if (spelling === undefined || spelling === '') return this.#default
    const known = this.#bySpelling.get(spelling)
    if (known !== undefined) return known
    const name = this.#lines.decode(spelling)
    const entry = name === '' ? this.#default : this.#entryOf(name)
    if (this.#bySpelling.size >= this.#options.own.maxEvents * MAX_SPELLINGS_PER_EVENT)
      this.#bySpelling.clear()
    this.#bySpelling.set(spelling, entry)
    return entry
  }

  #entryOf(event: string): EventEntry {
    const known = this.#byName.get(event)
    if (known !== undefined) return known
    const stem = this.#stemOf(event)
    const entry = this.#entries.get(stem) ?? this.#newEntry(stem)
    if (this.#byName.size >= this.#options.own.maxEvents * MAX_SPELLINGS_PER_EVENT) this.#byName.clear()
    this.#byName.set(event, entry)
    return entry
  }

  #newEntry(name: string): EventEntry {
    // The default event does not count: it must always be there.
    if (this.#entries.size > this.#options.own.maxEvents) {
      if (!this.#warnedOfEvents) {
        this.#warnedOfEvents = true
        const { maxEvents, defaultEvent } = this.#options.own
        this.warn('ERR_LIMIT', `more than ${maxEvents} events; further ones go to '${defaultEvent}'`)
      }
      return this.#default
    }
    const entry: EventEntry = {
      name,
      path: join(this.#options.folder, `${name}${extensionOf(this.#options.output)}`),
      tag: this.#entries.size,
      isActive: false,
      accepted: 0,
      dropped: 0,
      written: { records: 0, bytes: 0, rotations: 0 }
    }
    this.#entries.set(name, entry)
    return entry
  }

  #stemOf(event: unknown): string {
    const stem = typeof event === 'string' ? eventFileStem(event, this.#options.output) : undefined
    if (stem !== undefined) return stem
    throw new LogboomError('ERR_EVENT_NAME', `an event name must be a text that is not empty`, {
      path: this.path
    })
  }

  #statsOf(entry: EventEntry): EventStats {
    if (this.#outputs instanceof SinkOutputs) this.#outputs.update(entry)
    return {
      totalLogs: entry.accepted + entry.dropped,
      droppedLogs: entry.dropped,
      recordsWritten: entry.written.records,
      bytesWritten: entry.written.bytes,
      rotations: entry.written.rotations
    }
  }

  #checkOpen(): void {
    if (this.isClosing || this.isClosed) {
      throw new LogboomError('ERR_CLOSED', `the sink of ${this.path} is closed`, { path: this.path })
    }
  }
}

function isUsed({ isActive, accepted, dropped }: EventEntry): boolean {
  return isActive || accepted + dropped > 0
}
