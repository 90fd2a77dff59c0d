// The packages whose files can be taken over: how they name them, which of them is the newest, and what they keep beside
// them. Read from the code of winston 3.19, winston-daily-rotate-file 5.0 with file-stream-rotator 0.6 and 1.0, log4js 6.9 with
// streamroller 3.1, pino-roll 4.0, rotating-file-stream 3.2, bunyan 2.0, lumberjack 2.2 and logrotate 3.
import { similar } from '../../base/similar.ts'
import { UsageError } from '../command.ts'

/** `falling`: number 1 is the newest, and files move up; `rising`: the highest one is; `either`: their times tell. */
export type NumberOrder = 'rising' | 'falling' | 'either'

export interface OldPackage {
  /** What `--from` takes; the first one is its name. */
  readonly names: readonly string[]
  /** How its files are called, without what compression adds. `file` is the name of the log, `stem` + `ext`. */
  templates(file: string, stem: string, ext: string): readonly string[]
  readonly numbers: NumberOrder
  /** Whether the newest file may be the live one although its name is not that of the log. */
  readonly liveIsNewest: boolean
  /** Whether the log itself is the first one of the numbers. */
  readonly logIsNumber0: boolean
  /** The times in its names, unless told otherwise. */
  readonly isUtc: boolean
  readonly datePattern?: string
  /** Whether a date in a name is when the file was finished, not the day it is of. */
  readonly dateIsEnd?: boolean
  /** What it calls the list of its files, if it keeps one. */
  isList?(name: string, file: string): boolean
}

const usual = { numbers: 'rising', liveIsNewest: false, logIsNumber0: false, isUtc: false } as const

export const oldPackages: readonly OldPackage[] = [
  {
    ...usual,
    names: ['winston', 'winston-file'],
    templates: (_file, stem, ext) => [`${stem}%N%${ext}`],
    numbers: 'either',
    liveIsNewest: true,
    logIsNumber0: true
  },
  {
    ...usual,
    names: ['winston-daily-rotate-file', 'file-stream-rotator'],
    templates: (file, stem, ext) => [
      ...['-', '.', '_'].flatMap((sep) => [
        `${stem}${sep}%DATE%${ext}`,
        `${stem}${sep}%DATE%${ext}.%N%`,
        `${stem}${sep}%DATE%.%N%${ext}`,
        `%DATE%${sep}${file}`,
        `%DATE%${sep}${file}.%N%`
      ]),
      `${file}.%DATE%`,
      `${file}.%DATE%.%N%`
    ],
    liveIsNewest: true,
    isList: (name) => name.endsWith('.json')
  },
  {
    ...usual,
    names: ['log4js', 'streamroller'],
    templates: (file, stem, ext) => [
      `${file}.%N%`,
      `${file}.%DATE%`,
      `${file}.%DATE%.%N%`,
      `${stem}.%N%${ext}`,
      `${stem}.%DATE%${ext}`,
      `${stem}.%DATE%.%N%${ext}`
    ],
    numbers: 'falling',
    liveIsNewest: true
  },
  { ...usual, names: ['pino-file', 'pino/file', 'sonic-boom'], templates: () => [] },
  {
    ...usual,
    names: ['pino-roll'],
    templates: (file, stem, ext) => [
      `${stem}.%N%${ext}`,
      `${stem}.%DATE%.%N%${ext}`,
      // Before version 4 the name was not taken apart.
      `${file}.%N%`,
      `${file}.%DATE%.%N%`
    ],
    liveIsNewest: true
  },
  {
    ...usual,
    names: ['rotating-file-stream'],
    templates: (file) => [`%DATE%-%NN%-${file}`, `${file}.%N%`],
    numbers: 'falling',
    liveIsNewest: true,
    datePattern: 'YYYYMMDD-HHmm',
    isList: (name, file) => name === `${file}.txt`
  },
  // 0 is the newest there.
  { ...usual, names: ['bunyan'], templates: (file) => [`${file}.%N%`], numbers: 'falling' },
  {
    ...usual,
    names: ['lumberjack'],
    templates: (_file, stem, ext) => [`${stem}-%DATE%${ext}`],
    isUtc: true,
    datePattern: 'YYYY-MM-DDTHH-mm-ss.SSS',
    dateIsEnd: true
  },
  {
    ...usual,
    names: ['logrotate'],
    templates: (file, stem, ext) => [
      `${file}.%N%`,
      `${file}-%DATE%`,
      `${stem}.%N%${ext}`,
      `${stem}-%DATE%${ext}`
    ],
    numbers: 'falling'
  }
]

/** The package that `--from` names. Throws `UsageError`. */
export function packageNamed(name: string): OldPackage {
  const found = oldPackages.find(({ names }) => names.includes(name.toLowerCase()))
  if (found !== undefined) return found
  const near = similar(
    name,
    oldPackages.flatMap(({ names }) => names)
  )
  const meant = near === undefined ? `; known are ${knownPackages()}` : `; did you mean ${near}?`
  throw new UsageError(`--from: no package ${JSON.stringify(name)} is known here${meant}`)
}

export function knownPackages(): string {
  return oldPackages.map(({ names }) => names[0]).join(', ')
}
