// Where the log is that queries and streams read.
import { resolve } from 'node:path'
import { eventFileStem } from '../../core/event-files/event-name.ts'
import { type OutputKind, placeOf } from '../../core/event-files/output-kind.ts'
import type { CheckedOptions } from '../../core/sink/sink-kind.ts'

export interface LogPlace {
  /** A log, or a folder of logs. */
  readonly path: string
  /** For readers: a folder that is a log does not tell as long as there is nothing in it. */
  readonly format: string
}

/** The log of a sink; of event files that of `event`, if one is asked for. */
export function logPlace(kind: string, options: CheckedOptions, event: string | undefined): LogPlace {
  const { path, folder, output } = options
  if (folder === undefined || output === undefined) return { path: resolve(path), format: formatOf(kind) }
  if (event === undefined) return { path: folder, format: 'auto' }
  const place = placeOf(output as OutputKind, folder, eventFileStem(event, output as OutputKind) ?? '')
  return { path: place.path ?? place.dir, format: formatOf(output) }
}

function formatOf(kind: string): string {
  return kind === 'wal' || kind === 'spool' ? kind : 'auto'
}
