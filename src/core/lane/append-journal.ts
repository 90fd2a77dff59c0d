// What a lane is told of each append, so that a death in the middle of one can be settled: every record once.
import type { LaneId } from '../../formats/lock-file.ts'

/** The range that an append takes in a file. */
export interface AppendPlace {
  readonly dev: bigint
  readonly ino: bigint
  readonly offset: number
  readonly length: number
}

/** The files that notes speak of, by their identity. */
export interface NotedFiles {
  /** Fills as much of `target` as there is in the file from `skipBytes` behind `offset` on; 0 if it is not there. */
  read(place: Omit<AppendPlace, 'length'>, skipBytes: number, target: Buffer): number
  /** Cuts off what lies in that place behind `keptBytes`, where that can be nobody else's. */
  cutBack(place: AppendPlace, keptBytes: number): void
}

/**
 * Order, under the lock of the log: announced in the lock file, `appending`, write(2), `appended`, confirmed in the lock
 * file. Who finds an announcement and a note of the same place settles the lane; who finds a note without an
 * announcement knows that the log was repaired by somebody who could not see the lane.
 */
export interface AppendJournal {
  /** Whether there is a note of a dead writer's append without an outcome. Then nothing may be appended. */
  readonly isUnsettled: boolean
  /** Finds the outcome in the files themselves; within a turn, in which the log was repaired. */
  settle(files: NotedFiles): void
  /** Whether the records that are appended next come from a lane. If not, nothing else is asked. */
  readonly isNoting: boolean
  /** The name of that lane, for the lock file. */
  readonly lane: LaneId | undefined
  /** The next records of the lane are about to be appended there. */
  appending(place: AppendPlace): void
  /** The first `keptBytes` of them are in the file, whole records; nothing else is. */
  appended(keptBytes: number): void
}

/** Tells the lane of a dead writer that `keptBytes` of what it was appending at `place` have stayed in the file. */
export type SettleLane = (lane: LaneId, place: AppendPlace, keptBytes: number) => void
