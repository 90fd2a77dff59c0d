// Text lines in one file that any number of processes and threads share, rotated exactly.
import { resolve } from 'node:path'
import { openQueue } from '../lane/open-queue.ts'
import { LineQueue } from '../queue/line-queue.ts'
import { SharedFileSink } from '../shared-file/shared-file-sink.ts'
import { SharedFileTarget } from '../shared-file/shared-file-target.ts'
import { Account } from '../sink/account.ts'
import { internals } from '../sink/internals.ts'
import { Pump } from '../sink/pump.ts'
import { BackupWays } from './backup-ways.ts'
import { CronPeriods } from './cron-periods.ts'
import { LineRules } from './line-rules.ts'
import {
  type ParsedRotatingFileOptions,
  parseRotatingFileOptions,
  type RotatingFileOptions
} from './options.ts'
import { type Boundaries, Periods } from './period.ts'

/** A timer cannot be set for longer than 24.8 days; looking once a day also notices a changed clock. */
const MAX_TIMER_MS = 86_400_000

export class RotatingFile extends SharedFileSink {
  readonly #rules: LineRules
  readonly #periods: Boundaries | undefined
  readonly #now: () => number
  #periodTimer: NodeJS.Timeout | undefined

  /**
   * Opens the file. Throws `ERR_OPTION`, `ERR_UNSUPPORTED`, `ERR_NOT_FILE`, `ERR_SYMLINK` or `ERR_OWNER`; other
   * failures are retried.
   */
  constructor(input: RotatingFileOptions) {
    const options = parseRotatingFileOptions(input)
    const path = resolve(options.path)
    const { disk, now } = internals()
    const prefix = typeof options.prefix === 'string' ? Buffer.from(options.prefix) : options.prefix
    super()
    const account = new Account(this, path, options.fallback)
    const periods = boundariesOf(options)
    const ways = new BackupWays(disk, path, options)
    this.#rules = new LineRules({
      disk,
      now,
      ways,
      maxBytes: options.maxBytes,
      header: options.header === undefined ? undefined : Buffer.from(options.header),
      periods,
      file: () => target.file,
      rotate: () => target.rotate()
    })
    const retirement = options.fsyncOnRotate ? 'sync' : 'close'
    const target = new SharedFileTarget(disk, now, account, options, retirement, this.#rules)
    const { queue, lane, maxBufferBytes, start } = openQueue({
      ...options,
      account,
      kind: 'rotating-file',
      // Absolute, for whoever writes out what is left, wherever that runs.
      given: input,
      place: { path, ...(options.backupDir === undefined ? {} : { backupDir: ways.folder }) },
      memory: new LineQueue(prefix),
      format: { unit: 'text', prefix },
      rules: { settles: true, keeps: options.durability === 'disk', isStaging: false }
    })
    if (lane !== undefined) target.noteIn(lane)
    const pump = new Pump(account, { ...options, maxBufferBytes }, queue, target)
    this.#now = now
    this.#periods = periods
    this.start(pump, target)
    start(() => pump.writeNow())
    this.#watchPeriod()
  }

  /** Writes `line` (without its newline) at once, past the buffer: ahead of an unfinished line, behind whole ones. */
  writeLine(line: string | Uint8Array): boolean {
    return this.pump.writeWhole(line)
  }

  override close(): Promise<void> {
    clearTimeout(this.#periodTimer)
    return super.close()
  }

  /** @internal */
  override closeNow(): boolean {
    if (!super.closeNow()) return false
    clearTimeout(this.#periodTimer)
    return true
  }

  /** An idle file is rotated when its period ends, too. */
  #watchPeriod(): void {
    if (this.#periods === undefined || this.pump.isClosing) return
    const now = this.#now()
    const delayMs = Math.min(this.#periods.endOf(now) - now + 50, MAX_TIMER_MS)
    this.#periodTimer = setTimeout(() => void this.#rotateIfPeriodIsOver(), delayMs).unref()
  }

  /** Somebody else may have the lock just then, or the folder refuse a new name, and a period may be a day. */
  async #rotateIfPeriodIsOver(): Promise<void> {
    await this.whenFree(() => {
      if (this.#rules.isPeriodOver()) this.target.rotate()
    })
    this.#watchPeriod()
  }
}

function boundariesOf({
  rotateEvery,
  rotateAt,
  timeZone
}: ParsedRotatingFileOptions): Boundaries | undefined {
  if (rotateAt !== undefined) return new CronPeriods(rotateAt, timeZone)
  return rotateEvery === undefined ? undefined : new Periods(rotateEvery, timeZone)
}
