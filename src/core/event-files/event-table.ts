// Which entry an event's name leads to: one for each file, and no more than `maxEvents` beside the default event.
import { join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { eventFileStem } from './event-name.ts'
import { FoldedNames } from './folded-names.ts'
import type { LineEvents } from './line-events.ts'
import type { ParsedEventFilesOptions } from './options.ts'
import { extensionOf } from './output-kind.ts'
import type { EventEntry } from './outputs.ts'

/** Spellings of names that are remembered; names have few. */
const MAX_SPELLINGS_PER_EVENT = 4

export class EventTable {
  readonly #options: ParsedEventFilesOptions
  /** Called once, when `maxEvents` is reached. */
  readonly #onLimit: (message: string) => void
  readonly #entries = new Map<string, EventEntry>()
  /** What names, and spellings of them in lines, have been seen lead to. */
  readonly #byName = new Map<string, EventEntry>()
  readonly #bySpelling = new Map<string, EventEntry>()
  readonly #folded: FoldedNames
  readonly #default: EventEntry
  #saidLimit = false

  constructor(options: ParsedEventFilesOptions, onLimit: (message: string) => void) {
    this.#options = options
    this.#onLimit = onLimit
    this.#folded = new FoldedNames(options)
    this.#default = this.entryOf(options.own.defaultEvent)
  }

  /** Every event that was ever used. */
  all(): IterableIterator<EventEntry> {
    return this.#entries.values()
  }

  /** Where lines without an event go. */
  get default(): EventEntry {
    return this.#default
  }

  /** The entry of an event, made if need be. Throws `ERR_EVENT_NAME`. */
  entryOf(event: string): EventEntry {
    const known = this.#byName.get(event)
    if (known !== undefined) return known
    const stem = this.#stemOf(event)
    const entry = this.#entries.get(stem) ?? this.#newEntry(stem)
    this.#remember(this.#byName, event, entry)
    return entry
  }

  /** The entry of an event, if there is one. Throws `ERR_EVENT_NAME`. */
  find(event: string): EventEntry | undefined {
    return this.#byName.get(event) ?? this.#entries.get(this.#stemOf(event))
  }

  /** The entry of line number `index` of the last scan, which began at `start`. */
  entryOfLine(events: LineEvents, lines: Buffer, start: number, index: number): EventEntry {
    const spelling = events.spellingOf(lines, start, index)
    if (spelling === undefined || spelling === '') return this.#default
    const known = this.#bySpelling.get(spelling)
    if (known !== undefined) return known
    const name = events.decode(spelling)
    const entry = name === '' ? this.#default : this.entryOf(name)
    this.#remember(this.#bySpelling, spelling, entry)
    return entry
  }

  #remember(map: Map<string, EventEntry>, key: string, entry: EventEntry): void {
    if (map.size >= this.#options.own.maxEvents * MAX_SPELLINGS_PER_EVENT) map.clear()
    map.set(key, entry)
  }

  #newEntry(name: string): EventEntry {
    // Where the file system knows no case, two names can be one file, and a file has one writer.
    const same = this.#folded.sameFile(name)
    if (same !== undefined) return this.#entries.get(same) as EventEntry
    // The default event does not count: it must always be there.
    if (this.#entries.size > this.#options.own.maxEvents) {
      this.#sayLimit()
      return this.#default
    }
    const { folder, output } = this.#options
    const entry: EventEntry = {
      name,
      path: join(folder, `${name}${extensionOf(output)}`),
      tag: this.#entries.size,
      isActive: false,
      accepted: 0,
      dropped: 0,
      notices: 0,
      written: { records: 0, bytes: 0, rotations: 0 }
    }
    this.#entries.set(name, entry)
    this.#folded.add(name)
    return entry
  }

  #sayLimit(): void {
    if (this.#saidLimit) return
    this.#saidLimit = true
    const { maxEvents, defaultEvent } = this.#options.own
    this.#onLimit(`more than ${maxEvents} events; further ones go to '${defaultEvent}'`)
  }

  #stemOf(event: unknown): string {
    const stem = typeof event === 'string' ? eventFileStem(event, this.#options.output) : undefined
    if (stem !== undefined) return stem
    throw new LogboomError('ERR_EVENT_NAME', 'an event name must be a text that is not empty', {
      path: this.#options.folder
    })
  }
}
