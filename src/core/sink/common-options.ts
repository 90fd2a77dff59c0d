// The options every sink has; defaults may differ from sink to sink.
import * as v from 'valibot'
import { LogboomError } from '../../base/errors.ts'
import {
  delay,
  durability,
  duration,
  flag,
  folder,
  isChecked,
  oneOf,
  option,
  optionalOption,
  permissions,
  size
} from '../../base/options.ts'
import { native, needsAddon } from '../../native/index.ts'
import type { Durability } from './contract.ts'

export interface CommonDefaults {
  durability: Durability
  flushInterval: string
}

/** The common part of a sink's option specs. */
export function commonOptions(defaults: CommonDefaults) {
  return {
    durability: option(
      "`'none'`, `'os'`, `'disk'`",
      durability,
      defaults.durability,
      'What an accepted write means when `flush()` resolves and when a transport acknowledges it: in memory, handed to the kernel (survives the death of the process), or fdatasync done (survives power loss).'
    ),
    flushInterval: option(
      'duration',
      delay,
      defaults.flushInterval,
      'Longest time a record stays in memory.'
    ),
    maxBufferBytes: option(
      'size',
      size,
      '64m',
      'Bound of the memory held for records not yet written. A single larger record is taken when nothing else waits.'
    ),
    overflow: option(
      "`'block'`, `'drop-newest'`, `'drop-oldest'`",
      oneOf(['block', 'drop-newest', 'drop-oldest']),
      'block',
      'What happens at that bound: back-pressure (a caller that ignores it is blocked), or drop and count. Drops are reported by the event `dropped` and by a record in the log itself.'
    ),
    mode: option(
      'permissions',
      permissions,
      '0640',
      "Permissions of new files, whatever the umask; octal, as a number (`0o640`) or text (`'0640'`)."
    ),
    dirMode: option('permissions', permissions, '0750', 'Permissions of new folders.'),
    mkdir: option('boolean', flag, true, 'Create missing folders.'),
    foreignOwner: option(
      "`'refuse'`, `'allow'`",
      oneOf(['refuse', 'allow']),
      'refuse',
      'Whether a file of this log that belongs to another user (not root) is used. `allow` where several users share a log on purpose.'
    ),
    fallback: option(
      "`'stderr'`, `false`",
      oneOf(['stderr', false]),
      'stderr',
      'Where a rate-limited notice goes when writing fails; `false` for none.'
    )
  }
}

const LANE_RULE = 'must be true, false or an object with `dir` and `maxBytes`'

/** Where a lane is, and how large. */
export interface LaneOptions {
  readonly dir?: string | undefined
  readonly maxBytes?: number | undefined
}

const MIN_LANE_BYTES = 64 * 1024
const MAX_LANE_BYTES = 1024 * 1024 * 1024

const laneSize = v.pipe(
  size,
  v.check(
    (value) => value >= MIN_LANE_BYTES && value <= MAX_LANE_BYTES,
    "must have a `maxBytes` from '64k' to '1g'"
  )
)

const lane = v.pipe(
  v.union(
    [
      v.boolean(),
      v.pipe(
        v.custom<{ dir?: string | URL; maxBytes?: string | number }>(isPlainObject),
        v.strictObject({ dir: v.optional(folder), maxBytes: v.optional(laneSize) })
      )
    ],
    (issue) => issue.issues?.find(({ message }) => message.startsWith('must have'))?.message ?? LANE_RULE
  ),
  v.transform((value): false | LaneOptions => (value === true ? {} : value))
)

/** Whether it can be meant for options: with members, and nothing else. */
function isPlainObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** The option of sinks that can keep records in a lane. */
export const laneOptions = {
  lane: optionalOption(
    '`true`, `false`, object',
    lane,
    'Keep records that are not written yet in memory that outlives the process, so that a record is safe when the call that logged it has returned (see [lane.md](lane.md)). An object with `dir`, a folder for it, and `maxBytes`, its size. By default `true` where a worker of this package writes, else `false`.'
  )
}

/** The options of sinks whose file several processes can share. */
export const lockOptions = {
  lock: option(
    'boolean',
    flag,
    true,
    'Take a kernel lock for every batch, so that any number of processes and threads can share the file. Without the native addon one thread of one process at a time writes it and the others wait; given as `true`, that is refused. `false` for a single writer.'
  ),
  lockTimeout: option(
    'duration',
    duration,
    '5s',
    'How long another holder of the lock is waited for before the sink calls itself degraded (and goes on trying).'
  ),
  statistics: option(
    'boolean',
    flag,
    false,
    'Keep a record of what this writer does beside the log, for `logboom top` and `logboom metrics`; written at most once a second. Needs `lock`.'
  )
}

/** Throws `ERR_UNSUPPORTED` if `lock` is asked for, not just left as it is, where there are no kernel locks. */
export function refuseLockWithoutKernel(kind: string, input: unknown): void {
  if (native.canLock || isChecked(input) || (input as { lock?: unknown }).lock !== true) return
  throw new LogboomError(
    'ERR_UNSUPPORTED',
    `${needsAddon(`${kind}: 'lock: true'`)}; without the option one thread of one process at a time writes the file`
  )
}
