// Copies that were not complete when their set was flushed. They are noted in the lines of their writers, where a
// flusher that goes on after another has ended finds them.
import { deadWriter, MAX_WRITERS, type SharedMemory, slot } from './shared-memory.ts'

/** A record whose copy is not complete. */
export interface LateCopy {
  readonly writer: number
  readonly sequence: number
  readonly shardId: number
  readonly offset: number
  readonly bytes: number
  readonly sinceMs: number
}

/** A copy that was late, and is in the list of records to be written: the how manieth of those. */
export interface ListedCopy {
  readonly copy: LateCopy
  readonly order: number
}

/** Notes `copy`; a writer has one at a time, as it goes on only when its last one is complete and collected. */
export function noteLate(memory: SharedMemory, copy: LateCopy): void {
  const { words } = memory
  const line = memory.writerLine(copy.writer)
  words[line + slot.lateShard] = copy.shardId
  words[line + slot.lateOffset] = copy.offset
  words[line + slot.lateBytes] = copy.bytes
  words[line + slot.lateOrder] = 0
  Atomics.store(words, line + slot.lateSequence, copy.sequence)
}

/** The copy is in the list now, at place `order` (from 1), or in none (0). */
export function noteListed(memory: SharedMemory, { writer }: LateCopy, order: number): void {
  Atomics.store(memory.words, memory.writerLine(writer) + slot.lateOrder, order)
}

/** The copy is written, or given up. */
export function forgetLate(memory: SharedMemory, { writer, sequence }: LateCopy): void {
  const index = memory.writerLine(writer) + slot.lateSequence
  Atomics.compareExchange(memory.words, index, sequence, 0)
}

/** What an earlier flusher noted. */
export function findLate(memory: SharedMemory, sinceMs: number): ListedCopy[] {
  const { words } = memory
  const found: ListedCopy[] = []
  for (let writer = 0; writer < MAX_WRITERS; writer++) {
    const line = memory.writerLine(writer)
    const sequence = Atomics.load(words, line + slot.lateSequence)
    if (sequence === 0) continue
    const copy = {
      writer,
      sequence,
      shardId: words[line + slot.lateShard],
      offset: words[line + slot.lateOffset],
      bytes: words[line + slot.lateBytes],
      sinceMs
    }
    found.push({ copy, order: words[line + slot.lateOrder] })
  }
  return found
}

/** How far the writer of a copy is. */
export function lookAt(
  { words }: SharedMemory,
  line: number,
  sequence: number
): 'complete' | 'copying' | 'dead' {
  if (Atomics.load(words, line + slot.sequence) !== sequence) return 'complete'
  return Atomics.load(words, line + slot.owner) === deadWriter ? 'dead' : 'copying'
}
