// The file by which a consumer of a log of files (a shipper) tells the writers of the log how far it is, and by which they tell
// it what they could not keep: `.<log>.consumer-<name>` beside the log. A kernel lock on byte 0 belongs to the consumer
// for as long as it lives. 8 192 bytes, four slots (slots.ts) of 2 048:
//
//      0  two slots that only the consumer writes: where it is, and its statistics
//   4096  two slots that only writers of the log write, under the lock of their upkeep: what was removed before the
//         consumer had got it
//
// A consumer of all logs in a folder has such a file for the folder, `..consumer-<name>` in it: as long as it lives, so do the
// files of its logs, and of a log that has none of this name yet it needs everything.
import * as v from 'valibot'

export const consumerSlotBytes = 2048
export const consumerFileBytes = 4 * consumerSlotBytes
/** Where the slots of the writers begin. */
export const lostAt = 2 * consumerSlotBytes
const MAX_CODE_LENGTH = 60

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const positionSchema = v.object({
  /** The file that is still needed, as cursors name it (`=` its own name, `>` that of the backup before it); '' for all. */
  file: v.string(),
  pid: whole,
  startedAtMs: whole,
  updatedAtMs: whole,
  target: v.string(),
  state: v.picklist(['open', 'degraded', 'closed', 'failed']),
  /** Records and bytes that the target has, in this run. */
  records: whole,
  bytes: whole,
  rejected: whole,
  retries: whole,
  /** Records and bytes that are in the log and not in the target; of records that were not read yet an estimate. */
  lagRecords: whole,
  lagBytes: whole,
  /** For how long the oldest of them has been waiting. */
  lagMs: whole,
  /** Code of the last error; empty for none. */
  lastError: v.string()
})

const lostSchema = v.object({
  /** Backups that were removed before the consumer had got them, since the file was made, and their bytes as stored. */
  backups: whole,
  bytes: whole,
  /** The newest of them. */
  last: v.string()
})

export type ConsumerPosition = v.InferOutput<typeof positionSchema>
export type LostBackups = v.InferOutput<typeof lostSchema>

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/

/** Letters, digits, `_`, `-` and, not at the start, `.`; at most 64. */
export function isLogConsumerName(name: string): boolean {
  return NAME.test(name) && !name.endsWith('.tmp')
}

export function consumerFileName(log: string, consumer: string): string {
  return `.${log}.consumer-${consumer}`
}

/** The consumer whose file of the log `log` is called so; undefined for any other file. */
export function consumerOf(log: string, fileName: string): string | undefined {
  const prefix = consumerFileName(log, '')
  if (!fileName.startsWith(prefix)) return undefined
  const name = fileName.slice(prefix.length)
  return isLogConsumerName(name) ? name : undefined
}

/** That of a consumer of all logs in the folder. */
export function folderConsumerFileName(consumer: string): string {
  return consumerFileName('', consumer)
}

/** The consumer of all logs in a folder whose file is called so; undefined for any other file. */
export function folderConsumerOf(fileName: string): string | undefined {
  return consumerOf('', fileName)
}

export function parsePosition(content: unknown): ConsumerPosition | undefined {
  const { success, output } = v.safeParse(positionSchema, content)
  return success ? output : undefined
}

export function parseLost(content: unknown): LostBackups | undefined {
  const { success, output } = v.safeParse(lostSchema, content)
  return success ? output : undefined
}

/** A code as it fits into a position. */
export function shortCode(code: string): string {
  return code.slice(0, MAX_CODE_LENGTH)
}
