// A named consumer of a write-ahead log, in the process that writes it or in another one: takes entries in order, and
// acknowledges as far as it is done with them. It writes nothing but its own small file.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { requireText } from '../../base/bytes.ts'
import { LogboomError } from '../../base/errors.ts'
import { parseOptions } from '../../base/options.ts'
import { CONSUMERS_FOLDER, isConsumerName } from '../../formats/consumer-file.ts'
import { type Disk, realDisk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import { ConsumerFile, type ConsumerFileOptions } from './consumer-file.ts'
import {
  type ConsumerOptions,
  type FollowOptions,
  followOptions,
  openOptions,
  type TakeOptions,
  takeOptions
} from './consumer-options.ts'
import { ConsumerReading, type DurableHost, positionAt } from './consumer-reading.ts'
import { Consumers } from './consumers.ts'
import type { Entry } from './entries.ts'
import { identityIn } from './identity.ts'
import { findSnapDir, listSnapshots } from './snapshot-files.ts'

const MAX_TURNS = 100

/** What the log gives its consumers in its own process. */
export interface ConsumerHost extends DurableHost {
  readonly file: ConsumerFileOptions
  readonly snapDir: string | undefined
  /** Something was acknowledged: segments may have become free. */
  acknowledged(): void
  closed(consumer: WalConsumer): void
}

export class WalConsumer {
  readonly name: string
  readonly walDir: string
  readonly #file: ConsumerFile
  readonly #disk: Disk
  readonly #host: ConsumerHost | undefined
  #reading: ConsumerReading
  /** Calls take their turns. */
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false

  private constructor(
    walDir: string,
    name: string,
    disk: Disk,
    file: ConsumerFile,
    host: ConsumerHost | undefined
  ) {
    this.name = name
    this.walDir = walDir
    this.#disk = disk
    this.#file = file
    this.#host = host
    this.#reading = this.#begin()
  }

  /**
   * Opens the consumer `name` of the log in `walDir`, which other processes may write; makes it if it is new. One of a name
   * lives at a time: `ERR_LOCKED`. Rejects with `ERR_NOT_FOUND` if there is no log, `ERR_ARGUMENT`, `ERR_OPTION`,
   * `ERR_CORRUPT` (its file is damaged), and `ERR_UNSUPPORTED` without kernel locks.
   */
  static async open(walDir: string, name: string, options: ConsumerOptions = {}): Promise<WalConsumer> {
    if (!native.canLock) {
      const message = 'consumers in other processes need kernel locks, which the addon gives'
      throw new LogboomError('ERR_UNSUPPORTED', message, { path: walDir })
    }
    return await WalConsumer.openIn(realDisk, walDir, name, options, undefined)
  }

  /** @internal */
  static async openIn(
    disk: Disk,
    walDir: string,
    name: string,
    options: ConsumerOptions,
    host: ConsumerHost | undefined
  ): Promise<WalConsumer> {
    const { from } = parseOptions('consumer', openOptions, options) as { from: 'start' | 'end' }
    requireText('consumer', walDir)
    requireText('consumer', name)
    if (!isConsumerName(name)) {
      const rule = "letters, digits, '_', '-' and '.', not at the start, at most 64"
      throw new LogboomError(
        'ERR_ARGUMENT',
        `the name of a consumer must be ${rule}, not ${JSON.stringify(name)}`
      )
    }
    const folder = resolve(walDir)
    if (!existsSync(folder)) {
      throw new LogboomError('ERR_NOT_FOUND', `there is no log at ${folder}`, { path: folder })
    }
    const start = await positionAt(folder, from, host)
    const access = host?.file ?? { mode: 0o600, dirMode: 0o700, foreignOwner: 'refuse' as const }
    const identity = identityIn(disk, folder)
    const isFirst = !disk.exists(join(folder, CONSUMERS_FOLDER))
    const file = ConsumerFile.open(disk, folder, name, identity, access, () => start)
    try {
      // Snapshots were taken of the log before, and may be again.
      const snapDir = host?.snapDir ?? findSnapDir(disk, folder)
      if (isFirst && listSnapshots(disk, snapDir, () => {}).length > 0)
        new Consumers(disk, folder, identity, true).noteSnapshots()
      await moveUp(file, folder, identity, from, host)
    } catch (error) {
      file.release()
      throw error
    }
    return new WalConsumer(folder, name, disk, file, host)
  }

  /** Index of the last entry that was acknowledged; 0 for none. */
  get ackedIndex(): bigint {
    return this.#file.state.index
  }

  /** Index of the last entry that was taken. */
  get takenIndex(): bigint {
    return this.#reading.index
  }

  /**
   * The next entries, all of which are on disk; none if there are no new ones at the moment. Rejects with `ERR_CURSOR_LOST`
   * if entries that were not acknowledged are gone, or the log is another or an older one (see `skipLost`), `ERR_CORRUPT`,
   * `ERR_CLOSED`, `ERR_OPTION`, `ERR_IO`.
   */
  async take(options: TakeOptions = {}): Promise<Entry[]> {
    const { maxEntries, maxBytes } = parseOptions('take', takeOptions, options)
    return await this.#inTurn(() => this.#reading.take(maxEntries, maxBytes, false))
  }

  /** The same for ever: each time at least one entry, waiting for it, until the signal or `close` ends it. */
  async *follow(options: FollowOptions = {}): AsyncGenerator<Entry[], void, undefined> {
    const { maxEntries, maxBytes, signal } = parseOptions('follow', followOptions, options)
    while (!this.#isClosed && signal?.aborted !== true) {
      const entries = await this.#inTurn(() => this.#reading.take(maxEntries, maxBytes, true, signal))
      if (entries.length > 0) yield entries
    }
  }

  /**
   * The entries up to `index` are done with: the next process begins behind it, and the log may remove them. Durable when it
   * resolves, also on a full disk. Rejects with `ERR_ARGUMENT` for an index that was not taken, `ERR_IO`, `ERR_CLOSED`.
   */
  async ack(index: bigint): Promise<void> {
    this.#refuseClosed()
    if (typeof index !== 'bigint' || index > this.#reading.index) {
      const message = `ack takes the index of an entry that was taken, at most ${this.#reading.index}, not ${index}`
      throw new LogboomError('ERR_ARGUMENT', message, { path: this.walDir })
    }
    if (index <= this.ackedIndex) return
    const entry = this.#reading.entryAt(index)
    this.#file.write({ index, entry }, identityIn(this.#disk, this.walDir))
    this.#reading.forget(index)
    this.#host?.acknowledged()
  }

  /** What was taken and not acknowledged is taken again. */
  async rewind(): Promise<void> {
    // Whoever waits for entries must not keep this waiting.
    await this.#reading.close()
    await this.#inTurn(async () => {
      this.#reading = this.#begin()
      return []
    })
  }

  /**
   * After `ERR_CURSOR_LOST`: goes on with the oldest entry there is, and durably notes that. Resolves with how many entries
   * were missed; 0 if the log is another one, or an older copy.
   */
  async skipLost(): Promise<bigint> {
    let missed = 0n
    await this.#reading.close()
    await this.#inTurn(async () => {
      const { index, identity } = this.#file.state
      const own = identityIn(this.#disk, this.walDir)
      const oldest = await positionAt(this.walDir, 'start', this.#host)
      if (identity === own && oldest.index > index) missed = oldest.index - index
      this.#file.write(oldest, own)
      this.#reading = this.#begin()
      return []
    })
    return missed
  }

  /** Frees the name. What was not acknowledged is taken again by whoever opens it next. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#reading.close()
    await this.#turn.catch(() => {})
    this.#file.release()
    this.#host?.closed(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #begin(): ConsumerReading {
    return new ConsumerReading(this.#disk, this.walDir, this.#file.state, this.#host)
  }

  async #inTurn(work: () => Promise<Entry[]>): Promise<Entry[]> {
    this.#refuseClosed()
    const before = this.#turn
    const mine = (async () => {
      await before.catch(() => {})
      return this.#isClosed ? [] : await work()
    })()
    this.#turn = mine
    return await mine
  }

  #refuseClosed(): void {
    if (!this.#isClosed) return
    const message = `consumer ${JSON.stringify(this.name)} of ${this.walDir} is closed`
    throw new LogboomError('ERR_CLOSED', message, { path: this.walDir })
  }
}

/** Before its file was there, nobody kept entries for a new consumer. */
async function moveUp(
  file: ConsumerFile,
  folder: string,
  identity: string | undefined,
  from: 'start' | 'end',
  host: ConsumerHost | undefined
): Promise<void> {
  for (let turn = 0; file.isNew && from === 'start' && turn < MAX_TURNS; turn++) {
    const oldest = await positionAt(folder, 'start', host)
    if (oldest.index <= file.state.index) return
    file.write(oldest, identity)
  }
}
