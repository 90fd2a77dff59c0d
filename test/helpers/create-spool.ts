// Spools for tests: no notices on stderr, published only when asked, closed at the end.
import { withInternals } from '../../src/core/sink/internals.ts'
import type { SpoolOptions } from '../../src/core/spool/options.ts'
import { Spool } from '../../src/core/spool/spool.ts'
import { SpoolLines } from '../../src/core/spool/spool-lines.ts'
import { type Disk, realDisk } from '../../src/io/disk.ts'
import { atTestEnd } from './at-test-end.ts'

const quiet = { fallback: false, flushInterval: 0, timeout: '60s' } as const

export function createSpool(options: SpoolOptions, disk: Disk = realDisk): Spool {
  const spool = withInternals({ disk }, () => new Spool({ ...quiet, ...options }))
  atTestEnd(() => spool.close().catch(() => {}))
  return spool
}

/** The spool as transports have it. */
export function createLines(options: SpoolOptions, disk: Disk = realDisk): SpoolLines {
  const lines = withInternals({ disk }, () => new SpoolLines({ ...quiet, ...options }))
  atTestEnd(() => lines.close().catch(() => {}))
  return lines
}

/** Sinks that are made in it give up closing after a second without progress, instead of eight. */
export function impatient<T>(create: () => T): T {
  return withInternals({ stallMs: 1_000 }, create)
}

/** Names of the events of a spool as they come, and the codes of its warnings. */
export function eventsOf(spool: Spool | SpoolLines): string[] {
  const events: string[] = []
  spool.on('degraded', () => events.push('degraded'))
  spool.on('recovered', () => events.push('recovered'))
  spool.on('warning', ({ code }) => events.push(code))
  return events
}
