// Options of the event-files sink: its own and, passed on, those of the kind of file it writes.
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import {
  count,
  duration,
  type OptionsInput,
  type OptionsOutput,
  oneOf,
  option,
  optionalOption,
  optionError,
  parseOptions,
  path
} from '../../base/options.ts'
import type { fileKinds } from '../file-kinds.ts'
import { type FileKind, fileOptions } from '../shared-file/file-options.ts'
import type { CheckedOptions } from '../sink/sink-kind.ts'
import { eventFileStem } from './event-name.ts'

/** Kinds of which each event can have its own; a spool makes files of its own accord. */
export type OutputKind = Exclude<FileKind, 'spool'>

const outputs: OutputKind[] = ['rotating-file', 'direct-file', 'binary-file', 'wal']

const eventName = v.pipe(
  v.string('must be a text'),
  v.check((value) => value.length > 0, 'must not be empty')
)

export const eventFilesOptions = {
  dir: optionalOption('path', path, 'The folder of the files.'),
  path: optionalOption('path', path, 'In place of `dir`: a file, whose folder is used.'),
  output: optionalOption(
    outputs.map((name) => `\`'${name}'\``).join(', '),
    oneOf(outputs),
    "What the files are. Default: `'rotating-file'` for transports, `'direct-file'` for the class. All its options can be given, too; memory bounds are those of all files together."
  ),
  eventKey: option('text', eventName, 'event', 'The top-level key of a JSON line that holds the name.'),
  defaultEvent: option('text', eventName, 'default', 'Where lines without such a text go.'),
  maxOpenFiles: option(
    'count',
    v.pipe(
      count,
      v.check((value) => value >= 2, 'must be at least 2')
    ),
    256,
    'Descriptors held for files; the least recently used one closes. Kinds with a lock file take two each, a wal three.'
  ),
  idleClose: option('duration', duration, '5m', 'Close a file that nothing was written to for so long.'),
  maxEvents: option(
    'count',
    v.pipe(
      count,
      v.check((value) => value > 0, 'must be at least 1')
    ),
    10_000,
    'Further names go to `defaultEvent`, with a warning.'
  )
}

type OwnOptions = OptionsInput<typeof eventFilesOptions>
type ChildOptions<K extends OutputKind> = Omit<
  Parameters<(typeof fileKinds)[K]['create']>[0],
  'path' | 'walDir' | 'snapDir'
>

/** Options of `LoggerManager` and of the transports of kind `event-files`. */
export type EventFilesOptions = Omit<OwnOptions, 'output'> &
  (
    | ({ output?: undefined } & (ChildOptions<'rotating-file'> | ChildOptions<'direct-file'>))
    | { [K in OutputKind]: { output: K } & ChildOptions<K> }[OutputKind]
  )

export interface ParsedEventFilesOptions extends CheckedOptions {
  readonly own: Omit<OptionsOutput<typeof eventFilesOptions>, 'output' | 'dir' | 'path'>
  readonly folder: string
  readonly output: OutputKind
  /** As given, without a path. */
  readonly child: Record<string, unknown>
  /** The child's options after the check; those every sink has are needed here. */
  readonly checked: CheckedChild
}

export interface CheckedChild extends CheckedOptions {
  readonly durability: 'none' | 'os' | 'disk'
  readonly flushInterval: number
  readonly lock?: boolean
}

/** Checks the sink's own options and those of its files. Throws `ERR_OPTION` or `ERR_UNSUPPORTED`. */
export function parseEventFilesOptions(input: unknown, defaultOutput: OutputKind): ParsedEventFilesOptions {
  const given = Object.entries(Object(input) as object)
  const own = parseOptions(
    'event-files',
    eventFilesOptions,
    input === null || typeof input !== 'object' || Array.isArray(input)
      ? input
      : Object.fromEntries(given.filter(([name]) => name in eventFilesOptions))
  )
  const { dir, path: file, output = defaultOutput } = own
  if ((dir === undefined) === (file === undefined)) {
    throw optionError('event-files', 'dir', 'or `path` is required, and not both', dir)
  }
  const child = Object.fromEntries(given.filter(([name]) => !(name in eventFilesOptions)))
  const folder = dir === undefined ? resolve(file as string, '..') : resolve(dir)
  const kind = output as OutputKind
  const stem = eventFileStem(own.defaultEvent, extensionOf(kind)) as string
  const checked = fileOptions[kind].check({ ...child, ...placeOf(kind, folder, stem) }) as CheckedChild
  return { ...checked, own, folder, output: kind, child, checked, path: join(folder, 'event-files') }
}

export function extensionOf(kind: OutputKind): string {
  return kind === 'wal' ? '' : '.log'
}

/** The options that tell a sink where the log of an event is. */
export function placeOf(kind: OutputKind, folder: string, stem: string): Record<string, string> {
  if (kind !== 'wal') return { path: join(folder, `${stem}${extensionOf(kind)}`) }
  // Snapshots are beside the segments, so each event needs a folder for both.
  return { walDir: join(folder, stem, 'wal'), snapDir: join(folder, stem, 'snap') }
}
