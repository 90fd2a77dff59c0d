// A kind of call that fails from some moment on and for ever: a flush and a close that are waiting end all the same, and what
// they say is true.
import { expect } from 'vitest'
import { tally } from '../helpers/counts.ts'
import { random } from '../helpers/random.ts'
import type { Fault, Operation } from '../helpers/shared-faulty-disk.mjs'
import { isLong } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'
import { Bed, canCountFiles, dataSyncs, numbersOf, syncsOf, writes } from './bed.ts'
import { isRecord, nameOf, type Subject } from './subject.ts'

const BEFORE = 10
const LINES = 20
/** How long closing waits while nothing gets done. */
const STALL_MS = 500
/** Two waits of that kind, one behind the other, on a machine that has other things to do, and a thread to be ended. */
const CLOSE_MS = 15_000
const AT_ONCE = 6

const groups: Readonly<Record<string, readonly Operation[]>> = {
  readdir: ['readdir', 'readdirAsync'],
  lstat: ['lstat', 'stat', 'exists'],
  fstat: ['fstat'],
  unlink: ['unlink', 'rmdir'],
  rename: ['rename', 'renameNoReplace', 'publishFile'],
  mkdir: ['mkdir'],
  open: ['open', 'openAsync'],
  read: ['read', 'readAsync'],
  truncate: ['truncate', 'fallocate'],
  chmod: ['chmod', 'chmodPath'],
  lock: ['lock', 'unlock'],
  write: writes,
  sync: ['fdatasync', 'fdatasyncAsync', 'fsync', 'fsyncAsync'],
  'sync of folders': ['fsync', 'fsyncAsync'],
  everything: [
    'readdir',
    'readdirAsync',
    'lstat',
    'open',
    'openAsync',
    'rename',
    'renameNoReplace',
    'mkdir',
    'unlink',
    ...writes
  ]
}

interface Trial {
  readonly group: string
  readonly fault: Fault
  readonly durability: 'os' | 'disk'
  readonly isFromStart: boolean
}

export async function endUnderLastingFaults(subject: Subject): Promise<void> {
  const all = trials()
  const chosen = isLong ? all : Array.from({ length: AT_ONCE }, () => all[Math.floor(random() * all.length)])
  for (let at = 0; at < chosen.length; at += AT_ONCE) {
    await Promise.all(chosen.slice(at, at + AT_ONCE).map((trial) => endUnder(subject, trial)))
  }
}

function trials(): Trial[] {
  const faults: readonly Fault[] = ['EIO', 'EACCES', 'EMFILE']
  return Object.keys(groups).flatMap((group) =>
    faults.flatMap((fault) =>
      (['os', 'disk'] as const).flatMap((durability) =>
        [false, true].map((isFromStart) => ({ group, fault, durability, isFromStart }))
      )
    )
  )
}

async function endUnder(subject: Subject, trial: Trial): Promise<void> {
  const { group, fault, durability, isFromStart } = trial
  const label = `${nameOf(subject)}: ${group} ${fault}, ${durability}${isFromStart ? ', from the start' : ''}`
  const bed = new Bed(subject, { isAlone: true })
  const kept = (read = subject.readStored ?? subject.read): number[] => {
    try {
      return numbersOf(read(bed.folder).filter(isRecord))
    } catch (error) {
      // Not even the folder could be made.
      if ((error as { code?: string }).code === 'ENOENT') return []
      throw error
    }
  }
  const failing = groups[group]
  try {
    if (isFromStart) bed.failAll(failing, fault)
    let sink: ReturnType<Bed['create']>
    try {
      sink = bed.create({ durability }, STALL_MS)
    } catch (error) {
      // A refusal: there is no sink.
      expect({ label, code: (error as { code?: string }).code }).toEqual({
        label,
        code: expect.stringMatching(/^ERR_/)
      })
      return
    }
    if (!isFromStart) {
      bed.log(sink, BEFORE)
      await sink.flush()
      bed.failAll(failing, fault)
    }
    const from = isFromStart ? 0 : BEFORE
    bed.log(sink, LINES, from)
    const logged = from + LINES
    let flushed: unknown = 'pending'
    sink.flush('disk').then(
      () => {
        flushed = undefined
      },
      (error) => {
        flushed = error
      }
    )
    const wait = random() * 2 * STALL_MS
    await new Promise((resolve) => setTimeout(resolve, wait))
    const start = performance.now()
    const closing = sink.close().then(
      () => undefined,
      (reason: Error & { code: string }) => reason
    )
    const error = await Promise.race([
      closing,
      new Promise<'late'>((resolve) => setTimeout(resolve, CLOSE_MS, 'late'))
    ])
    const ms = Math.round(performance.now() - start)
    expect({ label, ms, isLate: error === 'late' }).toEqual({ label, ms, isLate: false })
    await new Promise((resolve) => setImmediate(resolve))
    expect({ label, isPending: flushed === 'pending' }).toEqual({ label, isPending: false })
    const { dropped, queuedBytes, state } = sink.stats()
    expect({ label, queuedBytes, state }).toEqual({ label, queuedBytes: 0, state: 'closed' })
    // One call that was under way may be.
    if (canCountFiles) await until(() => bed.openFiles().length === 0, { what: `no file is open: ${label}` })
    const numbers = kept()
    const calls = madeBy(bed)
    bed.heal()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect({ label, calls: madeBy(bed) }).toEqual({ label, calls })
    expect({ label, numbers: kept() }).toEqual({ label, numbers })
    // What is left in other places counts as far as readers will ever see it.
    await subject.recover?.(bed.folder)
    const found = kept(subject.read)
    const unique = new Set(found).size
    const isSync = failing.some((operation) => [...dataSyncs, ...syncsOf(subject)].includes(operation))
    const seen = { label, error, flushed, dropped, unique, found: found.length }
    // What is there and was counted as lost, too, was written and not known to be on disk.
    const missing = logged - unique - dropped
    if (isSync || group === 'everything')
      expect({ ...seen, isMissing: missing > 0 }).toMatchObject({ isMissing: false })
    else {
      expect({ ...seen, missing }).toMatchObject({ missing: 0 })
      const isRepeated = found.length > unique
      expect({ label, isRepeated }).toEqual({ label, isRepeated: false })
    }
    if (error === undefined || flushed === undefined) expect(seen).toMatchObject({ unique: logged })
    if (unique < logged) expect(seen).toMatchObject({ error: { code: expect.stringMatching(/^ERR_/) } })
    tally('faults')
  } finally {
    await bed.end()
  }
}

/** How often each call was made; but for closing, which is how an open call under way is taken back. */
function madeBy(bed: Bed): Map<string, number> {
  const calls = new Map<string, number>(bed.allCalls())
  calls.delete('close')
  return calls
}
