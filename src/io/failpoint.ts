// Named places where a test can kill the process or make an error. `LOGBOOM_FAILPOINT=rename:kill:3` acts when
// `rename` is passed for the third time; `:error` throws EIO instead, `:pause` stays there for good. Several are separated
// by commas, because some places are passed only after a failure. Without the variable nothing happens.
import { sleep } from '../base/sleep.ts'

interface Trap {
  readonly name: string
  readonly action: string
  left: number
}

const traps: Trap[] = (process.env.LOGBOOM_FAILPOINT ?? '')
  .split(',')
  .filter((text) => text !== '')
  .map((text) => {
    const [name, action, nth] = text.split(':')
    return { name, action, left: Number(nth ?? 1) }
  })

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

/** Those of backups that a command is run for. */
export const finishFailpoints = ['finishing', 'finished'] as const

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

/** Those of a write-ahead log that works. */
export const walFailpoints = [
  'wal-written',
  'wal-synced',
  'wal-created',
  'wal-renamed',
  'wal-snapshot',
  'wal-recorded',
  'wal-removed'
] as const

/** Those that it passes only after a write or sync failed, or the process died. */
export const walFailureFailpoints = [
  'wal-sealed',
  'wal-taken-back',
  'wal-aside',
  'wal-aside-synced',
  'wal-aside-sealed',
  'wal-aside-renamed',
  'wal-withdrawn',
  'wal-found-synced',
  'wal-found-sealed',
  'wal-found-renamed',
  'wal-copied',
  'wal-cut'
] as const

/** Those of `logboom adopt`. */
export const adoptFailpoints = ['adopt-planned', 'adopt-step'] as const

export type Failpoint =
  | (typeof adoptFailpoints)[number]
  | (typeof failpoints)[number]
  | (typeof finishFailpoints)[number]
  | (typeof laneFailpoints)[number]
  | (typeof spoolFailpoints)[number]
  | (typeof walFailpoints)[number]
  | (typeof walFailureFailpoints)[number]

export const failpoint: (point: Failpoint) => void =
  traps.length === 0
    ? () => {}
    : (point) => {
        const sprung = traps.filter((trap) => trap.name === point && --trap.left === 0)
        for (const trap of sprung) act(trap)
      }

function act({ name, action }: Trap): void {
  if (action === 'kill') process.kill(process.pid, 'SIGKILL')
  if (action === 'pause') sleep(Number.POSITIVE_INFINITY)
  throw Object.assign(new Error(`EIO: failpoint ${name}`), { code: 'EIO' })
}
