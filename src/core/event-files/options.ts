// Options of the event-files sink: its own and, passed on, those of the kind of file it writes.
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { LogboomError } from '../../base/errors.ts'
import { MAX_NAME_BYTES, requireNameRoom } from '../../base/file-name.ts'
import {
  count,
  delay,
  folder,
  givenOptions,
  namesOf,
  type OptionSpecs,
  type OptionsInput,
  type OptionsOutput,
  oneOf,
  option,
  optionalOption,
  optionError,
  parseOptions,
  path,
  size
} from '../../base/options.ts'
import type { fileKinds } from '../file-kinds.ts'
import { fileOptions } from '../shared-file/file-options.ts'
import type { LaneOptions } from '../sink/common-options.ts'
import type { CheckedOptions } from '../sink/sink-kind.ts'
import { eventFileStem } from './event-name.ts'
import { type OutputKind, outputKinds, placeOf } from './output-kind.ts'

const KEYS_RULE = 'must be a text that is not empty, or an array of such texts'

const eventName = v.pipe(
  v.string('must be a text'),
  v.check((value) => value.length > 0, 'must not be empty')
)

export const eventFilesOptions = {
  dir: optionalOption('path', folder, 'The folder of the files.'),
  path: optionalOption('path', path, 'In place of `dir`: a file, whose folder is used.'),
  output: optionalOption(
    outputKinds.map((name) => `\`'${name}'\``).join(', '),
    oneOf(outputKinds),
    "What the files are. Default: `'rotating-file'` for transports, `'direct-file'` for the class. All its options can be given, too; memory bounds are those of all files together."
  ),
  eventKey: option(
    'text, array of texts',
    v.union(
      [eventName, v.pipe(v.array(eventName), v.minLength(1, KEYS_RULE), v.maxLength(100, KEYS_RULE))],
      KEYS_RULE
    ),
    'event',
    'The key of a JSON line that holds the name; `req.host` for a nested one. Under `level` the numbers of pino mean their names. Of several keys the first one decides under which a line has a name.'
  ),
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
  idleClose: option('duration', delay, '5m', 'Close a file that nothing was written to for so long.'),
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

/** The options of an output that say where a log is: each event has a place of its own. */
const places = ['path', 'dir', 'walDir', 'snapDir'] as const
type Place = (typeof places)[number]

type OwnOptions = OptionsInput<typeof eventFilesOptions>
type ChildOptions<K extends OutputKind> = Omit<Parameters<(typeof fileKinds)[K]['create']>[0], Place>

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
  readonly mode: number
  readonly dirMode: number
  readonly mkdir: boolean
  readonly lock?: boolean
  readonly statistics?: boolean
  readonly backupDir?: string | undefined
  readonly lane?: false | LaneOptions | undefined
}

/** Checks the sink's own options and those of its files. Throws `ERR_OPTION` or `ERR_UNSUPPORTED`. */
export function parseEventFilesOptions(given: unknown, defaultOutput: OutputKind): ParsedEventFilesOptions {
  const input = givenOptions('event-files', given)
  const asked = outputKinds.find((name) => name === input.output) ?? defaultOutput
  const {
    dir,
    path: file,
    output = defaultOutput,
    ...rest
  } = parseOptions('event-files', tables[asked].specs, input, tables[asked].elsewhere) as OptionsOutput<
    typeof eventFilesOptions
  >
  if (dir === undefined && file === undefined) {
    throw new LogboomError(
      'ERR_OPTION',
      "event-files: option 'dir' is required, the folder of the files (or 'path', a file in it)"
    )
  }
  if (dir !== undefined && file !== undefined) {
    throw new LogboomError(
      'ERR_OPTION',
      "event-files: options 'dir' and 'path' both say where the files are; give one of them"
    )
  }
  const { eventKey, defaultEvent, maxOpenFiles, idleClose, maxEvents } = rest
  const own = { eventKey, defaultEvent, maxOpenFiles, idleClose, maxEvents }
  const folder = dir === undefined ? resolve(file as string, '..') : resolve(dir)
  const kind = output as OutputKind
  const path = join(folder, 'event-files')
  // Any event may have a name of any length.
  requireNameRoom('event-files', 'dir', path, MAX_NAME_BYTES - 'event-files'.length)
  const child = Object.fromEntries(
    Object.entries(input).filter(([name]) => !Object.hasOwn(eventFilesOptions, name))
  )
  if (kind === 'direct-file') refuseIdleRetention(child)
  // In one folder the file of an event could have a name like that of a backup of another one.
  if (child.backupName !== undefined && child.backupDir === undefined) {
    throw optionError(
      'event-files',
      'backupName',
      "needs 'backupDir', a folder of their own for backups",
      child.backupName
    )
  }
  const stem = eventFileStem(defaultEvent, kind) as string
  const checked = fileOptions[kind].check({ ...child, ...placeOf(kind, folder, stem) }) as CheckedChild
  return { ...checked, own, folder, output: kind, child, checked, path }
}

/** Direct files are not rotated unless told to, and what is about backups would silently do nothing. */
function refuseIdleRetention(options: Record<string, unknown>): void {
  const { maxBytes } = options
  if (maxBytes !== undefined && parseSize(maxBytes) !== 0) return
  for (const name of ['maxBackups', 'maxAge', 'maxTotalBytes', 'compress', 'onFinished']) {
    const value = options[name]
    if (value === undefined || value === 0 || value === false) continue
    const rule =
      "has no meaning without 'maxBytes', as files are never rotated (those of output: 'rotating-file' are, at 10 MiB)"
    throw optionError('event-files', name, rule, value)
  }
}

function parseSize(value: unknown): number | undefined {
  const result = v.safeParse(size, value)
  return result.success ? result.output : undefined
}

/** For each output: every option there is with it, and those that belong to other outputs. */
const tables = Object.fromEntries(outputKinds.map((kind) => [kind, tableOf(kind)])) as Record<
  OutputKind,
  { specs: OptionSpecs; elsewhere: ReadonlyMap<string, string> }
>

function tableOf(kind: OutputKind): { specs: OptionSpecs; elsewhere: ReadonlyMap<string, string> } {
  const elsewhere = new Map<string, string>()
  for (const other of outputKinds) {
    for (const name of namesOf(withoutPlace(fileOptions[other].options))) {
      const owner = elsewhere.get(name)
      elsewhere.set(name, owner === undefined ? `output: '${other}'` : `${owner} or '${other}'`)
    }
  }
  const specs = { ...withoutPlace(fileOptions[kind].options), ...eventFilesOptions }
  for (const name of namesOf(specs)) elsewhere.delete(name)
  return { specs, elsewhere }
}

function withoutPlace(specs: OptionSpecs): OptionSpecs {
  return Object.fromEntries(Object.entries(specs).filter(([name]) => !places.some((each) => each === name)))
}

/** The same for transports, which write lines: their files are text unless told otherwise. */
export function parseEventFilesTransportOptions(input: unknown): ParsedEventFilesOptions {
  return parseEventFilesOptions(input, 'rotating-file')
}
