// Spools in the conformance suite: through the registry, where each line is one record.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { publishedNames } from '../../helpers/spool.ts'
import { isRecord, record, type Subject } from '../subject.ts'

export const spool: Subject = {
  kind: 'spool',
  options: (folder) => ({ path: join(folder, 'spool'), size: 2_000 }),
  read: (folder) => readPublished(join(folder, 'spool')),
  line: record,
  stagingBytes: 0,
  entries: {}
}

/** The lines of the published files; throws if one ends within a line. */
function readPublished(folder: string): string[] {
  return publishedNames(folder).flatMap((name) => {
    const lines = readFileSync(join(folder, name), 'utf8').split('\n')
    if (lines.pop() !== '') throw new Error(`${name} ends within a line`)
    return lines.filter(isRecord)
  })
}
