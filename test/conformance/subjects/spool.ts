// Spools in the conformance suite: through the registry, where each line is one record.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SpoolLines } from '../../../src/core/spool/spool-lines.ts'
import { native } from '../../../src/native/index.ts'
import { hiddenNames, publishedNames } from '../../helpers/spool.ts'
import { until } from '../../helpers/until.ts'
import { record, type Subject } from '../subject.ts'

export const spool: Subject = {
  kind: 'spool',
  options: (folder) => ({ path: join(folder, 'spool'), size: 2_000 }),
  read: (folder) => readPublished(join(folder, 'spool')),
  readStored: (folder) => [...readPublished(join(folder, 'spool')), ...readTemp(join(folder, 'spool'))],
  async recover(folder) {
    const next = new SpoolLines({ path: join(folder, 'spool'), fallback: false })
    // Without the addon nobody recovers anything.
    if (native.canLock) {
      const isLeft = (): boolean => hiddenNames(join(folder, 'spool')).some((name) => name.endsWith('.tmp'))
      await until(() => !isLeft(), { what: 'everything is recovered' })
    }
    await next.close()
  },
  line: record,
  syncs: ['publishFile'],
  stagingBytes: 0,
  entries: {}
}

/** The lines of the published files; throws if one ends within a line. */
function readPublished(folder: string): string[] {
  if (!existsSync(folder)) return []
  return publishedNames(folder).flatMap((name) => {
    const lines = readFileSync(join(folder, name), 'utf8').split('\n')
    if (lines.pop() !== '') throw new Error(`${name} ends within a line`)
    return lines
  })
}

/** The whole lines in temp files, which are recovered when their process has died. */
function readTemp(folder: string): string[] {
  return hiddenNames(folder)
    .flatMap((name) => readFileSync(join(folder, name), 'latin1').split('\n').slice(0, -1))
    .filter((line) => line.startsWith('record '))
}
