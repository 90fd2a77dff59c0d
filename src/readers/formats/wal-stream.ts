// The entries of a write-ahead log in batches: whole batches of the writer only, and with `follow` for ever.
import { basename, dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LogboomError } from '../../base/errors.ts'
import { identityIn } from '../../core/wal/identity.ts'
import { ENTRY, STATE } from '../../formats/wal.ts'
import type { WalStep } from '../../formats/wal-decoder.ts'
import { WalReplay } from '../../formats/wal-replay.ts'
import { realDisk } from '../../io/disk.ts'
import { ChangeWatch } from '../engine/change-watch.ts'
import { notFound } from '../engine/context.ts'
import { type Cursor, checksumOf, cursorLost, noHead } from '../engine/cursor.ts'
import { kindOf } from '../engine/probe.ts'
import { type ReadContext, type RecordBatch, recordAt } from '../reader.ts'
import { RunBatch } from './wal-run.ts'
import { findSegments, isFollowed, type SegmentPlace, SegmentSource } from './wal-segments.ts'

/** A writer copies a record into the file in steps; what looks damaged at the end is looked at again after this. */
const SETTLE_MS = 20
const SETTLE_TURNS = 5
/** How often a log that was removed is looked for. */
const LOOK_AGAIN_MS = 200
const MAX_INDEX = 2n ** 64n - 1n
/** Entries that are found at once. */
const RUN_ENTRIES = 4096

/** Entries found in one window of the decoder. */
interface Found {
  bounds: number[]
  offsets: number[]
  indexes: bigint[]
}

export async function* readWal(
  path: string,
  context: ReadContext
): AsyncGenerator<RecordBatch, void, undefined> {
  let isRemoved: boolean = yield* readLog(path, context)
  while (isRemoved && (await isMadeAnew(path, context))) {
    isRemoved = yield* readLog(path, { ...context, from: 'start' })
  }
}

/** Waits for another log at `path`, whose entries are all new; false where none is to be read. */
async function isMadeAnew(
  path: string,
  { follow, onLost, signal, lost, note }: ReadContext
): Promise<boolean> {
  if (!follow) return false
  const text = 'the log was removed while it was followed'
  // What comes is no continuation of what was read.
  if (onLost === 'throw') lost(path, text)
  note({ path, text: `${text}; what is made in its place is read from its beginning` })
  while (!signal.aborted) {
    if ((await findSegments(path, true)).length > 0) return true
    await sleep(LOOK_AGAIN_MS)
  }
  return false
}

/** Returns whether the log was removed while it was followed. */
async function* readLog(path: string, context: ReadContext): AsyncGenerator<RecordBatch, boolean, undefined> {
  const { is } = await kindOf(path)
  const isFolder = is === 'folder'
  const places = is === 'missing' ? [] : await findSegments(path, isFolder)
  if (places.length === 0) throw notFound(path)
  const tail = await lookAtTail(places[places.length - 1])
  const { from } = context
  const identity = identityIn(realDisk, isFolder ? path : dirname(path)) ?? ''
  if (typeof from === 'object' && 'cursor' in from)
    await requireEntry(path, from.cursor, context, tail, identity)
  const place = { format: 'wal', log: basename(path), file: `=${identity}`, head: noHead }
  const reading = new WalReading(path, isFolder, context, tail)
  for await (const batch of reading.read(reading.begin(places))) {
    batch.place = place
    yield batch
  }
  return reading.isRemoved
}

/**
 * Refuses a cursor whose entry is not in the log: released meanwhile, or the log is another one, or was put back to an
 * older state.
 */
