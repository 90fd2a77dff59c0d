// The order of backups of one log that were named in several ways: what is in their names cannot be compared.
import type { Backup } from './backup-name.ts'

/**
 * Each list has its order already. `mtimeMsOf`: when a file was last written to, ms since 1970. What several ways call
 * the same, as a pattern may spell out the usual names, is there once.
 */
export function mergeWays<T extends Pick<Backup, 'name'>>(
  lists: readonly (readonly T[])[],
  mtimeMsOf: (name: string) => number
): T[] {
  const seen = new Set<string>()
  const isNew = ({ name }: T): boolean => !seen.has(name) && seen.add(name) !== undefined
  const filled = lists.map((list) => list.filter(isNew)).filter(({ length }) => length > 0)
  if (filled.length < 2) return [...(filled[0] ?? [])]
  const all = filled.flat().map((backup) => ({ backup, mtimeMs: mtimeMsOf(backup.name) }))
  // Of the same time they stay as they are.
  return all.sort((a, b) => a.mtimeMs - b.mtimeMs).map(({ backup }) => backup)
}
