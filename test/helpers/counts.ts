// What a campaign has done: kills, cuts, faults and the like, summed by test/campaigns/run.mjs.
import { appendFileSync } from 'node:fs'

export type Counted =
  | 'kills'
  | 'power cuts'
  | 'faults'
  | 'full disks'
  | 'pauses'
  | 'out of memory'
  | 'clock jumps'
  | 'damaged files'
  | 'operation sequences'
  | 'lives'
  | 'records'

const path = process.env.LOGBOOM_COUNTS

/** Adds to the sums of the run; only a campaign has any. */
export function tally(what: Counted, times = 1): void {
  if (path !== undefined && times > 0) appendFileSync(path, `${JSON.stringify({ [what]: times })}\n`)
}
