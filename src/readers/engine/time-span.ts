// Which files of a log can hold records of a span of time: told by the times in the names of backups, else by the first
// records of as few files as a binary search asks.
import { basename } from 'node:path'
import { backupBase, parseBackupName } from '../../formats/backup-name.ts'
import { batchLength, type ReadContext, recordAt } from '../reader.ts'
import { type FileFormat, openFinished, readFrom } from './file-format.ts'
import type { FinishedFile } from './log-files.ts'
import { recordTime } from './record-time.ts'

/** Clocks of writers on several machines differ. */
const CLOCK_SLACK_MS = 60_000
/** So long a record may have waited for a disk that failed, before it was written behind later ones. */
const LATE_SLACK_MS = 600_000
/** How many records at the start of a file may be without a time. */
const MAX_ASKED = 100

/** Finished files from number `first` on, up to `end`; `end` is their count if the live file is needed, too. */
export interface FilesWithin {
  readonly first: number
  readonly end: number
}

/** The finished files to read for `context.span`. What cannot be told is read. */
export async function filesWithin(
  format: FileFormat,
  finished: readonly FinishedFile[],
  context: ReadContext
): Promise<FilesWithin> {
  const count = finished.length
  const { span } = context
  if (span === undefined || count === 0) return { first: 0, end: count }
  const asker = new FirstTimes(format, finished, context)
  const first = await firstWithin(finished, span.sinceMs - CLOCK_SLACK_MS, asker)
  // Who follows needs the live file, whatever is in it.
  if (context.follow || span.untilMs === Number.POSITIVE_INFINITY) return { first, end: count }
  return { first, end: await endWithin(finished, first, span.untilMs + LATE_SLACK_MS, asker) }
}

/** The first file that may hold a record of this time or later. */
async function firstWithin(
  finished: readonly FinishedFile[],
  timeMs: number,
  asker: FirstTimes
): Promise<number> {
  if (timeMs === Number.NEGATIVE_INFINITY) return 0
  // Nothing is written to a file after its rotation, so a name alone says that it ends too early.
  const byName = finished.findIndex(({ key }) => (endOfFile(key) ?? Number.POSITIVE_INFINITY) >= timeMs)
  if (byName === -1) return finished.length
  if (endOfFile(finished[byName].key) !== undefined) return byName
  // The last file that begins earlier is the first one that may reach into the span.
  const later = await asker.search(byName, (time) => time >= timeMs)
  return later === undefined ? byName : Math.max(byName, later - 1)
}

/** The first file, from `first` on, that holds only records later than this time, as all behind it do. */
async function endWithin(
  finished: readonly FinishedFile[],
  first: number,
  timeMs: number,
  asker: FirstTimes
): Promise<number> {
  // A file begins when the one before it ends. The name is a guess that its first record has to confirm, because
  // records can have waited long for a disk that failed.
  for (let at = Math.max(first, 1); at < finished.length; at++) {
    const begins = endOfFile(finished[at - 1].key)
    if (begins === undefined) break
    if (begins > timeMs) return (await asker.timeOf(at)) > timeMs ? at : finished.length
  }
  const newest = finished.at(-1)
  const isNamed = newest !== undefined && endOfFile(newest.key) !== undefined
  if (isNamed) return finished.length
  return (await asker.search(first, (time) => time > timeMs)) ?? finished.length
}

/** When nothing was written to a backup any more, from its name. */
function endOfFile(key: string): number | undefined {
  const name = basename(key)
  const base = backupBase(name)
  const stamp = base === undefined ? undefined : parseBackupName(base, name)?.stamp
  // Of the second that has begun.
  return stamp === undefined ? undefined : (stamp + 1) * 1000
}

/** The times of the first records of files, each looked up once. */
class FirstTimes {
  readonly #format: FileFormat
  readonly #finished: readonly FinishedFile[]
  readonly #context: ReadContext
  readonly #known = new Map<number, number>()

  constructor(format: FileFormat, finished: readonly FinishedFile[], context: ReadContext) {
    this.#format = format
    this.#finished = finished
    this.#context = { ...context, damaged: () => {}, progress: () => {}, reuseBuffers: false }
  }

  /** The first file from `from` on of whose first time `isBehind` is true; undefined if a time is missing. */
  async search(from: number, isBehind: (timeMs: number) => boolean): Promise<number | undefined> {
    let low = from
    let high = this.#finished.length
    while (low < high) {
      const middle = (low + high) >> 1
      const time = await this.timeOf(middle)
      if (Number.isNaN(time)) return undefined
      if (isBehind(time)) high = middle
      else low = middle + 1
    }
    return low
  }

  /** NaN if no time can be found in its first records. */
  async timeOf(file: number): Promise<number> {
    const known = this.#known.get(file) ?? (await this.#ask(this.#finished[file]))
    this.#known.set(file, known)
    return known
  }

  async #ask(file: FinishedFile): Promise<number> {
    const open = await openFinished(file)
    if (open === undefined) return Number.NaN
    try {
      for await (const batch of readFrom(this.#format, open, this.#context, { offset: 0, final: true })) {
        const length = Math.min(batchLength(batch), MAX_ASKED)
        for (let at = 0; at < length; at++) {
          const time = recordTime(recordAt(batch, at).data)
          if (time !== undefined) return time
        }
        break
      }
      return Number.NaN
    } finally {
      await open.handle.close()
    }
  }
}
