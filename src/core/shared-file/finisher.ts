// Runs the command of `onFinished` for each file that is in its final form: at least once, whoever dies meanwhile, and
// says which of them still wait for it, so that they are not removed before.
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { monotonicMs } from '../../base/clock.ts'
import { LogboomError, systemCode } from '../../base/errors.ts'
import {
  decodeFinishedNote,
  encodeFinishedName,
  encodeFinishedNote,
  type FinishedNote,
  finishedNoteName,
  isFinishedNote
} from '../../formats/finished-note.ts'
import type { Disk, FileStat } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { type OpenOptions, openFile } from '../../io/open-file.ts'
import { writeAll } from '../../io/write-all.ts'
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
/** A note is written anew when it has so many more lines than there are files. */
const SPARE_LINES = 100

/** A finished file, or one that is to be compressed before. */
export type FinishedFile = Pick<BackupFiles, 'name' | 'compression'>

export interface FinisherOptions extends OpenOptions {
  readonly disk: Disk
  /** What the command is told of the log. */
  readonly path: string
  /** Where it is noted what was dealt with. */
  readonly notePath: string
  readonly pathOf: (name: string) => string
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

/** The note of a log whose backups are looked after. */
export function notePathOf(logPath: string): string {
  return join(dirname(logPath), finishedNoteName(basename(logPath)))
}

/** All of it under the lock of the upkeep. */
export class Finisher {
  readonly #options: FinisherOptions
  /** What was dealt with by this writer, should the note not be writable. */
  readonly #done = new Set<string>()
  readonly #attempts = new Map<string, Attempt>()
  /** Since when backups without a time in their name were seen to wait. */
  readonly #seenAtMs = new Map<string, number>()
  #note: FinishedNote | undefined
  /** Lines can be put behind it. */
  #isWhole = false
  #lines = 0
  /** What was read or written last, which need not be read again. */
  #seen: Pick<FileStat, 'ino' | 'size' | 'mtimeMs'> | undefined
  /** A command ended well in this round. */
  hasRun = false

