// The only list of sinks: the CLI and the docs go through it. A pino target imports just its own kind, because what
// a worker loads delays its start.
import { eventFiles } from './event-files/kind.ts'
import { fileKinds } from './file-kinds.ts'
import type { SinkKind } from './sink/sink-kind.ts'

export const sinks = { ...fileKinds, 'event-files': eventFiles } satisfies Record<string, SinkKind>

export type Kind = keyof typeof sinks

/** What the user may pass for each kind. */
export type KindOptions = { [K in Kind]: Parameters<(typeof sinks)[K]['create']>[0] }

export function isKind(name: string): name is Kind {
  return Object.hasOwn(sinks, name)
}
