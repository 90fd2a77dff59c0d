// The order of another package's files, from the oldest to the newest, and when each was finished: by their names where
// these tell, else by when they were last written to.
import { UsageError } from '../command.ts'
import type { OldFile } from './old-files.ts'
import type { OldPackage } from './packages.ts'

export interface OrderedFiles {
  /** The oldest first. */
  readonly files: readonly OldFile[]
  /** Whether the last one of them may be the live file. */
  readonly lastMayBeLive: boolean
}

/** Throws `UsageError` where the order cannot be told. `isTailable`: what the user says of winston's files. */
export function orderFiles(
  path: string,
  files: readonly OldFile[],
  from: OldPackage,
  isTailable: boolean | undefined
): OrderedFiles {
  if (from.numbers === 'either') return orderWinston(path, files, isTailable)
  const dated = files.filter(({ span }) => span !== undefined)
  if (dated.length > 0 && dated.length < files.length) {
    const other = files.find(({ span }) => span === undefined)
    throw unclear(
      path,
      `${dated[0].name} has a date in its name and ${other?.name} has none, which is older cannot be told; say by --files which of them to take, one kind after the other`
    )
  }
  const falls = from.numbers === 'falling'
  return {
    files: files.toSorted((a, b) => compareNames(a, b, falls)),
    // Files that move up have their live one at the path of the log, unless they have a date.
    lastMayBeLive: from.liveIsNewest && (!falls || dated.length > 0)
  }
}

function compareNames(a: OldFile, b: OldFile, falls: boolean): number {
  const byDate = (a.span?.fromMs ?? 0) - (b.span?.fromMs ?? 0)
  if (byDate !== 0) return byDate
  const byNumber = (a.number ?? 0) - (b.number ?? 0)
  return falls && !a.rises ? -byNumber : byNumber
}

/**
 * With `tailable`, the log is the newest and number 1 the one before it; without, the highest number is the newest,
 * until the program is started again and begins anew.
 */
function orderWinston(
  path: string,
  files: readonly OldFile[],
  isTailable: boolean | undefined
): OrderedFiles {
  const byNumber = files.toSorted((a, b) => (a.number ?? 0) - (b.number ?? 0))
  const isLog = ({ number, compression }: OldFile): boolean => number === 0 && compression === ''
  if (isTailable ?? looksTailable(path, byNumber)) {
    return { files: byNumber.filter((file) => !isLog(file)).reverse(), lastMayBeLive: false }
  }
  const byTime = byNumber.toSorted((a, b) => a.mtimeMs - b.mtimeMs || (a.number ?? 0) - (b.number ?? 0))
  return { files: byTime, lastMayBeLive: true }
}

function looksTailable(path: string, byNumber: readonly OldFile[]): boolean {
  if (byNumber.length === 0 || (byNumber.length === 1 && byNumber[0].number === 0)) return true
  let rises = 0
  let falls = 0
  for (const [at, file] of byNumber.entries()) {
    const next = byNumber[at + 1]
    if (next === undefined) break
    if ((next.number ?? 0) - (file.number ?? 0) !== 1) {
      throw unclear(path, `there is nothing between ${file.name} and ${next.name}, so they may be two logs`)
    }
    if (next.mtimeMs > file.mtimeMs) rises++
    if (next.mtimeMs < file.mtimeMs) falls++
  }
  if (rises > 0 !== falls > 0) return falls > 0
  throw unclear(path, 'the times of its files do not tell whether number 1 or the highest one is the newest')
}

function unclear(path: string, why: string): UsageError {
  const help = why.includes('--files')
    ? ''
    : '; say --tailable or --no-tailable, as the option of winston was'
  return new UsageError(`${path}: ${why}${help}`)
}

/**
 * When each of `files` (the oldest first) was finished, in ms since 1970: when it was last written to, but within the
 * date in its name, and never behind the next one. Copies and late compressions make times later, hardly ever earlier.
 */
export function finishedTimes(files: readonly OldFile[], from: OldPackage, nowMs: number): number[] {
  const times: number[] = []
  let nextMs = nowMs
  for (const { span, mtimeMs } of files.toReversed()) {
    let ms = mtimeMs
    if (span !== undefined)
      ms = from.dateIsEnd === true ? span.fromMs : Math.min(Math.max(ms, span.fromMs), span.toMs)
    nextMs = Math.max(0, Math.min(ms, nextMs))
    times.push(nextMs)
  }
  return times.reverse()
}
