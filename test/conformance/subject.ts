// What the conformance suite has to know of a sink. Everything else it does through the contract
// (src/core/sink/contract.ts).
import { lstatSync } from 'node:fs'
import type { Kind } from '../../src/core/registry.ts'
import type { Sink } from '../../src/core/sink/contract.ts'
import type { Operation } from '../helpers/shared-faulty-disk.mjs'

export interface Subject {
  /** As in the registry. */
  readonly kind: Kind
  /** Of event files. */
  readonly output?: string
  /** Options that place the sink in `folder`, small enough that a test reaches rotations. */
  options(folder: string): Record<string, unknown>
  /**
   * The records in `folder`, in the order in which they were logged, and notices of drops among them. Throws if
   * anything is damaged.
   */
  read(folder: string): string[]
  /** The records that would survive the death of the process, where that is more than `read` gives. */
  readStored?(folder: string): string[]
  /** Has what a closed sink left behind brought to where readers look, by the next one. */
  recover?(folder: string): Promise<void>
  /** The text of record `index`, without its line end. */
  line(index: number): string
  /** Operations that sync beside those that are called so: writes of files that are opened with O_DSYNC. */
  readonly syncs?: readonly Operation[]
  /** Memory beside the queue, in which records wait, too. */
  readonly stagingBytes: number
  /** Public entries that take data, beside `write`: they refuse what they do not take. */
  readonly entries: Readonly<Record<string, Entry>>
  /** The file that is being written, or the folder of it; undefined where none stays. */
  livePath?(folder: string): string
  /** The file that carries the kernel lock. */
  lockPath?(folder: string): string
}

export interface Entry {
  /** Calls the entry with `value` in the place of data; may throw or reject. */
  call(sink: Sink, value: unknown): unknown
  /** The types it takes, as `arguments.ts` calls them; default: texts only. */
  readonly takes?: readonly string[]
  /** A value it takes, where it logs: after close it is refused, too. */
  readonly good?: unknown
}

/** `rotating-file`, or `event-files over wal`. */
export function nameOf({ kind, output }: Subject): string {
  return output === undefined ? kind : `${kind} over ${output}`
}

/** A record that can be told from its neighbours, of varying length. */
export function record(index: number, padding = 0): string {
  return `record ${index} ${'x'.repeat(padding + ((index * 37) % 300))}`
}

/** Not a line in which a sink tells of drops. */
export function isRecord(text: string): boolean {
  return !text.includes('logboom: ')
}

/** Whether a file is there; not a link to one. What is put in the place of a log by a test holds no records. */
export function isRegular(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true
}
