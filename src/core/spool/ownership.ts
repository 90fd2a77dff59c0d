// Whether a file that was found, not made, can be trusted: in a folder that others may write to, anybody can plant one
// under the name of a manifest or a temp file.
import type { FileStat } from '../../io/disk.ts'
import { isForeign } from '../../io/open-file.ts'

const OTHERS_MAY_WRITE = 0o022

/** Why a manifest is not to be believed; undefined if it can be. */
export function manifestRefusal(stat: FileStat): string | undefined {
  return tempRefusal(stat) ?? sharedRefusal(stat)
}

/** Why a temp file is not to be published; undefined if it can be. It may have its final permissions already. */
export function tempRefusal(stat: FileStat): string | undefined {
  if (!stat.isFile) return 'it is not a regular file'
  if (isForeign(stat.uid)) return `it belongs to another user (uid ${stat.uid})`
  return undefined
}

function sharedRefusal(stat: FileStat): string | undefined {
  if ((stat.mode & OTHERS_MAY_WRITE) !== 0) return 'others may write to it'
  if (stat.nlink > 1) return 'it has a second name'
  return undefined
}
