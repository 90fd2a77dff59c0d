// A caller who holds the thread gets descriptors although all that are open have a sync, or a listing of backups, under way
// that cannot end before the thread is free.
import { describe, expect, onTestFinished, test } from 'vitest'
import { EventFiles } from '../../../src/core/event-files/event-files.ts'
import type { EventFilesOptions } from '../../../src/core/event-files/options.ts'
import { withInternals } from '../../../src/core/sink/internals.ts'
import type { Disk } from '../../../src/io/disk.ts'
import { createFaultyDisk, type Operation } from '../../helpers/faulty-disk.ts'
import { createFolder } from '../../helpers/folder.ts'
import { openBelow } from '../../helpers/open-below.ts'
import { collect } from '../../helpers/read.ts'
import { until } from '../../helpers/until.ts'

const EVENTS = 30
const MOST_OPEN = 14

interface Gate {
  readonly disk: Disk
  /** Calls that wait. */
  readonly held: number
  /** Lets those and all that come go on. */
  open(): void
}

/** Holds up the calls of an operation. */
function hold(disk: Disk, operation: Operation): Gate {
  let held = 0
  let isOpen = false
  let release = (): void => {}
  const opened = new Promise<void>((resolve) => {
    release = resolve
  })
  return {
    get held() {
      return held
    },
    open: () => {
      isOpen = true
      release()
    },
    disk: new Proxy(disk, {
      get: (target, name) => {
        const call = Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>
        if (name !== operation) return call
        return async (...args: unknown[]) => {
          const isHeld = !isOpen
          if (isHeld) held++
          if (isHeld) await opened
          return call(...args)
        }
      }
    })
  }
}

const cases = [
  ['rotating-file', {}, 'fdatasyncAsync'],
  ['binary-file', { maxBytes: '1m' }, 'fdatasyncAsync'],
  ['wal', { segmentBytes: 65_536, syncInterval: 0 }, 'fdatasyncAsync'],
  ['rotating-file', { maxBackups: 9, maxBytes: 10, statistics: true }, 'readdirAsync']
] as const

describe.skipIf(process.platform !== 'linux')('with few descriptors, all of them in use', () => {
  for (const [output, more, operation] of cases) {
    test(`flushSync('disk') writes everything to ${output} while each ${operation} is held up`, async () => {
      const dir = createFolder()
      const faulty = createFaultyDisk()
      const gate = hold(faulty.disk, operation)
      const options = { dir, output, durability: 'disk', fallback: false, flushInterval: 1, ...more }
      const sink = withInternals(
        { disk: gate.disk, stallMs: 2_000 },
        () => new EventFiles(options as EventFilesOptions)
      )
      onTestFinished(() => {
        gate.open()
        return sink.close().catch(() => {})
      })
      faulty.fault = (called) =>
        (called === 'open' || called === 'readdir') && openBelow(dir).length >= MOST_OPEN
          ? 'EMFILE'
          : undefined
      const log = (time: number): void => {
        for (let event = 0; event < EVENTS; event++) sink.log(`e${event}`, `${time} of e${event}`)
      }
      log(0)
      // How many stay open long enough to list their backups is a matter of which turn their events come in.
      const few = operation === 'readdirAsync' ? 1 : 3
      await until(() => gate.held >= few, { what: 'some are held up' })
      log(1)
      sink.flushSync('disk')
      const { lines, error } = await collect(dir)
      expect(error).toBeUndefined()
      expect(lines.sort()).toEqual(
        [0, 1].flatMap((time) => Array.from({ length: EVENTS }, (_, at) => `${time} of e${at}`)).sort()
      )
      gate.open()
      await sink.close()
      expect(sink.stats()).toMatchObject({ records: 2 * EVENTS, dropped: 0, queuedBytes: 0, state: 'closed' })
      expect(openBelow(dir)).toEqual([])
    })
  }
})
