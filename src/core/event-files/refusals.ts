// Events whose files cannot be had: when the next attempt is due, and whether their records are to wait for it.
import { monotonicMs } from '../../base/clock.ts'
import { Backoff } from '../sink/backoff.ts'
import type { EventEntry } from './outputs.ts'

/** A file that was refused is tried again within a second of the cause going away. */
const LIMITS = { minMs: 50, maxMs: 800 }

interface Refusal {
  readonly backoff: Backoff
  untilMs: number
  isFinal: boolean
}

export class Refusals {
  readonly #refusals = new Map<EventEntry, Refusal>()

  /** Notes one more; true if it is the first since the event's file was last had. */
  add(entry: EventEntry, isFinal: boolean): boolean {
    const known = this.#refusals.get(entry)
    const refusal = known ?? { backoff: new Backoff(LIMITS), untilMs: 0, isFinal }
    refusal.isFinal = isFinal
    refusal.untilMs = monotonicMs() + refusal.backoff.next()
    this.#refusals.set(entry, refusal)
    return known === undefined
  }

  /** The file of the event can be had again. */
  delete(entry: EventEntry): void {
    if (this.#refusals.size > 0) this.#refusals.delete(entry)
  }

  /** Whether the next attempt is not due yet. */
  mustWait(entry: EventEntry): boolean {
    if (this.#refusals.size === 0) return false
    return monotonicMs() < (this.#refusals.get(entry)?.untilMs ?? 0)
  }

  /** Whether records of the event are to be dropped meanwhile, as nothing says that the cause will pass. */
  isFinal(entry: EventEntry): boolean {
    return this.#refusals.get(entry)?.isFinal === true
  }
}

/** Codes of what stands in the place of a file and does not go away by itself. */
const OBSTACLES = new Set(['ENOTDIR', 'EISDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG', 'ENXIO'])
const REFUSALS = new Set([
  'ERR_NOT_FILE',
  'ERR_SYMLINK',
  'ERR_OWNER',
  'ERR_LOCKED',
  'ERR_FORMAT',
  'ERR_CORRUPT',
  'ERR_OPTION',
  'ERR_UNSUPPORTED'
])

/** Whether waiting would not help. */
export function isObstacle(code: string | undefined): boolean {
  return code !== undefined && (OBSTACLES.has(code) || REFUSALS.has(code))
}

const WHOLE_DISK = new Set([
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'EROFS',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ERR_SYNC',
  'ERR_SPACE'
])

/** Whether the cause is likely to be that of all files. */
export function isWholeDisk(code: string | undefined): boolean {
  return code !== undefined && WHOLE_DISK.has(code)
}
