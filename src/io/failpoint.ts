// Named places where a test can kill the process or make an error. `LOGBOOM_FAILPOINT=rename:kill:3` acts when
// `rename` is passed for the third time; `:error` throws EIO instead, `:pause` stays there for good. Without the
// variable nothing happens.
import { sleep } from '../base/sleep.ts'

const [name, action, nth] = (process.env.LOGBOOM_FAILPOINT ?? '').split(':')
let left = Number(nth ?? 1)

/** The failpoints of files that writers share; the crash tests go through all of them. */
export const failpoints = [
  'turn',
  'append',
  'appended',
  'rename',
  'renamed',
  'created',
  'compress',
  'compressed',
  'published',
  'remove'
] as const

/** Those of a lane whose records go to such a file. */
export const laneFailpoints = ['noted', 'settled', 'settle', 'adopted', 'removing'] as const

/** Those of the spool. */
export const spoolFailpoints = [
  'spool-created',
  'spool-written',
  'spool-noted',
  'spool-sealed',
  'spool-published',
  'spool-copied',
  'spool-moved'
] as const

/** Those of the write-ahead log. */
export const walFailpoints = [
  'wal-written',
  'wal-synced',
  'wal-sealed',
  'wal-created',
  'wal-renamed',
  'wal-snapshot',
  'wal-recorded'
] as const

export type Failpoint =
  | (typeof failpoints)[number]
  | (typeof laneFailpoints)[number]
  | (typeof spoolFailpoints)[number]
  | (typeof walFailpoints)[number]

export const failpoint: (point: Failpoint) => void =
  name === '' || name === undefined
    ? () => {}
    : (point) => {
        if (point !== name || --left !== 0) return
        if (action === 'kill') process.kill(process.pid, 'SIGKILL')
        if (action === 'pause') sleep(Number.POSITIVE_INFINITY)
        throw Object.assign(new Error(`EIO: failpoint ${point}`), { code: 'EIO' })
      }
