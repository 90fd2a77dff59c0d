// What is printed of a record, where that is not the record itself: some of its fields, or a form for people.
import { isatty } from 'node:tty'
import { parseRecord } from '../../readers/engine/record-time.ts'
import { type CliOption, type CliValues, UsageError } from '../command.ts'
import { showsColours } from '../terminal-text.ts'
import { pickFields } from './fields.ts'
import { createPrettifier } from './pretty.ts'

export const shapeOptions = {
  fields: {
    type: 'string',
    value: 'a,b.c',
    text: 'Of JSON records only these fields, in their order; a.b.c for nested ones. Other records are printed whole.'
  },
  pretty: {
    type: 'boolean',
    text: 'For people: through pino-pretty if it is installed beside this package, else time, level, message and the other fields in one line.'
  }
} as const satisfies Record<string, CliOption>

/** Makes the bytes to print of those of a record. */
export interface Shape {
  readonly of: (data: Buffer) => Buffer
  /** Nothing in the result acts on a terminal but its colours. */
  readonly isForTerminal: boolean
}

/** Undefined if records are printed as they are. */
export async function recordShape(values: CliValues): Promise<Shape | undefined> {
  const pretty = values.pretty === true
  const paths = values.fields === undefined ? undefined : parsePaths(values.fields as string)
  for (const form of ['raw', 'json', 'framed'])
    if (pretty && values[form] === true) throw new UsageError(`--pretty and --${form} exclude each other`)
  if (paths !== undefined && values.raw === true)
    throw new UsageError('--fields and --raw exclude each other')
  if (!pretty) return paths && { of: (data) => fieldsOf(data, paths), isForTerminal: false }
  const prettify = await createPrettifier(isatty(1) && showsColours())
  return { of: (data) => prettify(paths === undefined ? data : fieldsOf(data, paths)), isForTerminal: true }
}

function parsePaths(text: string): string[] {
  const paths = text.split(',').map((path) => path.trim())
  if (paths.includes(''))
    throw new UsageError(`--fields must be names with commas, got ${JSON.stringify(text)}`)
  return paths
}

function fieldsOf(data: Buffer, paths: readonly string[]): Buffer {
  const record = parseRecord(data)
  return record === undefined ? data : Buffer.from(JSON.stringify(pickFields(record, paths)))
}
