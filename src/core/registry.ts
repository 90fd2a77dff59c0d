// The only list of sinks: the CLI and the docs go through it. By getters, so that the build can load each kind when it is
// asked for: what a process loads delays its start. A pino target imports just its own kind.
import { argumentError } from '../base/bytes.ts'
import { LogboomError } from '../base/errors.ts'
import { eventFiles } from './event-files/kind.ts'
import { fileKinds } from './file-kinds.ts'
import type { SinkKind } from './sink/sink-kind.ts'

export const sinks = {
  get 'rotating-file'() {
    return fileKinds['rotating-file']
  },
  get 'direct-file'() {
    return fileKinds['direct-file']
  },
  get spool() {
    return fileKinds.spool
  },
  get 'binary-file'() {
    return fileKinds['binary-file']
  },
  get wal() {
    return fileKinds.wal
  },
  get 'event-files'() {
    return eventFiles
  }
} satisfies Record<string, SinkKind>

export type Kind = keyof typeof sinks

/** What the user may pass for each kind. */
export type KindOptions = { [K in Kind]: Parameters<(typeof sinks)[K]['create']>[0] }

export function isKind(name: string): name is Kind {
  return Object.hasOwn(sinks, name)
}

/** Throws `ERR_ARGUMENT` unless `kind` names one. */
export function requireKind(entry: string, kind: unknown): asserts kind is Kind {
  if (typeof kind === 'string' && isKind(kind)) return
  const wanted = `one of ${Object.keys(sinks).join(', ')}`
  if (typeof kind !== 'string') throw argumentError(entry, wanted, kind)
  throw new LogboomError('ERR_ARGUMENT', `${entry} takes ${wanted}, not ${JSON.stringify(kind.slice(0, 80))}`)
}