  constructor(options: FinisherOptions) {
    this.#options = options
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

  /** Whether a file must not be removed yet. `madeAtMs`: by the wall clock, undefined where nobody knows. */
  holds(file: FinishedFile, madeAtMs: number | undefined, nowMs: number): boolean {
    if (this.#note === undefined && !this.hasCommand) return false
    const name = plainName(file)
    if (this.#isDone(file)) return false
    const { waitMs } = this.#note ?? this.#options
    if (madeAtMs !== undefined) return madeAtMs > nowMs - waitMs
    const monotonic = monotonicMs()
    const seenAtMs = this.#seenAtMs.get(name) ?? monotonic
    this.#seenAtMs.set(name, seenAtMs)
    return monotonic - seenAtMs < waitMs
  }

  /**
   * Runs the command for those of `files` that wait, the oldest first; `areAll` there are. Resolves with the pause before
   * another round is needed, in ms; undefined if none is.
   */
  async run(files: readonly FinishedFile[], signal: AbortSignal, areAll = true): Promise<number | undefined> {
    const { compresses } = this.#options
    if (areAll) this.#forget(files)
    const untilMs = monotonicMs() + SLICE_MS
    for (const file of files) {
      if (this.#isDone(file) || (compresses && file.compression === '')) continue
      const name = plainName(file)
      const attempt = this.#attempts.get(name)
      if (attempt !== undefined && attempt.dueAtMs > monotonicMs()) continue
      if (monotonicMs() > untilMs) return 0
      await this.#runFor(file, attempt?.count ?? 0, signal)
    }
    const due = [...this.#attempts.values()].map(({ dueAtMs }) => dueAtMs)
    return due.length === 0 ? undefined : Math.max(1, Math.min(...due) - monotonicMs())
  }

  async #runFor(finished: FinishedFile, failed: number, signal: AbortSignal): Promise<void> {
    const { disk, path, pathOf, command, warn } = this.#options
    const file = pathOf(finished.name)
    const name = plainName(finished)
    // Somebody has taken it away.
    if (!disk.exists(file)) {
      this.#attempts.delete(name)
      return
    }
    failpoint('finishing')
    const variables = { LOGBOOM_FILE: file, LOGBOOM_LOG: path }
    const why = await runCommand(command as CommandLine, variables, RUN_TIMEOUT_MS, signal)
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
    this.#add(name)
  }

  #isDone(file: FinishedFile): boolean {
    const name = plainName(file)
    return this.#done.has(name) || this.#note?.done.has(name) === true
  }

  /** Files that are gone need not be known any more. */
  #forget(files: readonly FinishedFile[]): void {
    const names = new Set(files.map(plainName))
    for (const known of [this.#done, this.#attempts, this.#seenAtMs]) {
      for (const name of known.keys()) if (!names.has(name)) known.delete(name)
    }
    if (this.#note === undefined) return
    const { waitMs, done } = this.#note
    this.#note = { waitMs, done: new Set([...done].filter((name) => names.has(name))) }
    const noted = this.#note.done
    // Also what could not be noted when it was dealt with.
    const isBehind = [...this.#done].some((name) => !noted.has(name))
    if (isBehind || this.#lines > 2 * noted.size + SPARE_LINES) this.#save(new Set([...noted, ...this.#done]))
  }

  #read(): FinishedNote | undefined {
    const { disk, notePath } = this.#options
    const found = disk.lstat(notePath)
    if (found === undefined) return undefined
    const seen = this.#seen
    const isSeen = found.ino === seen?.ino && found.size === seen.size && found.mtimeMs === seen.mtimeMs
    if (isSeen && this.#note !== undefined) return this.#note
    const file = openFile(disk, notePath, constants.O_RDONLY, this.#options)
    try {
      const stat = disk.fstat(file.fd)
      const { size } = stat
      if (size > MAX_NOTE_BYTES) throw notOurs(notePath)
      const bytes = Buffer.alloc(size)
      let at = 0
      for (let count = -1; at < size && count !== 0; at += count) {
        count = disk.read(file.fd, bytes, at, size - at, at)
      }
      const text = bytes.toString('utf8', 0, at)
      if (!isFinishedNote(text)) throw notOurs(notePath)
      this.#isWhole = text.endsWith('\n')
      this.#lines = text.split('\n').length
      this.#seen = stat
      return decodeFinishedNote(text)
    } finally {
      file.release()
    }
  }

  /** One more name at the end of the note: written anew each time, many of them would cost more than their commands. */
  #add(name: string): void {
    const { disk, notePath } = this.#options
    const done = (this.#note?.done ?? new Set<string>()).add(name)
    const seen = this.#seen
    if (!this.#isWhole || seen === undefined || disk.lstat(notePath)?.ino !== seen.ino) {
      this.#save(done)
      return
    }
    // Unless it is written to its end a later line would be part of it.
    this.#isWhole = false
    const file = openFile(disk, notePath, constants.O_WRONLY, this.#options)
    try {
      writeAll(disk, file.fd, Buffer.from(encodeFinishedName(name)), seen.size)
      this.#seen = disk.fstat(file.fd)
    } finally {
      file.release()
    }
    this.#isWhole = true
    this.#lines++
  }

  #save(done: Set<string>): void {
    const { disk, waitMs, notePath } = this.#options
    const note = { waitMs, done }
    this.#note = note
    this.#isWhole = false
    const temporary = `${notePath}.tmp`
    removeIfThere(disk, temporary)
    const file = openFile(disk, temporary, constants.O_WRONLY | constants.O_EXCL, this.#options)
    try {
      writeAll(disk, file.fd, Buffer.from(encodeFinishedNote(note)), 0)
      this.#seen = disk.fstat(file.fd)
    } finally {
      file.release()
    }
    disk.rename(temporary, notePath)
    this.#isWhole = true
    this.#lines = done.size + 2
  }
}

/** It would be replaced. */
function notOurs(path: string): LogboomError {
  return new LogboomError('ERR_NOT_FILE', `${path} is no note of finished files and is left alone`, { path })
}

/** The same before and after compression. */
function plainName({ name, compression }: FinishedFile): string {
  return compression === '' ? name : name.slice(0, -compression.length - 1)
}

function removeIfThere(disk: Disk, path: string): void {
  try {
    disk.unlink(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