async function requireEntry(
  path: string,
  cursor: Cursor,
  context: ReadContext,
  tail: Tail,
  identity: string
): Promise<void> {
  if (cursor.format !== 'wal' || cursor.log !== basename(path)) {
    const text = `readRecords: the cursor given as 'from' is one of the ${cursor.format} log ${JSON.stringify(cursor.log)}`
    throw new LogboomError('ERR_OPTION', `${text}, not of the write-ahead log ${path}`, { path })
  }
  const { position } = cursor
  const known = cursor.file.slice(1)
  // Cursors of earlier versions, and those of logs that no writer has opened since, say nothing of it.
  if (known !== '' && identity !== '' && known !== identity)
    throw cursorLost(path, `it was entry ${position} of another log (${known}), and this one is ${identity}`)
  if (position === 0n) throw cursorLost(path, 'it was entry 0, which no log has')
  if (position > tail.last) {
    throw cursorLost(
      path,
      `it was entry ${position}, and the last one here is ${tail.last}: this is another log, or an older copy`
    )
  }
  const quiet = {
    ...context,
    from: position,
    follow: false,
    caughtUp: undefined,
    reuseBuffers: false,
    damaged: () => {},
    progress: () => {}
  }
  for await (const batch of readWal(path, quiet)) {
    const { index = 0n, data } = recordAt(batch, 0)
    // Removed as the last of its segment: nothing is missing behind it.
    if (index === position + 1n && known !== '' && known === identity) return
    if (index > position)
      throw cursorLost(
        path,
        `it was entry ${position}, and the oldest one left is ${index}: ${index - position - 1n} that were not read are gone`
      )
    if (data.length !== cursor.length || checksumOf(data) !== cursor.crc)
      throw cursorLost(
        path,
        `entry ${position} is another one: this is another log, or one that was begun anew`
      )
    return
  }
  throw cursorLost(path, `entry ${position} cannot be read`)
}

/** What the last segment says about the end of the log. */
export interface Tail {
  /** Entries behind this index belong to a batch that is not complete. */
  commit: bigint
  /** The last entry there is to return. */
  last: bigint
  /** Where it ended in its segment. */
  offset: number
}

export async function lookAtTail(place: SegmentPlace): Promise<Tail> {
  const replay = new WalReplay()
  // What follows is looked at when reading comes there.
  replay.decoder.checksRest = false
  const opened = await SegmentSource.open(place, replay, true)
  if (opened === undefined) throw notFound(place.path)
  const { source } = opened
  try {
    for (let step = source.nextOther(); step === 'record' || step === 'more'; step = source.nextOther()) {
      if (step === 'more') await source.fill()
    }
  } finally {
    await source.close()
  }
  const { offset } = replay.decoder
  // A raft log commits later than it writes, and a log without any commit mark has none to wait for.
  if (replay.foreign || !replay.marked) {
    return { commit: MAX_INDEX, last: replay.lastIndex, offset }
  }
  return { commit: replay.commit, last: replay.commit, offset }
}

class WalReading {
  readonly #path: string
  readonly #isFolder: boolean
  readonly #context: ReadContext
  readonly #from: bigint
  readonly #tail: Tail
  #commit: bigint
  #replay = new WalReplay()
  /** While following: the end was reached, and what comes now is being written. */
  #isCaughtUp = false
  /** Only records from here on in the last segment (`from: <offset>`). */
  #offset = 0
  /** While following: entries whose batch is not complete yet. */
  #held: { index: bigint; data: Buffer; offset: number }[] = []
  #isRemoved = false
  readonly #bounds = new Int32Array(2 * RUN_ENTRIES)
  readonly #frames = new Int32Array(RUN_ENTRIES)

  constructor(path: string, isFolder: boolean, context: ReadContext, tail: Tail) {
    this.#path = path
    this.#isFolder = isFolder
    this.#context = context
    this.#tail = tail
    this.#commit = tail.commit
    const { from } = context
    if (typeof from === 'bigint') this.#from = from
    else if (from === 'end') this.#from = tail.last + 1n
    else if (typeof from === 'object' && 'cursor' in from) this.#from = from.cursor.position + 1n
    else if (typeof from === 'object' && 'last' in from)
      this.#from = tail.last - BigInt(Math.min(from.last, Number.MAX_SAFE_INTEGER)) + 1n
    else this.#from = 0n
    if (typeof from === 'number') this.#offset = from
  }

  /** Whether the log was removed, and all of it was read. */
  get isRemoved(): boolean {
    return this.#isRemoved
  }

