// Text lines in one file that any number of processes and threads share, rotated exactly.
import { basename, dirname, join, resolve } from 'node:path'
import { formatBackupName, groupBackups } from '../../formats/backup-name.ts'
import { upkeepSlot } from '../../formats/lock-file.ts'
import { native } from '../../native/index.ts'
import { LineQueue } from '../queue/line-queue.ts'
import type { Compression } from '../shared-file/compress.ts'
import {
  type BackupCandidate,
  type SharedFileInternals,
  SharedFileSink
} from '../shared-file/shared-file-sink.ts'
import { Upkeep } from '../shared-file/upkeep.ts'
import {
  type ParsedRotatingFileOptions,
  parseRotatingFileOptions,
  type RotatingFileOptions
} from './options.ts'
import { Periods } from './period.ts'

const NEWLINE = 10
const NEWLINE_BYTES = Buffer.from('\n')
/** A timer cannot be set for longer than 24.8 days; looking once a day also notices a changed clock. */
const MAX_TIMER_MS = 86_400_000

export type RotatingFileInternals = SharedFileInternals

export class RotatingFile extends SharedFileSink {
  readonly #options: ParsedRotatingFileOptions
  readonly #folder: string
  readonly #base: string
  readonly #periods: Periods | undefined
  readonly #upkeep: Upkeep
  #periodTimer: NodeJS.Timeout | undefined

  /** Opens the file. Throws `ERR_OPTION`, `ERR_UNSUPPORTED`, `ERR_NOT_FILE` or `ERR_SYMLINK`; other failures are retried. */
  constructor(input: RotatingFileOptions, internals: RotatingFileInternals = {}) {
    const options = parseRotatingFileOptions(input)
    const path = resolve(options.path)
    const prefix = typeof options.prefix === 'string' ? Buffer.from(options.prefix) : options.prefix
    super(path, options, new LineQueue(prefix), options.fsyncOnRotate ? 'sync' : 'close', internals)
    this.#options = options
    this.#folder = dirname(path)
    this.#base = basename(path)
    this.#periods =
      options.rotateEvery === undefined ? undefined : new Periods(options.rotateEvery, options.timeZone)
    this.#upkeep = new Upkeep({
      disk: this.disk,
      now: this.now,
      lock: () => this.file.lock?.tryOther(upkeepSlot),
      failed: (error) => this.warnOf(error),
      folder: this.#folder,
      base: this.#base,
      maxBackups: options.maxBackups,
      maxAgeMs: options.maxAge,
      maxTotalBytes: options.maxTotalBytes,
      compress: options.compress as false | Compression,
      mode: options.mode,
      shared: options.lock
    })
    this.openNow()
    this.#upkeep.start()
    this.#watchPeriod()
  }

  /** Writes `line` (without its newline) at once, past the buffer: ahead of an unfinished line, behind whole ones. */
  writeLine(line: string | Uint8Array): boolean {
    return this.writeWhole(line)
  }

  protected override async _close(): Promise<void> {
    clearTimeout(this.#periodTimer)
    await this.#upkeep.stop()
    await super._close()
  }

  protected _wholeRecords(bytes: Uint8Array): number {
    return bytes.lastIndexOf(NEWLINE) + 1
  }

  protected _countRecords(bytes: Uint8Array, start: number, end: number): number {
    return native.countLines(bytes, start, end)
  }

  protected _prepare(): void {
    if (this.#isPeriodOver()) this.rotateFile()
    this.#finishForeignLine()
  }

  /** The end of the lines from `at` that still fit; `at` if the file must be rotated first. */
  protected _fitting(lines: Buffer, at: number): number {
    const { maxBytes } = this.#options
    const room = maxBytes - this.file.size
    if (maxBytes === 0 || lines.length - at <= room) return lines.length
    const end = room <= 0 ? at : lines.lastIndexOf(NEWLINE, at + room - 1) + 1
    if (end > at) return end
    // Not even one line fits. In an empty file it stands alone, however long.
    return this.file.size > 0 ? at : lines.indexOf(NEWLINE, at) + 1
  }

  /** Another program left the last line without its end: closes it, so that ours does not become part of it. */
  #finishForeignLine(): void {
    const { clean, fd, size } = this.file
    const { maxBytes } = this.#options
    // A file that has no room for the newline is rotated as it is.
    if (clean || size === 0 || (maxBytes > 0 && size >= maxBytes)) return
    const last = Buffer.alloc(1)
    this.disk.read(fd, last, 0, 1, size - 1)
    if (last[0] !== NEWLINE) this.file.append(NEWLINE_BYTES, 0, 1)
  }

  #isPeriodOver(): boolean {
    if (this.#periods === undefined || this.file.size === 0) return false
    return this.file.mtimeMs < this.#periods.startOf(this.now())
  }

  protected override _rotated(): void {
    this.#upkeep.request()
  }

  /** Names for the next backup, always behind all others in order, whatever the clock does. */
  protected *_backupNames(): Generator<BackupCandidate> {
    const newest = this.#knownNewest()
    const now = Math.floor(this.now() / 1000)
    const stamp = Math.max(now, newest.stamp)
    for (let number = stamp === newest.stamp ? newest.number + 1 : 0; ; number++) {
      const path = join(this.#folder, formatBackupName(this.#base, stamp, number))
      const taken = ['gz', 'br', 'zst'].some((suffix) => this.disk.exists(`${path}.${suffix}`))
      if (!taken) yield { path, stamp, number }
    }
  }

  /** The newest backup as noted under the lock; the folder is read only once, when there is no note. */
  #knownNewest(): { stamp: number; number: number } {
    const noted = this.file.newestBackup
    if (noted.stamp > 0) return noted
    const newest = groupBackups(this.#base, this.disk.readdir(this.#folder)).at(-1)
    return newest ?? { stamp: 0, number: -1 }
  }

  /** An idle file is rotated when its period ends, too. */
  #watchPeriod(): void {
    if (this.#periods === undefined) return
    const now = this.now()
    const delay = Math.min(this.#periods.endOf(now) - now + 50, MAX_TIMER_MS)
    this.#periodTimer = setTimeout(() => {
      try {
        this.turn(0, () => {
          if (this.#isPeriodOver()) this.rotateFile()
        })
      } catch (error) {
        this.warnOf(error)
      }
      this.#watchPeriod()
    }, delay)
    this.#periodTimer.unref()
  }
}
