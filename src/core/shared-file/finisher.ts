// Runs the command of `onFinished` for each backup that is in its final form: at least once, whoever dies meanwhile, and
// says which of them still wait for it, so that they are not removed before.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { monotonicMs } from '../../base/clock.ts'
import { LogboomError, systemCode } from '../../base/errors.ts'
import {
  decodeFinishedNote,
  encodeFinishedNote,
  type FinishedNote,
  finishedNoteName
} from '../../formats/finished-note.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { type OpenOptions, openFile } from '../../io/open-file.ts'
import type { BackupFiles } from './backup-grammar.ts'
import { type CommandLine, runCommand } from './run-command.ts'

/** One run of a command takes no longer. */
const RUN_TIMEOUT_MS = 600_000
/** So long commands run one after the other before others may look after the backups. */
const SLICE_MS = 2_000
const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 60_000
/** A larger note is not ours. */
const MAX_NOTE_BYTES = 64 * 1024 * 1024

export interface FinisherOptions extends OpenOptions {
  readonly disk: Disk
  /** The live file. */
  readonly path: string
  /** Of the backups. */
  readonly folder: string
  readonly command: CommandLine | undefined
  /** How long a backup is kept for its command, in ms. */
  readonly waitMs: number
  /** Whether a backup is in its final form only when it is compressed. */
  readonly compresses: boolean
  readonly warn: (message: string) => void
}

interface Attempt {
  readonly count: number
  readonly dueAtMs: number
}

/** A round of the upkeep, whose lock is held. */
export class Finisher {
  readonly #options: FinisherOptions
  readonly #notePath: string
  /** What was dealt with by this writer, should the note not be writable. */
  readonly #done = new Set<string>()
  readonly #attempts = new Map<string, Attempt>()
  /** Since when backups without a time in their name were seen to wait. */
  readonly #seenAtMs = new Map<string, number>()
  #note: FinishedNote | undefined
  /** A command ended well in this round. */
  hasRun = false

  constructor(options: FinisherOptions) {
    this.#options = options
    this.#notePath = join(dirname(options.path), finishedNoteName(basename(options.path)))
  }

  get hasCommand(): boolean {
    return this.#options.command !== undefined
  }

  /** To be called first in a round: learns what other writers have dealt with. */
  begin(): void {
    this.hasRun = false
    try {
      this.#note = this.#read()
    } catch (error) {
      // Something else has been put there. It keeps those who have no command from nothing.
      if (this.hasCommand || !(error instanceof LogboomError)) throw error
      this.#note = undefined
    }
    if (!this.hasCommand || this.#note !== undefined) return
    // From now on writers that know no command keep backups for it, too.
    this.#save(new Set())
  }

  /** Whether a backup must not be removed yet. `madeAtMs`: by the wall clock, undefined where the name says nothing. */
  holds(backup: BackupFiles, madeAtMs: number | undefined, nowMs: number): boolean {
    if (this.#note === undefined) return false
    const name = plainName(backup)
    if (this.#note.done.has(name) || this.#done.has(name)) return false
    const { waitMs } = this.#note
    if (madeAtMs !== undefined) return madeAtMs > nowMs - waitMs
    const monotonic = monotonicMs()
    const seenAtMs = this.#seenAtMs.get(name) ?? monotonic
    this.#seenAtMs.set(name, seenAtMs)
    return monotonic - seenAtMs < waitMs
  }

  /**
   * Runs the command for those of `backups` that wait, the oldest first. Resolves with the pause before another round is
   * needed, in ms; undefined if none is.
   */
  async run(backups: readonly BackupFiles[], signal: AbortSignal): Promise<number | undefined> {
    const { compresses } = this.#options
    this.#forget(backups)
    const untilMs = monotonicMs() + SLICE_MS
    for (const backup of backups) {
      if (this.#isDone(backup) || (compresses && backup.compression === '')) continue
      const name = plainName(backup)
      const attempt = this.#attempts.get(name)
      if (attempt !== undefined && attempt.dueAtMs > monotonicMs()) continue
      if (monotonicMs() > untilMs) return 0
      await this.#runFor(backup, attempt?.count ?? 0, signal)
    }
    const due = [...this.#attempts.values()].map(({ dueAtMs }) => dueAtMs)
    return due.length === 0 ? undefined : Math.max(1, Math.min(...due) - monotonicMs())
  }

  async #runFor(backup: BackupFiles, failed: number, signal: AbortSignal): Promise<void> {
    const { disk, path, folder, command, warn } = this.#options
    const file = join(folder, backup.name)
    // Somebody has taken it away.
    if (!disk.exists(file)) return
    failpoint('finishing')
    const variables = { LOGBOOM_FILE: file, LOGBOOM_LOG: path }
    const why = await runCommand(command as CommandLine, variables, RUN_TIMEOUT_MS, signal)
    const name = plainName(backup)
    if (why !== undefined) {
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failed, MAX_PAUSE_MS)
      this.#attempts.set(name, { count: failed + 1, dueAtMs: monotonicMs() + pauseMs })
      // Once for each file: it is tried for as long as the file is there.
      if (failed === 0) warn(`the command of 'onFinished' for ${file} ${why}; it is tried again`)
      return
    }
    this.#attempts.delete(name)
    this.#done.add(name)
    this.hasRun = true
    failpoint('finished')
    this.#save(new Set([...(this.#note?.done ?? []), name]))
  }

  #isDone(backup: BackupFiles): boolean {
    const name = plainName(backup)
    return this.#done.has(name) || this.#note?.done.has(name) === true
  }

  /** Backups that are gone need not be known any more. */
  #forget(backups: readonly BackupFiles[]): void {
    const names = new Set(backups.map(plainName))
    for (const known of [this.#done, this.#attempts, this.#seenAtMs]) {
      for (const name of known.keys()) if (!names.has(name)) known.delete(name)
    }
    if (this.#note === undefined) return
    const { waitMs, done } = this.#note
    this.#note = { waitMs, done: new Set([...done].filter((name) => names.has(name))) }
  }

  #read(): FinishedNote | undefined {
    const { disk } = this.#options
    if (disk.lstat(this.#notePath) === undefined) return undefined
    const file = openFile(disk, this.#notePath, constants.O_RDONLY, this.#options)
    try {
      const { size } = disk.fstat(file.fd)
      if (size > MAX_NOTE_BYTES) return undefined
      const bytes = Buffer.alloc(size)
      let at = 0
      for (let count = -1; at < size && count !== 0; at += count) {
        count = disk.read(file.fd, bytes, at, size - at, at)
      }
      return decodeFinishedNote(bytes.toString('utf8', 0, at))
    } finally {
      file.release()
    }
  }

  #save(done: ReadonlySet<string>): void {
    const { disk, waitMs } = this.#options
    const note = { waitMs, done }
    this.#note = note
    const temporary = `${this.#notePath}.tmp`
    removeIfThere(disk, temporary)
    const bytes = Buffer.from(encodeFinishedNote(note))
    const file = openFile(disk, temporary, constants.O_WRONLY | constants.O_EXCL, this.#options)
    try {
      for (let at = 0; at < bytes.length; ) at += disk.write(file.fd, bytes, at, bytes.length - at, at)
    } finally {
      file.release()
    }
    disk.rename(temporary, this.#notePath)
  }
}

/** The same before and after compression. */
function plainName({ name, compression }: BackupFiles): string {
  return compression === '' ? name : name.slice(0, -compression.length - 1)
}

function removeIfThere(disk: Disk, path: string): void {
  try {
    disk.unlink(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
