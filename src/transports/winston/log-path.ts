// Where the log is that queries and streams read.
import { resolve } from 'node:path'
import { eventFileStem } from '../../core/event-files/event-name.ts'
import { type OutputKind, placeOf } from '../../core/event-files/output-kind.ts'
import type { CheckedOptions } from '../../core/sink/sink-kind.ts'

/** The log, or the folder of logs; of event files that of `event`, if one is asked for. */
export function pathOf({ path, folder, output }: CheckedOptions, event: string | undefined): string {
  if (event === undefined || folder === undefined || output === undefined) return resolve(folder ?? path)
  const kind = output as OutputKind
  const place = placeOf(kind, folder, eventFileStem(event, kind) ?? '')
  return place.path ?? place.dir
}
