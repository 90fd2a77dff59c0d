// What the sinks share whose file several writers append to: turns under the lock, repair, rotation by rename, and
// the way around failures. A sink says what a record is, where a file ends, and how its backups are called.

import { errorMessage, systemCode } from '../../base/errors.ts'
import { sleep } from '../../base/sleep.ts'
import { type Disk, realDisk } from '../../io/disk.ts'
import type { RecordQueue } from '../queue/byte-queue.ts'
import { BaseSink, type BaseSinkOptions } from '../sink/base-sink.ts'
import type { ControlRequest, RotatedEvent } from '../sink/contract.ts'
import { type Retirement, SharedFile, type SharedFileOptions } from './shared-file.ts'

/** What tests replace: the file system and the clock. */
export interface SharedFileInternals {
  disk?: Disk
  /** Milliseconds since 1970. */
  now?: () => number
}

export interface BackupCandidate {
  readonly path: string
  readonly stamp: number
  readonly number: number
}

/** A turn ends after this, between two records, so that the other writers get theirs. */
const MAX_HOLD_MS = 20
/** The lock knows no queue: who had it long stays away until somebody who polls for it has seen it free. */
const YIELD_MS = 1

export interface SharedFileSinkOptions extends BaseSinkOptions, SharedFileOptions {
  lockTimeout: number
}

export abstract class SharedFileSink extends BaseSink {
  protected readonly _lockTimeoutMs: number
  protected readonly disk: Disk
  protected readonly now: () => number
  protected readonly file: SharedFile
  #heldLong = false

  constructor(
    path: string,
    options: SharedFileSinkOptions,
    queue: RecordQueue,
    retirement: Retirement,
    internals: SharedFileInternals
  ) {
    super(path, options, queue)
    this._lockTimeoutMs = options.lockTimeout
    this.disk = internals.disk ?? realDisk
    this.now = internals.now ?? Date.now
    this.file = new SharedFile(
      this.disk,
      path,
      options,
      options.durability === 'disk' ? 'keep' : retirement,
      {
        wholeRecords: (bytes) => this._wholeRecords(bytes),
        repaired: (file, bytes) => this.repaired(file, bytes),
        failed: (error) => this.warnOf(error)
      },
      this.counters
    )
  }

  /** How many bytes of whole records `bytes` begins with; it begins at the start of a record. */
  protected abstract _wholeRecords(bytes: Uint8Array): number
  protected abstract _countRecords(bytes: Uint8Array, start: number, end: number): number
  /** Called in a turn before a batch and after each rotation in it: makes sure that a record may be appended. */
  protected abstract _prepare(): void
  /** The end of the records from `at` that the file may still take; `at` if it must be rotated first. */
  protected abstract _fitting(records: Buffer, at: number): number
  /** Names for the next backup, the best first. */
  protected abstract _backupNames(): Iterable<BackupCandidate>
  /** Called in a turn after records were appended. */
  protected _appended(): void {}
  /** Called after each rotation. */
  protected _rotated(): void {}

  /** Rotates now. Resolves with what was done, or undefined if the file is empty. */
  async rotate(): Promise<RotatedEvent | undefined> {
    await this.flushLines('os')
    let event: RotatedEvent | undefined
    await this.retryUntil(() =>
      this.turn(0, () => {
        if (this.file.size > 0) event = this.rotateFile()
      })
    )
    return event
  }

  /** Opens the path anew before the next write. */
  reopen(): void {
    this.file.reopen()
  }

  override control(request: ControlRequest): boolean {
    if (request.type === 'rotate') this.rotate().catch((error) => this.warnOf(error))
    else if (request.type === 'reopen') this.reopen()
    else return false
    return true
  }

  protected _open(): void {
    this.turn(0, () => {})
  }

  protected _writeBatch(records: Buffer, waitMs: number): number {
    if (this.#heldLong) sleep(YIELD_MS)
    this.#heldLong = false
    let written = 0
    this.turn(waitMs, () => {
      written = this.#append(records)
    })
    return written
  }

  protected async _sync(): Promise<void> {
    await this.file.sync()
  }

  protected _syncNow(): void {
    this.file.syncNow()
  }

  protected _seal(): void {
    this.turn(this._lockTimeoutMs, () => {
      if (this.file.size > 0) this.rotateFile()
    })
  }

  protected async _close(): Promise<void> {
    await this.file.close()
  }

  /** Runs `work` under the lock; false if somebody else holds it. */
  protected turn(waitMs: number, work: () => void): boolean {
    if (!this.file.enter(waitMs)) return false
    try {
      work()
    } finally {
      this.file.leave()
    }
    return true
  }

  /** Rotates within a turn. */
  protected rotateFile(): RotatedEvent {
    const bytes = this.file.size
    const to = this.file.renameAway(this._backupNames())
    const event = { from: this.path, to, bytes }
    this.counters.rotations++
    this.announce('rotated', event)
    this._rotated()
    this.file.open()
    return event
  }

  protected warnOf(error: unknown): void {
    this.counters.errors++
    this.warn(systemCode(error) ?? 'ERR_IO', `${this.path}: ${errorMessage(error)}`)
  }

  protected repaired(path: string, bytes: number): void {
    this.counters.repairs++
    this.announce('repaired', { path, bytes })
  }

  /** Appends whole records, rotating between them where the limit or the clock demands it. */
  #append(records: Buffer): number {
    const until = Date.now() + MAX_HOLD_MS
    let at = 0
    try {
      while (at < records.length) {
        this._prepare()
        const end = this._fitting(records, at)
        if (end === at) {
          this.rotateFile()
          continue
        }
        const written = this.file.append(records, at, end)
        this.counters.records += this._countRecords(records, at, at + written)
        this.counters.bytes += written
        at += written
        if (at < end) break
        this._appended()
        // Many small files made in one turn: the others are to have theirs.
        this.#heldLong = at < records.length && Date.now() >= until
        if (this.#heldLong) break
      }
    } catch (error) {
      if (at === 0) throw error
    }
    return at
  }
}
