// What a reading operation carries along: its options, and the account of the damage it met.
import { LogboomError } from '../../base/errors.ts'
import type { Damage, Note, OnCorrupt, OnLost, ReadContext } from '../reader.ts'
import { recordsLost } from './cursor.ts'

export const DEFAULT_MAX_RECORD_BYTES = 64 * 1024 * 1024

/** Damages beyond this number are counted, but not remembered one by one. */
export const MAX_DAMAGE = 1000

/** The damage met so far. */
export interface DamageReport {
  /** At most 1 000. */
  damage: Damage[]
  /** All bytes that belong to no returned record, as stored. */
  skippedBytes: number
  /** At most 1 000. */
  notes: Note[]
}

export function emptyReport(): DamageReport {
  return { damage: [], skippedBytes: 0, notes: [] }
}

export interface ContextOptions
  extends Partial<Omit<ReadContext, 'damaged' | 'note' | 'settle' | 'signal' | 'lost' | 'onLost'>> {
  onCorrupt?: OnCorrupt
  onLost?: OnLost | undefined
  signal?: AbortSignal | undefined
  report?: DamageReport
  /** Called when something was added to the report. */
  onReport?: () => void
}

/** A context with defaults: read once from the start to the end and throw on damage. */
export function createContext(options: ContextOptions = {}): ReadContext {
  const report = options.report ?? emptyReport()
  const onCorrupt = options.onCorrupt ?? 'throw'
  const { from = 'start' } = options
  // Who goes on behind a cursor counts on it that nothing is missing.
  const onLost = options.onLost ?? (isCursor(from) ? 'throw' : 'note')
  let unsettled: Damage | undefined
  const note = (each: Note): void => {
    if (report.notes.length < MAX_DAMAGE) report.notes.push(each)
    options.onReport?.()
  }
  return {
    from,
    onLost,
    span: options.span,
    follow: options.follow ?? false,
    includeUnterminated: options.includeUnterminated ?? false,
    maxRecordBytes: options.maxRecordBytes ?? DEFAULT_MAX_RECORD_BYTES,
    reuseBuffers: options.reuseBuffers ?? false,
    signal: options.signal ?? new AbortController().signal,
    progress: options.progress ?? (() => {}),
    caughtUp: options.caughtUp,
    note,
    lost(path, reason) {
      if (onLost === 'throw') throw recordsLost(path, reason)
      note({ path, text: `records were removed before they were read: ${reason}` })
    },
    damaged(damage) {
      unsettled ??= damage
      report.skippedBytes += damage.bytes
      if (report.damage.length < MAX_DAMAGE) report.damage.push(damage)
      options.onReport?.()
    },
    settle() {
      const damage = unsettled
      unsettled = undefined
      if (damage === undefined || onCorrupt === 'skip-file') return true
      if (onCorrupt === 'stop') return false
      throw corruptError(damage)
    }
  }
}

function isCursor(from: ReadContext['from']): boolean {
  return typeof from === 'object' && ('cursor' in from || 'cursors' in from)
}

/** The `ERR_CORRUPT` of a damage. */
export function corruptError({ file, offset, bytes, reason }: Damage): LogboomError {
  const text = `${file} is damaged at offset ${offset}: ${reason} (${bytes} bytes not readable)`
  return new LogboomError('ERR_CORRUPT', text, { path: file, offset })
}

export function notFound(path: string): LogboomError {
  return new LogboomError('ERR_NOT_FOUND', `there is no log at ${path}`, { path })
}
