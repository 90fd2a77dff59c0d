// Write-ahead logs in the conformance suite.
import { cpSync, lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WriteAheadLog } from 'logboom'
import { finishHandover } from '../../../src/core/wal/handover.ts'
import { realDisk } from '../../../src/io/disk.ts'
import { readLog } from '../../helpers/wal-log.ts'
import { record, type Subject } from '../subject.ts'

type Batch = string[]

const records = { takes: ['text', 'Uint8Array'] }

export const wal: Subject = {
  kind: 'wal',
  options: (folder) => ({ walDir: join(folder, 'wal'), segmentBytes: 4_096, durability: 'os' }),
  read: (folder) => readEntries(join(folder, 'wal')),
  readStored: (folder) => readAfterDeath(join(folder, 'wal')),
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

/** What the next start would find, were the process to die now: it finishes a move to the next segment. */
export function readAfterDeath(walDir: string): string[] {
  if (!lstatSync(walDir, { throwIfNoEntry: false })?.isDirectory()) return []
  const copy = mkdtempSync(join(tmpdir(), 'logboom-test-'))
  try {
    cpSync(walDir, copy, { recursive: true })
    finishHandover(realDisk, copy, 'refuse')
    return readEntries(copy)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}
