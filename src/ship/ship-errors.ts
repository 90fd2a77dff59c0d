// What a shipper is given wrongly, and how it ends.
import { errorMessage, LogboomError } from '../base/errors.ts'
import type { LostBackups } from '../formats/log-consumer.ts'
import type { SourceLog } from './source.ts'
import type { ShipTarget } from './target.ts'

export function requireSource(source: unknown, target: unknown): void {
  const isTarget =
    typeof target === 'object' && target !== null && 'send' in target && typeof target.send === 'function'
  if (typeof source === 'string' && source !== '' && isTarget) return
  const message = 'shipper: source must be the path of a log, and target what it is shipped to'
  throw new LogboomError('ERR_OPTION', message)
}

/** A spool is collected by somebody, and which of its files were is known only by their being gone. */
export function requireRemoval({ path, reader }: SourceLog, removesShipped: boolean): void {
  const isSpool = reader.format === 'spool'
  if (isSpool === removesShipped) return
  const message = isSpool
    ? `${path} is a spool, whose files somebody has to take away: it is shipped with removeShipped`
    : `removeShipped is for a spool; what becomes of the files of ${path} is up to those who write it`
  throw new LogboomError('ERR_OPTION', message, { path })
}

/** With how much was removed, as far as those who did it have noted. */
export function withLoss(error: unknown, lost: LostBackups | undefined): unknown {
  const isLoss = error instanceof LogboomError && error.code === 'ERR_CURSOR_LOST'
  if (!isLoss || lost === undefined) return error
  const { backups, bytes, last } = lost
  const much = `its writers have removed ${backups} files (${bytes} bytes) that were not shipped, the last of them ${last}`
  const message = `${error.message.replace(/ \[ERR_\w+\]$/, '')}; ${much}`
  return new LogboomError('ERR_CURSOR_LOST', message, { path: error.path, cause: error })
}

export function wrongAnswer({ name }: ShipTarget, answer: unknown): LogboomError {
  const rule = 'send must resolve with a list of the records that it refuses'
  return new LogboomError('ERR_TARGET', `${name}: ${rule}, not with ${String(answer)}`)
}

export function refusedError({ name }: ShipTarget, error: Error): LogboomError {
  return new LogboomError('ERR_TARGET', `${name} refuses what is shipped: ${errorMessage(error)}`, {
    cause: error
  })
}
