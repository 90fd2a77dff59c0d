// Collects what readRecords returns, and the error it ends with.
import type { ReadOptions } from '../../src/readers/read-options.ts'
import { type ReadStats, readRecords } from '../../src/readers/read-records.ts'
import type { LogRecord } from '../../src/readers/reader.ts'

export interface Collected {
  lines: string[]
  records: LogRecord[]
  error: (Error & { code?: string; path?: string; offset?: number }) | undefined
  stats: ReadStats
}

export async function collect(path: string, options: ReadOptions = {}): Promise<Collected> {
  const reader = readRecords(path, options)
  const records: LogRecord[] = []
  let error: Collected['error']
  try {
    for await (const record of reader) records.push(record)
  } catch (caught) {
    error = caught as Error
  }
  return { lines: records.map(({ data }) => data.toString()), records, error, stats: reader.stats() }
}
