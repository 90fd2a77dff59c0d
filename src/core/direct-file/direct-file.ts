// Records from any thread of this process to one file, through double-buffered shared memory and O_DIRECT.
import { constants } from 'node:fs'
import { dirname } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { requireThreads } from '../../base/threads.ts'
import type { Disk } from '../../io/disk.ts'
import type { ModeWarning } from '../../io/file-mode.ts'
import { openFile } from '../../io/open-file.ts'
import { openQueue } from '../lane/open-queue.ts'
import { LineQueue } from '../queue/line-queue.ts'
import { FrameQueue } from '../queue/payload-queue.ts'
import { Account } from '../sink/account.ts'
import { writeAtExit } from '../sink/at-exit.ts'
import type { ControlRequest, SinkStats } from '../sink/contract.ts'
import { internals } from '../sink/internals.ts'
import { warnOfOtherMachines } from '../sink/other-machines.ts'
import { Pump } from '../sink/pump.ts'
import { PumpedSink } from '../sink/pumped-sink.ts'
import { failureOf } from '../sink/trouble.ts'
import { DirectTarget } from './direct-target.ts'
import { inspect } from './files/direct-open.ts'
import { control, type DirectFileHandle } from './memory/shared-memory.ts'
import { attachWriter, type DirectWriter } from './memory/writer.ts'
import { type DirectFileOptions, type ParsedDirectFileOptions, parseDirectFileOptions } from './options.ts'
import { Staging } from './staging.ts'
import {
  counters,
  type DirectFileCounters,
  type FlushMetrics,
  flusherStats,
  flushMetrics,
  type ShardStats,
  shardStats
} from './statistics.ts'

export class DirectFile extends PumpedSink {
  readonly #account: Account
  readonly #staging: Staging
  readonly #target: DirectTarget
  readonly #writer: DirectWriter

  /**
   * Opens the file. Throws `ERR_OPTION`, `ERR_LOCKED`, `ERR_NOT_FILE`, `ERR_SYMLINK`, `ERR_OWNER`, `ERR_FORMAT` (what
   * is at the path is no direct file); other failures are retried.
   */
  constructor(input: DirectFileOptions) {
    const options = parseDirectFileOptions(input)
    const { path, durability, maxBufferBytes, overflow, fallback } = options
    requireThreads('direct-file', path)
    super()
    const account = new Account(this, path, fallback)
    const staging = new Staging(
      { file: options, path, lockPath: path, flusher: { mustSync: durability === 'disk' } },
      {
        rotated: (event) => account.announce('rotated', event),
        finished: (event) => account.announce('finished', event),
        removed: (event) => account.announce('removed', event),
        warning: (code, message, at) => account.warn(code, message, at),
        degraded: (code, message, at) => this.pump.targetFailed(failureOf(code, message, at)),
        recovered: () => this.pump.targetRecovered(),
        failed: (error) => this.pump.failForGood(error),
        lost: (dropped) => this.#target.lost(dropped),
        notice: (message) => account.notice(message, true)
      },
      undefined,
      (disk) => checkFile(disk, options, (code, message, at) => account.warn(code, message, at))
    )
    warnOfOtherMachines(account, dirname(path))
    this.#account = account
    this.#staging = staging
    this.#writer = staging.writer
    // Of a transport that hands over whole records each is one, whatever line ends it holds.
    const isFramed = internals().lane?.unit === 'record'
    this.#target = new DirectTarget(staging, account, isFramed)
    // Lines need not wait in the pump's queue: how long records stay in memory is the flusher's.
    const { queue, start, ...bound } = openQueue({
      account,
      kind: 'direct-file',
      given: input,
      place: { path, instance: 'exclusive' },
      lane: options.lane,
      maxBufferBytes,
      memory: isFramed ? new FrameQueue('lines') : new LineQueue(),
      format: { unit: isFramed ? 'line' : 'text' },
      rules: { settles: false, keeps: true, isStaging: true }
    })
    const pump = new Pump(
      account,
      { durability, flushInterval: 0, maxBufferBytes: bound.maxBufferBytes, overflow },
      queue,
      this.#target
    )
    this.attach(pump)
    pump.open()
    staging.start()
    staging.upkeep.begin(path)
    start(() => pump.writeNow())
  }

  /**
   * A writer for the thread that calls it; `handle` comes from `share()` of a `DirectFile` in this process. Throws
   * `ERR_ARGUMENT`, `ERR_CLOSED`, `ERR_LIMIT` (more than 256 threads).
   */
  static attach(handle: DirectFileHandle): DirectWriter {
    return attachWriter(handle)
  }

  /** What other threads need for `DirectFile.attach`: can be posted or passed as `workerData`. */
  share(): DirectFileHandle {
    return this.#staging.link.handle
  }

  /** Logs `message` as one record; false if it was dropped. See `DirectWriter.log`. */
  log(message: string): boolean {
    this.pump.writeBefore()
    const isTaken = this.#writer.log(message)
    writeAtExit(this.#staging)
    return isTaken
  }

  /** Logs `data` as one record; false if it was dropped. See `DirectWriter.logBytes`. */
  logBytes(data: Uint8Array): boolean {
    this.pump.writeBefore()
    const isTaken = this.#writer.logBytes(data)
    writeAtExit(this.#staging)
    return isTaken
  }

  /** Rotates now. Resolves when the file has its backup name. Rejects `ERR_CLOSED`. */
  async rotate(): Promise<void> {
    Atomics.add(this.#staging.link.memory.words, control.rotateAsked, 1)
    await this.flush()
  }

  /** Opens the path anew before the next write. */
  reopen(): void {
    const { memory } = this.#staging.link
    Atomics.add(memory.words, control.reopenAsked, 1)
    memory.wake()
  }

  /** @internal */
  override control(request: ControlRequest): boolean {
    if (request.type === 'reopen') this.reopen()
    else this.rotate().catch((error) => this.#account.warnOf(error))
    return true
  }

  override stats(): SinkStats {
    const base = super.stats()
    const { errors, ...written } = flusherStats(this.#staging.link.memory)
    const dropped = base.dropped + this.#target.untoldDropped
    return { ...base, ...written, errors: base.errors + errors, dropped }
  }

  /** Counters under the names of the original. */
  getStatsSnapshot(): DirectFileCounters {
    this.#target.passDrops()
    return counters(this.#staging.link.memory)
  }

  getFlushMetrics(): FlushMetrics {
    return flushMetrics(this.#staging.link.memory)
  }

  getShardStats(): ShardStats[] {
    return shardStats(this.#staging.link.memory)
  }
}

/** Refusals are thrown by the constructor; whatever else is wrong is for the flusher to retry. */
function checkFile(disk: Disk, options: ParsedDirectFileOptions, warn: ModeWarning): void {
  const { path } = options
  try {
    const file = openFile(disk, path, constants.O_RDWR, { ...options, warn })
    let size: number
    try {
      size = disk.fstat(file.fd).size
    } finally {
      file.release()
    }
    if (size > 0 && inspect(disk, path, size) === 'other') {
      throw new LogboomError('ERR_FORMAT', `${path} exists and is not a direct file`, { path })
    }
  } catch (error) {
    if (error instanceof LogboomError) throw error
  }
}
