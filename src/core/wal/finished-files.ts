// Which files of a log are finished, its segments and snapshots, and which of them are removed: tells of both, and has the
// command of `onFinished` run for them before they may go.
import { join } from 'node:path'
import { listSegments } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { CommandRounds } from '../shared-file/command-rounds.ts'
import { Finisher } from '../shared-file/finisher.ts'
import type { CommandLine } from '../shared-file/run-command.ts'
import type { Account } from '../sink/account.ts'
import type { RemovalReason } from '../sink/contract.ts'
import type { ForeignOwner } from './folder-lock.ts'

/** Among the segments, where etcd and its tools pass it over. */
const NOTE_NAME = '.finished'
/** A file's time may be ahead of the clock by so much. */
const CLOCK_TOLERANCE_MS = 2_000

export interface FinishedFilesOptions {
  readonly walDir: string
  readonly snapDir: string
  readonly mode: number
  readonly dirMode: number
  readonly foreignOwner: ForeignOwner
  readonly onFinished?: CommandLine | undefined
  readonly finishedWait: number
}

export interface FinishedFilesHost {
  /** The wall clock, ms since 1970. */
  now(): number
  /** Names of the snapshot files of this log, the oldest first. */
  snapshots(): readonly string[]
  /** What has waited for the command may go. */
  mayRemove(): void
}

export class FinishedFiles {
  readonly #disk: Disk
  readonly #options: FinishedFilesOptions
  readonly #account: Account
  readonly #host: FinishedFilesHost
  readonly #finisher: Finisher | undefined
  readonly #rounds: CommandRounds | undefined

  constructor(disk: Disk, options: FinishedFilesOptions, account: Account, host: FinishedFilesHost) {
    this.#disk = disk
    this.#options = options
    this.#account = account
    this.#host = host
    // One process has the log, so nobody else's command is waited for.
    if (options.onFinished === undefined) return
    const { walDir, onFinished, finishedWait } = options
    const finisher = new Finisher({
      ...options,
      mkdir: false,
      disk,
      path: walDir,
      notePath: join(walDir, NOTE_NAME),
      pathOf: (name) => this.#pathOf(name),
      command: onFinished,
      waitMs: finishedWait,
      compresses: false,
      warn: (message) => account.warn('ERR_IO', message)
    })
    this.#finisher = finisher
    this.#rounds = new CommandRounds({
      finisher,
      list: async () => this.#names().map((name) => ({ name, compression: '' })),
      lock: undefined,
      failed: (error) => account.warnOf(error),
      roundEnded: () => host.mayRemove()
    })
  }

  /** Has the command run for what an earlier process left. */
  start(): void {
    this.#rounds?.start()
  }

  /** A segment got its last record, or a snapshot file its name. */
  finished(name: string, bytes: number): void {
    this.#account.announce('finished', { path: this.#pathOf(name), bytes })
    this.#rounds?.finished(name)
  }

  /** Whether a file has to stay, because its command has not ended well yet. */
  holds(name: string): boolean {
    if (this.#finisher === undefined) return false
    const nowMs = this.#host.now()
    const changedMs = this.#disk.lstat(this.#pathOf(name))?.mtimeMs
    const isKnown = changedMs !== undefined && changedMs < nowMs + CLOCK_TOLERANCE_MS
    return this.#finisher.holds({ name, compression: '' }, isKnown ? changedMs : undefined, nowMs)
  }

  /** Removes a file, unless it is gone, and tells of it. */
  remove(name: string, reason: RemovalReason): void {
    const path = this.#pathOf(name)
    const found = this.#disk.lstat(path)
    if (found === undefined) return
    this.#disk.unlink(path)
    this.#account.announce('removed', { path, bytes: found.size, reason })
  }

  /** Lets a command under way end, within a limit. Does not reject. */
  async stop(): Promise<void> {
    await this.#rounds?.stop()
  }

  /** All but the segment that is appended to. */
  #names(): string[] {
    const segments = listSegments(this.#disk.readdir(this.#options.walDir)).slice(0, -1)
    return [...segments.map(({ name }) => name), ...this.#host.snapshots()]
  }

  #pathOf(name: string): string {
    const { walDir, snapDir } = this.#options
    return join(name.endsWith('.snap') ? snapDir : walDir, name)
  }
}
