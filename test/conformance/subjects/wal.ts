// Write-ahead logs in the conformance suite.
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import type { WriteAheadLog } from 'logboom'
import { readLog } from '../../helpers/wal-log.ts'
import { record, type Subject } from '../subject.ts'

type Batch = string[]

const records = { takes: ['text', 'Uint8Array'] }

export const wal: Subject = {
  kind: 'wal',
  options: (folder) => ({ walDir: join(folder, 'wal'), segmentBytes: 4_096, durability: 'os' }),
  read: (folder) => readEntries(join(folder, 'wal')),
  line: record,
  stagingBytes: 0,
  entries: {
    log: { takes: [], good: ['late'], call: (sink, value) => (sink as WriteAheadLog).log(value as Batch) },
    'log of one record': { ...records, call: (sink, value) => (sink as WriteAheadLog).log([value] as Batch) },
    'log of a good record and one more': {
      ...records,
      call: (sink, value) => (sink as WriteAheadLog).log(['never stored', value] as Batch)
    },
    logSync: {
      takes: [],
      good: ['late'],
      call: (sink, value) => (sink as WriteAheadLog).logSync(value as Batch)
    },
    'logSync of one record': {
      ...records,
      call: (sink, value) => (sink as WriteAheadLog).logSync([value] as Batch)
    }
  },
  livePath: (folder) => join(folder, 'wal'),
  lockPath: (folder) => join(folder, 'wal', '.lock')
}

/** The entries of a log, up to the last commit; throws if anything is damaged. */
export function readEntries(walDir: string): string[] {
  if (!lstatSync(walDir, { throwIfNoEntry: false })?.isDirectory()) return []
  return readLog(walDir).entries.map(({ text }) => text)
}
