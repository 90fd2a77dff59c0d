// Names for what is not part of a log yet. Something of somebody else may lie in the place of one: it is left alone.
import { join } from 'node:path'
import type { Disk } from '../../io/disk.ts'

const MAX_NAMES = 1_000
const TEMPORARY = /^\d{1,4}\.tmp$/

/** The path of a new temporary file `<n>.tmp`: readers of the log ignore it, and the next writer removes it. */
export function freeTempName(disk: Disk, folder: string): string {
  for (let number = 0; number < MAX_NAMES; number++) {
    const name = `${number}.tmp`
    if (!disk.exists(join(folder, name))) return name
  }
  throw new Error(`${folder} has ${MAX_NAMES} temporary files`)
}

/** Removes what writers that have died left unfinished. */
export function removeTemporary(disk: Disk, folder: string): void {
  for (const name of disk.readdir(folder)) {
    if (TEMPORARY.test(name) && disk.lstat(join(folder, name))?.isFile === true)
      disk.unlink(join(folder, name))
  }
}
