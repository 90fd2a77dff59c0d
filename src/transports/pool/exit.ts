// The end of the process for all outputs in threads: they write at the same time, those that can are waited for first, and
// those that cannot are given a moment, all together.
import { monotonicMs } from '../../base/clock.ts'
import {
  addExitHandler,
  type ExitDeadline,
  type ExitHandler,
  type ExitPatience
} from '../../core/sink/at-exit.ts'

/** What is given up counts what it loses; the count is waited for so long, by all together. */
const COUNT_MS = 500

export interface ExitingOutput {
  readonly isDegraded: boolean
  /** Has the thread write everything and close the sink. */
  beginExit(): void
  /** Blocks until that is done; false if it could not be done in time. */
  awaitExit(patience: ExitPatience): boolean
  /** Has the thread count what is lost. */
  giveUp(): void
  /** Blocks until it has, and reports what is lost. */
  reportLost(waitMs: number): void
}

const outputs = new Set<ExitingOutput>()

const handler: ExitHandler = {
  beginExit() {
    for (const output of outputs) output.beginExit()
  },
  exitNow: (deadline) => exitAll([...outputs], deadline)
}

export function addOutput(output: ExitingOutput): void {
  outputs.add(output)
  addExitHandler(handler)
}

export function removeOutput(output: ExitingOutput): void {
  outputs.delete(output)
}

/** Ends `all`, which have begun to exit. */
export function exitAll(all: readonly ExitingOutput[], deadline: ExitDeadline): void {
  const degraded = all.filter(({ isDegraded }) => isDegraded)
  const healthy = all.filter((output) => !degraded.includes(output))
  const unfinished: ExitingOutput[] = []
  for (const output of [...healthy, ...degraded]) {
    if (output.awaitExit(deadline.patience)) deadline.progressed()
    else unfinished.push(output)
  }
  for (const output of unfinished) output.giveUp()
  const endMs = monotonicMs() + COUNT_MS
  for (const output of unfinished) output.reportLost(Math.max(0, endMs - monotonicMs()))
}
