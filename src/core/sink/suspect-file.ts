// The file of a target after a data sync of it failed: the kernel has marked its pages clean, so a second sync would
// succeed and lie. It is left for good, but not before the disk is known to work, or each attempt would leave a file
// with one more copy of what waits.
import type { LogboomError } from '../../base/errors.ts'
import type { Target } from './target.ts'

export class SuspectFile {
  readonly #target: Target
  #failure: LogboomError | undefined

  constructor(target: Target) {
    this.#target = target
  }

  /** Whether the target's present file is one. */
  get isPresent(): boolean {
    return this.#failure !== undefined
  }

  /** Why the sync failed. */
  get failure(): LogboomError | undefined {
    return this.#failure
  }

  begin(failure: LogboomError): void {
    this.#failure = failure
  }

  /** Leaves the file if the disk works again; else throws. */
  leave(): void {
    this.#target.probe?.()
    this.#target.quarantine?.()
    this.#failure = undefined
  }
}
