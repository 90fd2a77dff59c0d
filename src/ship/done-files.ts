// Removes the files of a spool that the target has. Their names stay in the checkpoint until they are gone.
import { join } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../base/errors.ts'
import { parsePublishedName } from '../formats/spool.ts'
import type { Disk } from '../io/disk.ts'
import type { Checkpoint } from './checkpoint.ts'

/** More names would not fit into the checkpoint: who cannot remove files does not go on. */
const MAX_DONE = 500

/** What cannot be removed is tried again later, and is told. Throws `ERR_IO` if that is too much. */
export function removeDone(
  disk: Disk,
  folder: string,
  checkpoint: Checkpoint,
  warn: (error: LogboomError) => void
): void {
  const left: string[] = []
  let failure: LogboomError | undefined
  for (const name of checkpoint.state.done) {
    try {
      if (parsePublishedName(name) !== undefined) disk.unlink(join(folder, name))
    } catch (error) {
      if (systemCode(error) === 'ENOENT') continue
      const path = join(folder, name)
      const message = `cannot remove ${path}, which was shipped: ${errorMessage(error)}`
      failure ??= new LogboomError('ERR_IO', message, { path, cause: error })
      left.push(name)
    }
  }
  // Durable with the next batch: names of files that are gone do no harm.
  if (checkpoint.state.done.length > 0) checkpoint.state = { ...checkpoint.state, done: left }
  if (failure === undefined) return
  if (left.length > MAX_DONE) throw failure
  warn(failure)
}