  /** The segments to read, from the one that holds the first wanted entry on. */
  begin(places: SegmentPlace[]): SegmentPlace[] {
    if (this.#offset > 0) return places.slice(-1)
    const first = places.findLastIndex(({ segment }) => segment.index <= this.#from)
    return places.slice(Math.max(0, first))
  }

  async *read(places: SegmentPlace[]): AsyncGenerator<RecordBatch, void, undefined> {
    let rest = places
    while (rest.length > 0 && !this.#context.signal.aborted) {
      const [place, ...others] = rest
      const go = yield* this.#segment(place, others.length === 0)
      if (!go) return
      const known = await this.#segmentsAfter(place)
      rest = known.length > 0 ? known : others
      this.#offset = 0
    }
  }

  async #segmentsAfter(place: SegmentPlace): Promise<SegmentPlace[]> {
    if (!this.#isFolder) return []
    const all = await findSegments(this.#path, true)
    return all.filter(({ segment }) => segment.sequence > place.segment.sequence)
  }

  /** One segment to its end; the last one, while following, until another one follows. Returns whether to go on. */
  async *#segment(place: SegmentPlace, isLast: boolean): AsyncGenerator<RecordBatch, boolean, undefined> {
    const { signal } = this.#context
    const alone = !this.#isFolder && (await isFollowed(place.path))
    let last = isLast && !alone
    if (!(await this.#catchUp(place))) return false
    this.#replay.decoder.checksRest = !this.#isCaughtUp
    const opened = await SegmentSource.open(place, this.#replay, last)
    // Removed after a snapshot while it was read.
    if (opened === undefined) return true
    const { source, begun } = opened
    const changes = this.#context.follow ? new ChangeWatch(place.path, signal) : undefined
    try {
      if (!begun) return await this.#damaged(source)
      let seen = 0
      for (let turn = 0; !signal.aborted; turn++) {
        const step = yield* this.#records(source)
        const { offset, intactAt } = this.#replay.decoder
        if (offset > seen) turn = 0
        seen = offset
        const isDamaged = step === 'corrupt' || (step === 'torn' && intactAt !== undefined)
        if (last && (await this.#segmentsAfter(place)).length > 0) last = false
        else if (!last) return step === 'end' || (await this.#damaged(source))
        else if (changes === undefined) {
          // It has grown since: what is behind the end is being written.
          if (step === 'end' || offset > this.#tail.offset) return true
          if (turn >= SETTLE_TURNS) return !isDamaged || (await this.#damaged(source))
          await sleep(SETTLE_MS)
        } else if (step === 'end') {
          if (this.#isRemoved) return false
          this.#isCaughtUp = true
          this.#context.caughtUp?.()
          await changes.wait()
          turn = 0
          // Read once more then: it may have been written to before.
          this.#isRemoved =
            this.#isFolder && (await source.isGone()) && (await this.#segmentsAfter(place)).length === 0
        } else if (isDamaged && turn >= SETTLE_TURNS) return await this.#damaged(source)
        else await sleep(SETTLE_MS)
        this.#replay.decoder.checksRest = !last || !this.#isCaughtUp
        await source.resume(last)
      }
      return false
    } finally {
      changes?.close()
      await source.close()
    }
  }

  /**
   * Whoever owns the log may have removed segments that were still to be read. That is no damage, but the reader has
   * missed their entries: `ERR_NOT_FOUND`, or where damage is passed over, a note among the damage. False to stop.
   */
  async #catchUp({ path, segment }: SegmentPlace): Promise<boolean> {
    const { segment: previous, lastIndex } = this.#replay
    if (previous === undefined) return this.#isBegin(segment)
    if (segment.sequence <= previous.sequence + 1n) return true
    const [oldest] = await findSegments(this.#path, true)
    if (oldest === undefined || oldest.segment.sequence < segment.sequence) return true
    const first = this.#from > lastIndex + 1n ? this.#from : lastIndex + 1n
    const reason = `entries ${first} to ${segment.index - 1n} were removed after a snapshot before they were read`
    this.#replay = new WalReplay()
    if (first >= segment.index) return true
    if (this.#context.onLost === 'throw')
      this.#context.lost(this.#path, `entries ${first} to ${segment.index - 1n}`)
    this.#context.damaged({ file: path, offset: 0, bytes: 0, reason })
    try {
      return this.#context.settle(path)
    } catch {
      throw new LogboomError('ERR_NOT_FOUND', `${this.#path}: ${reason}`, { path: this.#path })
    }
  }

  /** Who goes on behind an entry wants the next one; what is removed while it is looked for is missing. */
  #isBegin({ index }: SegmentPlace['segment']): boolean {
    const { from, onLost } = this.#context
    const isBehind = typeof from === 'object' && 'cursor' in from
    if (onLost === 'throw' && isBehind && index > this.#from)
      this.#context.lost(this.#path, `entries ${this.#from} to ${index - 1n}`)
    return true
  }

  /** All records up to the next end; returns how the segment ended. */
  async *#records(source: SegmentSource): AsyncGenerator<RecordBatch, WalStep, undefined> {
    let found: Found = { bounds: [], offsets: [], indexes: [] }
    let isReleased = false
    for (;;) {
      if (found.indexes.length === 0 && this.#held.length === 0) {
        for (let run = this.#run(source); run !== undefined; run = this.#run(source)) {
          if (run.bounds.length > 0) yield run
        }
      }
      const step = source.next()
      if (step === 'record') {
        const { type } = this.#replay.decoder
        if (type === ENTRY) this.#entry(found)
        else if (type === STATE && this.#replay.commit > this.#commit) {
          this.#commit = this.#replay.commit
          isReleased = this.#held.length > 0
        }
        if (!isReleased) continue
      }
      if (found.indexes.length > 0) {
        yield this.#batch(source, found)
        found = { bounds: [], offsets: [], indexes: [] }
      }
      if (isReleased) {
        yield this.#release(source)
        isReleased = false
        continue
      }
      if (step !== 'more') return step
      if (this.#context.signal.aborted) return 'end'
      this.#context.progress(await source.fill())
    }
  }

  /**
   * The entries at hand that follow in order, up to the last one that belongs to a whole batch for sure. Undefined where
   * the next record needs a look of its own.
   */
  #run(source: SegmentSource): RunBatch | undefined {
    const replay = this.#replay
    const { offset } = replay.decoder
    const entries = replay.follow(this.#commit, this.#bounds, this.#frames)
    if (replay.decoder.offset === offset) return undefined
    if (replay.commit > this.#commit) this.#commit = replay.commit
    const last = replay.lastIndex
    let skipped = 0
    if (last - BigInt(entries) < this.#from - 1n) {
      const before = this.#from - 1n - (last - BigInt(entries))
      skipped = before > BigInt(entries) ? entries : Number(before)
    }
    const { window, windowPosition } = replay.decoder
    while (skipped < entries && windowPosition + this.#frames[skipped] < this.#offset) skipped++
    const bounds = this.#bounds.slice(2 * skipped, 2 * entries)
    const frames = this.#frames.slice(skipped, entries)
    const isCopied = !this.#context.reuseBuffers && bounds.length > 0
    const bytes = isCopied ? Buffer.from(window.subarray(0, bounds[bounds.length - 1])) : window
    return new RunBatch(source.path, bytes, windowPosition, bounds, frames, last)
  }

  #entry(found: Found): void {
    const { entry } = this.#replay
    const { index } = entry
    const { recordOffset } = this.#replay.decoder
    if (index < this.#from || recordOffset < this.#offset) return
    if (index > this.#commit) {
      if (this.#context.follow)
        this.#held.push({ index, data: Buffer.from(entry.data), offset: recordOffset })
      return
    }
    found.bounds.push(entry.dataStart, entry.dataEnd)
    found.offsets.push(recordOffset)
    found.indexes.push(index)
  }

  #batch(source: SegmentSource, { bounds, offsets, indexes }: Found): RecordBatch {
    const { window, windowPosition } = this.#replay.decoder
    const bytes = this.#context.reuseBuffers
      ? window
      : Buffer.from(window.subarray(0, bounds[bounds.length - 1]))
    return { file: source.path, bytes, position: windowPosition, bounds, offsets, indexes }
  }

  #release(source: SegmentSource): RecordBatch {
    const held = this.#held.filter(({ index }) => index <= this.#commit)
    this.#held = this.#held.filter(({ index }) => index > this.#commit)
    const bounds: number[] = []
    let end = 0
    for (const { data } of held) {
      bounds.push(end, end + data.length)
      end += data.length
    }
    const bytes = Buffer.concat(held.map(({ data }) => data))
    const offsets = held.map(({ offset }) => offset)
    return { file: source.path, bytes, position: 0, bounds, offsets, indexes: held.map(({ index }) => index) }
  }

  async #damaged(source: SegmentSource): Promise<boolean> {
    const { damage } = this.#replay
    const offset = damage?.offset ?? 0
    const bytes = Math.max(0, (await source.size()) - offset)
    this.#context.damaged({ file: source.path, offset, bytes, reason: damage?.reason ?? '' })
    // The next segment is read for itself: its checksums begin with a seed of its own.
    this.#replay = new WalReplay()
    return this.#context.settle(source.path)
  }
}
