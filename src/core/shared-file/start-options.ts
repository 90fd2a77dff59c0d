// What becomes of a file that is there already when a program starts. A sink that only goes on, because its thread or its
// file had to be opened again, is no start.
import { flag, option, optionError } from '../../base/options.ts'

export const startOptions = {
  rotateOnStart: option(
    'boolean',
    flag,
    false,
    'Begin with a new file: what is there becomes a backup before the first record. Of several processes each does so when it starts.'
  ),
  truncateOnStart: option(
    'boolean',
    flag,
    false,
    'Begin with an empty file: what is there is lost. Backups stay. Of several processes each does so when it starts.'
  )
}

export interface ParsedStartOptions {
  readonly rotateOnStart: boolean
  readonly truncateOnStart: boolean
}

export function checkStartOptions(kind: string, options: ParsedStartOptions): void {
  if (!options.rotateOnStart || !options.truncateOnStart) return
  const rule = "and 'rotateOnStart' exclude each other: the file is emptied, or kept as a backup"
  throw optionError(kind, 'truncateOnStart', rule, true)
}

/** The same options for a sink that goes on where another one of this program was. */
export function resumed<T extends object>(options: T): T {
  const {
    rotateOnStart: _rotate,
    truncateOnStart: _truncate,
    ...others
  } = options as Partial<ParsedStartOptions>
  return others as T
}
