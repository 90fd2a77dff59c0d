// The options every sink has; defaults may differ from sink to sink.
import { delay, durability, duration, flag, oneOf, option, permissions, size } from '../../base/options.ts'
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

/** The options of sinks whose file several processes can share. */
export const lockOptions = {
  lock: option(
    'boolean',
    flag,
    true,
    'Take a kernel lock for every batch, so that any number of processes and threads can share the file. `false` for a single writer.'
  ),
  lockTimeout: option(
    'duration',
    duration,
    '5s',
    'How long another holder of the lock is waited for before the sink calls itself degraded (and goes on trying).'
  )
}
