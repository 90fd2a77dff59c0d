// The order of backups of one log that were named in several ways: what is in their names cannot be compared.
import type { Backup } from './backup-name.ts'

/** Each list has its order already. `mtimeMsOf`: when a file was last written to, ms since 1970. */
export function mergeWays<T extends Pick<Backup, 'name'>>(
  lists: readonly (readonly T[])[],
  mtimeMsOf: (name: string) => number
): T[] {
  const filled = lists.filter(({ length }) => length > 0)
  if (filled.length < 2) return [...(filled[0] ?? [])]
  const all = filled.flat().map((backup) => ({ backup, mtimeMs: mtimeMsOf(backup.name) }))
  // Of the same time they stay as they are.
  return all.sort((a, b) => a.mtimeMs - b.mtimeMs).map(({ backup }) => backup)
}
