// logboom adopt: gives the files that another package has left the names of backups, so that they are read, compressed and
// removed as ours are.
import { lstatSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { requireNameRoom } from '../base/file-name.ts'
import { printable } from '../base/printable.ts'
import { carryOut, refuseOpen, whoHasOpen } from './adopt/carry-out.ts'
import { Journal } from './adopt/journal.ts'
import { wayOf } from './adopt/new-names.ts'
import { knownPackages, oldPackages, packageNamed } from './adopt/packages.ts'
import { makePlan, type Plan, type PlanOptions, type Step } from './adopt/plan.ts'
import {
  type CliValues,
  type Command,
  complain,
  type ExitCode,
  exitCodes,
  timeOption,
  UsageError
} from './command.ts'
import { Output } from './output.ts'
import { formatTable } from './units.ts'

export const adopt: Command = {
  name: 'adopt',
  parameters: '<log> --from <package>',
  summary: "take over the files that another package has left, as this log's backups",
  description: `<log> is the path that is to be logged to. The files of the other package in its folder, by the names that
it gives them, are renamed to backups of the log, in their order and with the times at which they were finished,
compressed ones too; the newest one becomes the log, where that package writes to a dated or numbered file. So
they are read, compressed and removed as backups of this package are. Symbolic links to them are kept right.

Shows what it would do and does nothing, unless --apply is given. Nothing is ever overwritten; what it is not
sure of is left and told. It takes the lock of the log, and refuses while another program has one of the files
open to write (as far as Linux tells: as root it sees all). If it is killed, the same command goes on.

Packages: ${knownPackages()}.`,
  options: () => ({
    from: { type: 'string', value: 'package', text: 'The package that wrote the files.' },
    apply: { type: 'boolean', text: 'Do it.' },
    files: {
      type: 'string',
      value: 'template',
      text: 'How the files are called, if not as the package does by default: a name with %DATE%, %N% (a number) or both, such as web-%DATE%.txt; .gz may follow.'
    },
    'backup-name': {
      type: 'string',
      value: 'pattern',
      text: 'How backups are called, if the log is to be written with the option backupName; by default as its writers have noted, else as usual.'
    },
    'backup-dir': {
      type: 'string',
      value: 'folder',
      text: 'The folder of backups, if the log is to be written with the option backupDir; likewise.'
    },
    'date-pattern': {
      type: 'string',
      value: 'pattern',
      text: 'How the date in names is written: YYYY, MM, DD, HH, mm, ss, SSS. By default year, month and day, then perhaps hour, minute and second.'
    },
    utc: {
      type: 'boolean',
      negatable: true,
      text: 'Whether dates in names are UTC. By default they are in local time, those of lumberjack in UTC.'
    },
    tailable: {
      type: 'boolean',
      negatable: true,
      text: "Whether winston's option tailable was on, where the times of the files do not tell."
    },
    tidy: {
      type: 'boolean',
      text: 'Remove the list that the package kept of its files (audit file, history), too.'
    },
    'even-if-open': { type: 'boolean', text: 'Go on although another program has files open.' },
    timeout: { type: 'string', value: 'seconds', text: 'How long to wait for the lock of the writers (10).' },
    json: { type: 'boolean', text: 'One JSON object per step: do, from or name, to.' }
  }),
  examples: [
    'logboom adopt logs/app.log --from winston-daily-rotate-file',
    'logboom adopt logs/app.log --from pino-roll --apply',
    'logboom adopt logs/web.log --from log4js --files web.%DATE%.txt --date-pattern YYYY.MM.DD --apply'
  ],
  async run(positionals, values) {
    const request = requestOf(positionals, values)
    const { path, isJson } = request
    const output = new Output()
    const begun = new Journal(path).read()
    let plan: Plan | undefined
    if (begun === undefined) {
      plan = request.plan()
      tellLeft(path, plan)
    } else complain(`${path}: an adoption was interrupted; these are its steps`)
    const steps = begun?.steps ?? plan?.steps ?? []
    if (steps.length === 0) {
      if (!isJson)
        await output.text(`nothing to take over: no file there has a name that ${request.from} gives\n`)
      await output.flush()
      return exitCodes.fine
    }
    if (values.apply === true) return await apply(request, steps, output)
    await output.text(isJson ? jsonOf(steps) : formatTable(steps.map(row)))
    if (!isJson)
      await output.text(
        `${plan === undefined ? '' : outcome(plan, path)}Nothing was changed; --apply does it.\n`
      )
    await output.flush()
    warnOfOpen(path, steps)
    return exitCodes.fine
  }
}

interface Request {
  readonly path: string
  readonly from: string
  readonly isJson: boolean
  readonly evenIfOpen: boolean
  readonly timeoutMs: number
  plan(): Plan
}

function requestOf(positionals: readonly string[], values: CliValues): Request {
  const [given, ...rest] = positionals
  if (given === undefined) throw new UsageError('name the log that is to be written to')
  if (rest.length > 0) throw new UsageError(`adopt takes one log, got ${JSON.stringify(rest[0])}, too`)
  if (given === '' || /[\\/]$/.test(given) || isFolder(given))
    throw new UsageError(`${JSON.stringify(given)} is a folder; name the file in it that is to be logged to`)
  const path = resolve(given)
  requireNameRoom('adopt', 'path', path)
  if (values.from === undefined) throw new UsageError(missingFrom(path))
  const from = packageNamed(values.from as string)
  const options = planOptions(path, values)
  return {
    path,
    from: from.names[0],
    isJson: values.json === true,
    evenIfOpen: values['even-if-open'] === true,
    timeoutMs: timeOption('timeout', (values.timeout ?? '10') as string, 1000),
    plan: () => makePlan(path, from, options, Date.now())
  }
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

async function apply(request: Request, steps: readonly Step[], output: Output): Promise<ExitCode> {
  const { path, isJson, evenIfOpen, timeoutMs } = request
  // Before anything is made, the lock file included.
  refuseOpen(path, steps, evenIfOpen)
  const done: Step[] = []
  const leftOut: string[] = []
  try {
    await carryOut(path, request.plan, {
      timeoutMs,
      evenIfOpen,
      done: (step) => void done.push(step),
      leftOut: (step, why) => void leftOut.push(`${row(step)[0]} is left: ${why}`)
    })
  } finally {
    await output.text(isJson ? jsonOf(done) : formatTable(done.map(row)))
    await output.flush()
    for (const text of leftOut) complain(join(dirname(path), text))
  }
  return leftOut.length > 0 ? exitCodes.damaged : exitCodes.fine
}

function planOptions(path: string, values: CliValues): PlanOptions {
  const { files, 'date-pattern': datePattern, utc, tailable, tidy } = values
  if (files !== undefined && (files as string) !== basename(files as string))
    throw new UsageError('--files is a name without folder: only the folder of the log is looked at')
  if (files !== undefined && !/%DATE%|%N%/.test(files as string))
    throw new UsageError('--files must have %DATE% or %N% in it, where the names of the files differ')
  return {
    way: wayOf(path, {
      name: values['backup-name'] as string | undefined,
      dir: values['backup-dir'] as string | undefined
    }),
    files: files as string | undefined,
    datePattern: datePattern as string | undefined,
    isUtc: utc as boolean | undefined,
    isTailable: tailable as boolean | undefined,
    tidies: tidy === true
  }
}

/** With what the names in the folder look like. */
function missingFrom(path: string): string {
  const alike = oldPackages.filter((each) => {
    try {
      return makePlan(path, each, { way: {}, tidies: false }, Date.now()).steps.length > 0
    } catch {
      return false
    }
  })
  const look =
    alike.length === 0
      ? ''
      : `; the files here look like those of ${alike.map(({ names }) => names[0]).join(' or ')}`
  return `--from is missing: which package wrote the files${look}; known are ${knownPackages()}`
}

function row(step: Step): string[] {
  if (step.do === 'rename') return [step.from, '->', step.to]
  if (step.do === 'link') return [step.name, '->', `${step.to} (link)`]
  return [step.name, '  ', step.do === 'unlink' ? 'removed (link)' : 'removed']
}

function jsonOf(steps: readonly Step[]): string {
  return steps.map((step) => `${JSON.stringify(step)}\n`).join('')
}

function outcome({ live }: Plan, path: string): string {
  const log = printable(basename(path))
  if (live === undefined) return `The first writer makes ${log}. `
  return live === basename(path) ? `${log} stays as it is. ` : `${printable(live)} goes on as ${log}. `
}

function tellLeft(path: string, { left }: Plan): void {
  for (const { name, why } of left) complain(`${join(dirname(path), name)} is left: ${why}`)
}

function warnOfOpen(path: string, steps: readonly Step[]): void {
  const openers = whoHasOpen(path, steps)
  if (openers === undefined) {
    complain('whether another program has them open cannot be told on this system')
    return
  }
  for (const { pid, command, names } of openers.found)
    complain(
      `process ${pid} (${command}) has ${names.join(', ')} open; --apply will refuse until it is stopped`
    )
  if (openers.hidden > 0)
    complain(`${openers.hidden} processes of other users could not be looked at; they may have files open`)
}
