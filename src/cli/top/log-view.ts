// What `top` and `metrics` know of a log at one moment, and what happened between two such moments.
import { resolve } from 'node:path'
import { errorMessage, LogboomError } from '../../base/errors.ts'
import { latencyAt, latencyBuckets } from '../../formats/statistics-file.ts'
import { notFound } from '../../readers/engine/context.ts'
import type { FoundLog } from '../../readers/engine/log-finder.ts'
import { findLogs } from '../../readers/find-logs.ts'
import { readConsumers, type SeenConsumer } from '../../readers/log-consumers.ts'
import { readStatistics, type SeenWriter } from '../../readers/statistics.ts'

export interface LogView {
  readonly path: string
  readonly liveBytes: number
  readonly backups: number
  readonly backupBytes: number
  /** Undefined if the writers keep none. */
  readonly writers: readonly SeenWriter[] | undefined
  /** Shippers that read it. */
  readonly consumers: readonly SeenConsumer[]
  /** Why nothing is known of it at the moment. */
  readonly trouble?: string
}

/** What a writer did each second. */
export interface Rates {
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
  readonly droppedPerSecond: number
  /** Share of the time spent waiting for the lock, 0 to 1. */
  readonly lockWaitShare: number
  readonly syncP50Us: number | undefined
  readonly syncP99Us: number | undefined
}

export interface WriterRow extends Rates {
  readonly writer: SeenWriter
  /** 'dead' if it ended without closing its sink. */
  readonly state: string
}

/** What becomes of a path at which nothing can be seen: it is left out, or has this view. */
export type Failed = (path: string, error: unknown) => LogView | undefined

/** The logs at the paths, each once. Throws `ERR_NOT_FOUND`, `ERR_IO`, `ERR_NOT_FILE`, unless `failed` is given. */
export async function viewLogs(paths: readonly string[], failed: Failed = rethrow): Promise<LogView[]> {
  const views: LogView[] = []
  const seen = new Set<string>()
  const fail = (path: string, error: unknown): void => {
    const view = failed(path, error)
    if (view !== undefined) views.push(view)
  }
  for (const path of paths) {
    const { logs, failures } = await findLogs(path, 'auto').catch((error: unknown) => ({
      logs: [],
      failures: [error]
    }))
    for (const failure of failures) fail((failure instanceof LogboomError && failure.path) || path, failure)
    if (logs.length === 0 && failures.length === 0) fail(path, notFound(path))
    for (const log of logs) {
      const place = resolve(log.path)
      if (seen.has(place)) continue
      seen.add(place)
      try {
        views.push(await viewLog(log))
      } catch (error) {
        fail(log.path, error)
      }
    }
  }
  return views
}

/** The same for a picture that goes on: a log that is not there, or cannot be read now, is shown as that. */
export function viewLogsAgain(paths: readonly string[]): Promise<LogView[]> {
  const nothing = { liveBytes: 0, backups: 0, backupBytes: 0, writers: undefined, consumers: [] }
  return viewLogs(paths, (path, error) => ({ ...nothing, path, trouble: errorMessage(error) }))
}

function rethrow(_path: string, error: unknown): never {
  throw error
}

async function viewLog({ reader, path }: FoundLog): Promise<LogView> {
  const files = await reader.list(path)
  const live = files.find((file) => file.live)
  const finished = files.filter((file) => !file.live)
  return {
    path,
    liveBytes: live?.size ?? 0,
    backups: finished.length,
    backupBytes: finished.reduce((sum, { size }) => sum + size, 0),
    writers: reader.unit === 'file' ? await readStatistics(path) : undefined,
    consumers: await readConsumers(path)
  }
}

export interface ConsumerRow {
  readonly consumer: SeenConsumer
  /** 'dead' if it ended without saying so. */
  readonly state: string
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
}

/** The consumers of a log; those that ended keep their row, because the log waits for them. */
export function consumerRowsOf(view: LogView, before: LogView | undefined): ConsumerRow[] {
  return view.consumers.map((consumer) => {
    const old = before?.consumers.find(
      ({ name, startedAtMs }) => name === consumer.name && startedAtMs === consumer.startedAtMs
    )
    const seconds = (consumer.updatedAtMs - (old?.updatedAtMs ?? consumer.startedAtMs)) / 1000
    const rate = (now: number, then: number) =>
      consumer.isAlive && seconds > 0 ? Math.max(0, now - then) / seconds : 0
    const hasEnded = consumer.state === 'closed' || consumer.state === 'failed'
    return {
      consumer,
      state: consumer.isAlive || hasEnded ? consumer.state : 'dead',
      recordsPerSecond: rate(consumer.records, old?.records ?? 0),
      bytesPerSecond: rate(consumer.bytes, old?.bytes ?? 0)
    }
  })
}

/** The writers of a log that are there, or died; those that closed their sinks are gone. */
export function rowsOf(view: LogView, before: LogView | undefined): WriterRow[] {
  const rows: WriterRow[] = []
  for (const writer of view.writers ?? []) {
    if (writer.state === 'closed') continue
    const old = before?.writers?.find((each) => isSame(each, writer))
    rows.push({ writer, state: writer.isAlive ? writer.state : 'dead', ...ratesOf(writer, old) })
  }
  return rows
}

/** All writers as one. */
export function totalOf(rows: readonly WriterRow[]): Rates & { queuedBytes: number; dropped: number } {
  const sum = (of: (row: WriterRow) => number) => rows.reduce((total, row) => total + of(row), 0)
  const slowest = (of: (row: WriterRow) => number | undefined) => {
    const values = rows.map(of).filter((value) => value !== undefined)
    return values.length === 0 ? undefined : Math.max(...values)
  }
  return {
    recordsPerSecond: sum((row) => row.recordsPerSecond),
    bytesPerSecond: sum((row) => row.bytesPerSecond),
    droppedPerSecond: sum((row) => row.droppedPerSecond),
    lockWaitShare: rows.length === 0 ? 0 : sum((row) => row.lockWaitShare) / rows.length,
    syncP50Us: slowest((row) => row.syncP50Us),
    syncP99Us: slowest((row) => row.syncP99Us),
    queuedBytes: sum(({ writer, state }) => (state === 'dead' ? 0 : writer.queuedBytes)),
    dropped: sum(({ writer }) => writer.dropped)
  }
}

// A slot belongs to another writer after a while.
function isSame(a: SeenWriter, b: SeenWriter): boolean {
  return a.slot === b.slot && a.pid === b.pid && a.startedAtMs === b.startedAtMs
}

function ratesOf(writer: SeenWriter, old: SeenWriter | undefined): Rates {
  // Between the moments the writer itself gives: it writes when it writes anyway. What it did not touch did not change.
  const fromMs = old?.updatedAtMs ?? writer.startedAtMs
  const seconds = (writer.updatedAtMs - fromMs) / 1000
  const rate = (now: number, then: number) =>
    writer.isAlive && seconds > 0 ? Math.max(0, now - then) / seconds : 0
  const latency = Array.from({ length: latencyBuckets }, (_, at) =>
    Math.max(0, writer.syncLatency[at] - (old?.syncLatency[at] ?? 0))
  )
  return {
    recordsPerSecond: rate(writer.records, old?.records ?? 0),
    bytesPerSecond: rate(writer.bytes, old?.bytes ?? 0),
    droppedPerSecond: rate(writer.dropped, old?.dropped ?? 0),
    lockWaitShare: Math.min(1, rate(writer.lockWaitUs, old?.lockWaitUs ?? 0) / 1e6),
    syncP50Us: latencyAt(latency, 0.5),
    syncP99Us: latencyAt(latency, 0.99)
  }
}
