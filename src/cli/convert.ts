// logboom convert: the records of a log of any format into a new log of any kind, counted and read back.
import { readdirSync, statSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { LogboomError, systemCode } from '../base/errors.ts'
import { printable } from '../base/printable.ts'
import { isKind, type Kind, sinks } from '../core/registry.ts'
import { notFound } from '../readers/engine/context.ts'
import { findLogs } from '../readers/find-logs.ts'
import { type Command, complain, type ExitCode, exitCodes, UsageError } from './command.ts'
import { Conversion, type ConversionReport, type NewlineRule, newlineRules } from './conversion.ts'
import { formatOption, inputFormat } from './inputs.ts'
import { Output } from './output.ts'
import { readInputs } from './read-inputs.ts'
import { flagsOf, optionsFrom, unknownKind } from './sink-flags.ts'

const kinds = Object.keys(sinks)
export const convert: Command = {
  name: 'convert',
  parameters: '<log> --to <kind> <path> [options]',
  summary: 'write the records of a log, of any format, to a new log of another kind',
  description: `The log is read as "logboom cat" does: a file with its backups, or a folder, such as one of segments
that etcd or go-binlogger wrote; - is stdin. The new log is made at <path>, where nothing may be yet, with the
options of the sink as flags (maxBytes is --max-bytes). It is flushed, read back and compared with what was written. If it cannot
be written for ten seconds, such as on a full disk, it ends with exit code 3; what was made by then stays, as it does when
it is interrupted.

Every record comes over unchanged, in order; of a folder of logs, the order within each of them. Not all
kinds can hold all records: a line (rotating-file, spool) cannot have a newline within it, see --newlines, and
direct-file and event-files have no empty records. What is left out is counted and told. A write-ahead log gives its
records new indices, from 1.

Kinds: ${kinds.join(', ')}. "logboom help convert --to <kind>" lists the options of a kind.`,
  options(args) {
    const kind = kindIn(args)
    const {
      path: _,
      dir: __,
      'wal-dir': ___,
      ...flags
    } = kind === undefined ? {} : flagsOf(sinks[kind].options)
    return {
      to: { type: 'string', value: 'kind', text: 'The kind of the new log.' },
      newlines: {
        type: 'string',
        value: 'what',
        text: 'A record with a newline in it, where records are lines: error (default) leaves it out, escape writes \\n in its place, split makes a record of each line.'
      },
      ...formatOption,
      ...flags
    }
  },
  examples: [
    'logboom convert events.bin --to rotating-file events.log --newlines escape',
    'logboom convert /var/lib/etcd/member/wal --to binary-file etcd.bin',
    'logboom convert logs/ --to event-files --output wal logs-wal/'
  ],
  async run(positionals, values) {
    const { to } = values as { to?: string }
    if (to === undefined) throw new UsageError(`--to is missing; known kinds: ${kinds.join(', ')}`)
    if (!isKind(to)) throw unknownKind(to)
    const newlines = newlineRules.find((rule) => rule === (values.newlines ?? 'error'))
    if (newlines === undefined) throw new UsageError(`--newlines must be ${newlineRules.join(', ')}`)
    const [source, path, ...rest] = positionals
    if (source === undefined || path === undefined)
      throw new UsageError('name a log and the path of the new one')
    if (rest.length > 0) throw new UsageError(`unexpected argument ${JSON.stringify(rest[0])}`)
    await requireNothing(source, path)
    const format = inputFormat(values)
    await requireLog(source, format)
    const conversion = new Conversion(source, path, to, newlines, optionsFrom(sinks[to].options, values))
    const options = {
      format,
      onCorrupt: 'skip-file' as const,
      includeUnterminated: true,
      writesToStdout: false
    }
    const code = await readInputs([source], options, (batch) => conversion.take(batch))
    return Math.max(code, await tellReport(await conversion.finish(), newlines, path)) as ExitCode
  }
}

async function tellReport(report: ConversionReport, newlines: NewlineRule, path: string): Promise<ExitCode> {
  const { read, written, found, withNewlines, empty, dropped } = report
  const parts = [`${count(read.records)} read, ${count(written.records)} written to ${path}`]
  if (withNewlines > 0) {
    const what = { error: 'left out', escape: 'escaped', split: 'split' }[newlines]
    parts.push(`${withNewlines} with a newline ${what}`)
  }
  if (empty > 0) parts.push(`${empty} empty left out`)
  if (dropped > 0) parts.push(`${dropped} dropped`)
  const leftOut = empty + (newlines === 'error' ? withNewlines : 0)
  const text = parts.join(', ')
  if (leftOut + dropped > 0) complain(text)
  else {
    const output = new Output()
    await output.text(`${printable(text)}\n`)
    await output.flush()
  }
  if (found.equals(written)) return leftOut > 0 ? exitCodes.damaged : exitCodes.fine
  complain(
    `${path} has ${count(found.records)} of ${found.bytes} bytes, and ${count(written.records)} of ${written.bytes} bytes ` +
      'were written to it: they were dropped or removed as its options say, or somebody changed it'
  )
  return exitCodes.io
}

function count(records: number): string {
  return `${records} ${records === 1 ? 'record' : 'records'}`
}

/** A new log must not be mixed with an old one, nor be read while it is written. */
async function requireNothing(source: string, path: string): Promise<void> {
  if (isFolder(source)) {
    const inner = relative(resolve(source), resolve(path))
    if (inner === '' || !(inner.startsWith('..') || inner === resolve(path)))
      throw new UsageError(`${path} is in the folder that is read`)
  }
  if (isFolder(path) ? readdirSync(path).length > 0 : (await findLogs(path, 'auto')).logs.length > 0) {
    throw new LogboomError('ERR_OPTION', `${path} exists; convert makes a new log`, { path })
  }
}

/** Else an empty log would be made, and be in the way of the next try. */
async function requireLog(source: string, format: string): Promise<void> {
  if (source === '-') return
  const { logs, failures } = await findLogs(source, format)
  if (logs.length === 0) throw failures[0] ?? notFound(source)
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false
    throw error
  }
}

/** The kind after `--to`, if it is one. */
function kindIn(args: readonly string[]): Kind | undefined {
  const at = args.findIndex((arg) => arg === '--to' || arg.startsWith('--to='))
  if (at === -1) return undefined
  const kind = args[at] === '--to' ? (args[at + 1] ?? '') : args[at].slice('--to='.length)
  if (isKind(kind)) return kind
  // Else a flag of the kind that was meant would be called unknown.
  if (kind !== '') throw unknownKind(kind)
  return undefined
}
