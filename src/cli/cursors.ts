// Where commands begin to read, and how far they came: --from and --cursor-file.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../base/errors.ts'
import { ReadCursors, readFrom } from '../readers/engine/read-cursors.ts'
import { batchLength, type ReadFrom, type RecordBatch } from '../readers/reader.ts'
import { type CliOption, type CliValues, UsageError } from './command.ts'

export const cursorOptions = {
  from: {
    type: 'string',
    value: 'cursor',
    text: 'Begin behind the record of this cursor (the field cursor of a record, or what --cursor-file wrote).'
  },
  'cursor-file': {
    type: 'string',
    value: 'file',
    text: 'Begin behind the cursor in this file, if it is there, and write to it how far everything was printed.'
  }
} as const satisfies Record<string, CliOption>

/** The cursor of one input, kept in a file if that is wanted. */
export class CursorFile {
  /** Where to begin, undefined for where the command begins by itself. */
  readonly from: ReadFrom | undefined
  readonly #file: string | undefined
  readonly #cursors: ReadCursors
  #written: string | undefined

  private constructor(from: ReadFrom | undefined, file: string | undefined) {
    this.from = from
    this.#file = file
    this.#cursors = new ReadCursors(from ?? 'start')
    this.#written = this.#cursors.text(undefined, 0)
  }

  /** How far everything was printed is kept: what is no whole record yet has to wait for its end. */
  get isKept(): boolean {
    return this.#file !== undefined
  }

  /** Throws `UsageError` where options and inputs do not go together, `ERR_OPTION` for a text that is no cursor. */
  static of(values: CliValues, paths: readonly string[]): CursorFile {
    const { from, 'cursor-file': file } = values as { from?: string; 'cursor-file'?: string }
    if (from === undefined && file === undefined) return new CursorFile(undefined, undefined)
    if (from !== undefined && file !== undefined)
      throw new UsageError('--from and --cursor-file exclude each other')
    if (paths.length !== 1 || paths[0] === '-') {
      throw new UsageError('--from and --cursor-file are for one input, which is not stdin')
    }
    const text = from ?? readText(file as string)
    return new CursorFile(text === undefined ? undefined : readFrom(text), file)
  }

  /** The records of the batch were printed. */
  printed(batch: RecordBatch): void {
    if (this.#file !== undefined) this.#cursors.leave(batch, batchLength(batch))
  }

  /** To be called when everything printed has left the process. Replaces the file at once, so that it is always whole. */
  save(): void {
    const text = this.#cursors.text(undefined, 0)
    if (this.#file === undefined || text === undefined || text === this.#written) return
    const temp = join(dirname(this.#file), `.logboom-cursor-${process.pid}.tmp`)
    try {
      rmSync(temp, { force: true })
      writeFileSync(temp, `${text}\n`, { mode: 0o600, flag: 'wx' })
      renameSync(temp, this.#file)
      this.#written = text
    } catch (error) {
      rmSync(temp, { force: true })
      throw new LogboomError('ERR_IO', `cannot write the cursor to ${this.#file}: ${errorMessage(error)}`, {
        path: this.#file,
        cause: error
      })
    }
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw new LogboomError('ERR_IO', `cannot read the cursor in ${file}: ${errorMessage(error)}`, {
      path: file,
      cause: error
    })
  }
}
