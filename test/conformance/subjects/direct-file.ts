// Direct files in the conformance suite.
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DirectFile } from 'logboom'
import { directFiles, readDirectFile } from '../../helpers/direct-file-reader.ts'
import { isRegular, record, type Subject } from '../subject.ts'

/** So that 40 records need more than one file. */
const PADDING = 4_000
const SHARD_BYTES = 64 * 1024
/** Both sets. */
const STAGING_BYTES = 2 * 2 * SHARD_BYTES

export const directFile: Subject = {
  kind: 'direct-file',
  options: (folder) => ({
    path: join(folder, 'app.log'),
    maxBytes: 2 * SHARD_BYTES,
    bufferSize: 2 * SHARD_BYTES,
    numShards: 2
  }),
  read: (folder) => readDirect(join(folder, 'app.log')),
  line: (index) => record(index, PADDING),
  syncs: ['write', 'writev', 'writevHashed'],
  stagingBytes: STAGING_BYTES,
  entries: {
    log: { good: 'late', call: (sink, value) => (sink as DirectFile).log(value as string) },
    logBytes: {
      takes: ['Uint8Array'],
      good: Buffer.from('late'),
      call: (sink, value) => (sink as DirectFile).logBytes(value as Uint8Array)
    }
  },
  livePath: (folder) => join(folder, 'app.log'),
  lockPath: (folder) => join(folder, '.app.log.lock')
}

/** The records of a direct file and its backups; throws if anything is damaged. */
export function readDirect(path: string): string[] {
  if (!existsSync(dirname(path))) return []
  const texts: string[] = []
  for (const file of directFiles(path)) {
    if (!isRegular(file) || statSync(file).size === 0) continue
    const { damage } = readDirectFile(file, (bytes) => texts.push(bytes.toString()))
    if (damage.length > 0) throw new Error(`${file}: ${JSON.stringify(damage[0])}`)
  }
  return texts
}
