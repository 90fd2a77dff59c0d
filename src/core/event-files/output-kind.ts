// Which kinds of files events can have, and where the file of an event is.
import { join } from 'node:path'
import type { FileKind } from '../shared-file/file-options.ts'

/** Kinds of which each event can have its own; a spool makes files of its own accord. */
export type OutputKind = Exclude<FileKind, 'spool'>

export const outputKinds: readonly OutputKind[] = ['rotating-file', 'direct-file', 'binary-file', 'wal']

export function extensionOf(kind: OutputKind): string {
  return kind === 'wal' ? '' : '.log'
}

/** The options that tell a sink where the log of an event is. */
export function placeOf(kind: OutputKind, folder: string, stem: string): Record<string, string> {
  if (kind !== 'wal') return { path: join(folder, `${stem}${extensionOf(kind)}`) }
  // Snapshots are beside the segments, so each event needs a folder for both.
  return { dir: join(folder, stem, 'wal'), snapDir: join(folder, stem, 'snap') }
}
