// Files that root creates beside those of a service would lock that out: they are given to the owner of the log.
import { lchownSync, lstatSync } from 'node:fs'

export interface FileOwner {
  readonly uid: number
  readonly gid: number
}

/** Gives those of `paths` that are there to `owner`, if this process may. */
export function keepOwner(paths: readonly string[], { uid, gid }: FileOwner): void {
  if (process.geteuid?.() !== 0) return
  for (const path of paths) {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found !== undefined && (found.uid !== uid || found.gid !== gid)) lchownSync(path, uid, gid)
  }
}
