// Reads a spool as the one who collects it: file by file, in the order of their times as far as they are there, and after a
// crash in the order in which they were read before. Which files are done is known by name, since a file may be published
// behind one with a later time.
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LogboomError } from '../base/errors.ts'
import { parsePublishedName } from '../formats/spool.ts'
import { type Cursor, isFolderCursor, parseCursor } from '../readers/engine/cursor.ts'
import { publishedFiles, readPublished, withinFile } from '../readers/formats/spool.ts'
import type { ReadContext, RecordBatch } from '../readers/reader.ts'
import type { CheckpointState } from './checkpoint.ts'

const LOOK_AGAIN_MS = 200

export class SpoolReading {
  readonly batches: AsyncGenerator<RecordBatch, void, undefined>
  readonly #folder: string
  readonly #context: ReadContext
  #ended: string[] = []

  constructor(folder: string, state: CheckpointState, context: ReadContext) {
    this.#folder = folder
    this.#context = { ...context, follow: false, includeUnterminated: true, from: 'start' }
    this.batches = this.#read(state, context.follow)
  }

  /** How many of them there are to take. */
  get ended(): number {
    return this.#ended.length
  }

  /** The names of files all of whose records were returned, since the last call. */
  takeEnded(): string[] {
    const ended = this.#ended
    this.#ended = []
    return ended
  }

  async *#read(state: CheckpointState, follow: boolean): AsyncGenerator<RecordBatch, void, undefined> {
    const { signal } = this.#context
    const seen = new Set(state.done)
    const cursor = state.cursor === null ? undefined : this.#cursor(state.cursor)
    const begun = cursor === undefined ? [] : [nameIn(cursor)]
    for (const { files, cursor: text } of state.pending) begun.push(...files, nameIn(this.#cursor(text)))
    for (const name of begun) {
      if (seen.has(name) || signal.aborted) continue
      seen.add(name)
      const isFirst = cursor !== undefined && name === nameIn(cursor)
      yield* this.#file(name, isFirst ? withinFile(cursor) : 'start')
    }
    while (!signal.aborted) {
      const names = (await publishedFiles(this.#folder)).map((path) => basename(path))
      // What was taken away need not be remembered.
      const there = new Set(names)
      for (const name of seen) if (!there.has(name)) seen.delete(name)
      const fresh = names.filter((name) => !seen.has(name))
      for (const name of fresh) {
        if (signal.aborted) return
        seen.add(name)
        yield* this.#file(name, 'start')
      }
      if (fresh.length > 0) continue
      if (!follow) return
      await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
    }
  }

  async *#file(name: string, from: ReadContext['from']): AsyncGenerator<RecordBatch, void, undefined> {
    yield* readPublished(this.#folder, join(this.#folder, name), { ...this.#context, from })
    if (!this.#context.signal.aborted) this.#ended.push(name)
  }

  #cursor(text: string): Cursor {
    const cursor = parseCursor(text)
    const isOwn =
      !isFolderCursor(cursor) &&
      cursor.format === 'spool' &&
      cursor.log === basename(this.#folder) &&
      parsePublishedName(nameIn(cursor)) !== undefined
    if (isOwn) return cursor
    const message = `the checkpoint is not one of the spool ${this.#folder}`
    throw new LogboomError('ERR_OPTION', message, { path: this.#folder })
  }
}

function nameIn({ file }: Cursor): string {
  return file.slice(1)
}
