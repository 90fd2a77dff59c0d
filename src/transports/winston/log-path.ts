// Where the log is that queries and streams read.
import { resolve } from 'node:path'
import { eventFileStem } from '../../core/event-files/event-name.ts'
import { type OutputKind, placeOf } from '../../core/event-files/output-kind.ts'
import type { CheckedOptions } from '../../core/sink/sink-kind.ts'

export interface LogPlace {
  /** A log, or a folder of logs. */
  readonly path: string
  /** What readers find out as well, but not of a file that is just being made. */
  readonly format: string
}

/** The log of a sink; of event files that of `event`, if one is asked for. */
export function logPlace(kind: string, options: CheckedOptions, event: string | undefined): LogPlace {
  const { path, folder, output } = options
  if (folder === undefined || output === undefined) return { path: resolve(path), format: formatOf(kind) }
  if (event === undefined) return { path: folder, format: formatOf(output) }
  const place = placeOf(output as OutputKind, folder, eventFileStem(event, output as OutputKind) ?? '')
  return { path: place.path ?? place.dir, format: formatOf(output) }
}

/** Formats are called as the kinds that write them, but one. */
function formatOf(kind: string): string {
  return kind === 'rotating-file' ? 'text' : kind
}
