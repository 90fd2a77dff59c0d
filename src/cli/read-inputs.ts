// Reads the inputs of a command one after the other; what goes wrong with one is reported and does not keep the
// others from being read.
import { errorMessage, LogboomError } from '../base/errors.ts'
import {
  type ContextOptions,
  createContext,
  type DamageReport,
  emptyReport,
  notFound
} from '../readers/engine/context.ts'
import type { FoundLog } from '../readers/engine/log-finder.ts'
import { readBatches } from '../readers/engine/read-batches.ts'
import { findLogs, readerOfStream } from '../readers/find-logs.ts'
import type { OnCorrupt, RecordBatch } from '../readers/reader.ts'
import { complain, type ExitCode, exitCodes, tell } from './command.ts'
import { Progress } from './progress.ts'
import { ReaderGone } from './stdout.ts'

export interface ReadInputsOptions
  extends Pick<ContextOptions, 'from' | 'follow' | 'includeUnterminated' | 'span'> {
  format: string
  onCorrupt: OnCorrupt
  /** Whether records go to stdout, which then must not be disturbed by a progress bar. */
  writesToStdout: boolean
}

/**
 * Calls `work` for one input after the other. One that fails is reported on stderr. Returns the worst exit code of
 * all of them.
 */
export async function forEachInput(
  paths: readonly string[],
  work: (path: string) => Promise<ExitCode>
): Promise<ExitCode> {
  let worst: ExitCode = exitCodes.fine
  for (const path of paths) {
    let code: ExitCode
    try {
      code = await work(path)
    } catch (error) {
      if (error instanceof ReaderGone) throw error
      complain(errorMessage(error))
      code = exitCodeOf(error)
    }
    worst = Math.max(worst, code) as ExitCode
  }
  return worst
}

/**
 * Calls `work` for each log at `path`. What is no log is told on stderr, what fails is reported and does not keep the
 * others from their turn.
 */
export async function forEachLog(
  path: string,
  format: string,
  work: (log: FoundLog) => Promise<void>
): Promise<ExitCode> {
  const { kind, logs, notes, failures } = await findLogs(path, format)
  for (const note of notes) tell(note)
  for (const failure of failures) complain(failure.message)
  if (logs.length === 0 && failures.length === 0) throw notFound(path)
  let worst: ExitCode = failures.length > 0 ? exitCodes.io : exitCodes.fine
  for (const log of logs) {
    try {
      await work(log)
    } catch (error) {
      if (kind === 'log' || error instanceof ReaderGone) throw error
      complain(errorMessage(error))
      worst = Math.max(worst, exitCodeOf(error)) as ExitCode
    }
  }
  return worst
}

/**
 * Calls `use` with every batch, until it returns false. Damage and errors go to stderr; returns the exit code they
 * mean.
 */
export async function readInputs(
  paths: readonly string[],
  options: ReadInputsOptions,
  use: (batch: RecordBatch) => Promise<unknown>
): Promise<ExitCode> {
  const progress = await createProgress(paths, options)
  let worst: ExitCode = exitCodes.fine
  let isEnough = false
  for (const path of paths) {
    if (isEnough) break
    const report: DamageReport = emptyReport()
    const context = createContext({
      ...options,
      reuseBuffers: true,
      report,
      progress: (bytes) => progress?.add(bytes)
    })
    const batches =
      path === '-' ? readStdin(options.format, context) : readBatches(path, options.format, context)
    try {
      for await (const batch of batches) {
        isEnough = (await use(batch)) === false
        if (isEnough) break
      }
    } catch (error) {
      progress?.end()
      if (error instanceof ReaderGone) throw error
      if (!(error instanceof LogboomError && error.code === 'ERR_CORRUPT')) {
        complain(errorMessage(error))
        worst = Math.max(worst, exitCodeOf(error)) as ExitCode
      }
    }
    progress?.end()
    for (const note of report.notes) tell(note)
    for (const { file, offset, bytes, reason } of report.damage) {
      complain(`${file} is damaged at offset ${offset}: ${reason} (${bytes} bytes not readable)`)
      worst = Math.max(worst, exitCodes.damaged) as ExitCode
    }
  }
  return worst
}

/** Tells once of each path what keeps it from being read, and keeps the worst exit code that means. */
export class Failures {
  readonly #told = new Set<string>()
  code: ExitCode = exitCodes.fine

  readonly tell = (path: string, error: unknown): undefined => {
    if (this.#told.has(path)) return
    this.#told.add(path)
    complain(errorMessage(error))
    this.code = Math.max(this.code, exitCodeOf(error)) as ExitCode
  }
}

/** What an error means for the exit code. */
export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof LogboomError)) return exitCodes.io
  if (error.code === 'ERR_OPTION') return exitCodes.usage
  return error.code === 'ERR_CORRUPT' || error.code === 'ERR_FORMAT' ? exitCodes.damaged : exitCodes.io
}

/** The records on stdin; its format is told from the first chunk. */
export async function* readStdin(
  format: string,
  context: ReturnType<typeof createContext>
): AsyncGenerator<RecordBatch, void, undefined> {
  const chunks = process.stdin[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  const first = await chunks.next()
  const head = first.done === true ? Buffer.alloc(0) : first.value
  const reader = readerOfStream('-', head, format)
  if (reader.readStream === undefined) {
    throw new LogboomError('ERR_OPTION', `a ${reader.format} is a folder and cannot be read from stdin`)
  }
  async function* stream(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let next = first; next.done !== true; next = await chunks.next()) yield next.value
  }
  yield* reader.readStream(stream(), '-', context)
}

async function createProgress(
  paths: readonly string[],
  { format, follow, writesToStdout }: ReadInputsOptions
): Promise<Progress | undefined> {
  if (follow === true || !Progress.isWanted(writesToStdout)) return undefined
  let total = 0
  for (const path of paths) {
    if (path === '-') continue
    try {
      for (const log of (await findLogs(path, format)).logs) {
        for (const { size } of await log.reader.list(log.path)) total += size
      }
    } catch {
      // Reported when it is read.
    }
  }
  return new Progress(total)
}
