// Rotating files in the conformance suite.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { RotatingFile } from 'logboom'
import { groupBackups } from '../../../src/formats/backup-name.ts'
import { isRegular, record, type Subject } from '../subject.ts'

export const rotatingFile: Subject = {
  kind: 'rotating-file',
  options: (folder) => ({ path: join(folder, 'app.log'), maxBytes: 2_000 }),
  read: (folder) => readLines(join(folder, 'app.log')),
  line: record,
  stagingBytes: 0,
  entries: {
    writeLine: {
      takes: ['text', 'Uint8Array'],
      good: 'late',
      call: (sink, value) => (sink as RotatingFile).writeLine(value as string)
    }
  },
  livePath: (folder) => join(folder, 'app.log'),
  lockPath: (folder) => join(folder, '.app.log.lock')
}

/** The lines of a text log and its backups; throws if the last one has no end. */
export function readLines(path: string): string[] {
  if (!existsSync(dirname(path))) return []
  const names = readdirSync(dirname(path)).filter((name) => isRegular(join(dirname(path), name)))
  const backups = groupBackups(basename(path), names).map(({ name }) => name)
  const files = names.includes(basename(path)) ? [...backups, basename(path)] : backups
  return files.flatMap((name) => {
    const lines = readFileSync(join(dirname(path), name), 'utf8').split('\n')
    if (lines.pop() !== '') throw new Error(`${name} ends within a line`)
    return lines
  })
}
