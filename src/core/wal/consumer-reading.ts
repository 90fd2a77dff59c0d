// What a consumer reads: the entries behind its position, in order and without a gap, each on disk before it is handed out,
// because the receiver may keep it while a power cut takes it from the log.
import { constants } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import type { ConsumerState } from '../../formats/consumer-file.ts'
import { listSegments } from '../../formats/wal.ts'
import type { Disk } from '../../io/disk.ts'
import { cannotSync } from '../../io/open-file.ts'
import { createContext } from '../../readers/engine/context.ts'
import { checksumOf, cursorLost, noHead } from '../../readers/engine/cursor.ts'
import { findSegments } from '../../readers/formats/wal-segments.ts'
import { lookAtTail, readWal } from '../../readers/formats/wal-stream.ts'
import { batchLength, type ReadFrom, type RecordBatch, recordAt } from '../../readers/reader.ts'
import type { Position } from './consumer-file.ts'
import type { Entry } from './entries.ts'
import { identityIn } from './identity.ts'

const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
/** The first end that is met may have been looked for before the call. */
const ENDS = 2

/** What the writer of the log knows, if it is in this process. */
export interface DurableHost {
  readonly lastIndex: bigint
  readonly durableIndex: bigint
  sync(): Promise<void>
}

/** Before the oldest entry of a log, or behind its last one. Rejects with `ERR_NOT_FOUND`. */
export async function positionAt(
  walDir: string,
  from: 'start' | 'end',
  host: DurableHost | undefined
): Promise<Position> {
  const places = (await stat(walDir)).isDirectory() ? await findSegments(walDir, true) : []
  if (places.length === 0) {
    throw new LogboomError('ERR_NOT_FOUND', `there is no write-ahead log at ${walDir}`, { path: walDir })
  }
  const { index } = places[0].segment
  if (from === 'start') return { index: index === 0n ? 0n : index - 1n, entry: undefined }
  return { index: host?.durableIndex ?? (await lookAtTail(places[places.length - 1])).last, entry: undefined }
}

type Outcome = 'batch' | 'end' | 'over'

export class ConsumerReading {
  /** Of the last entry that was handed out. */
  index: bigint
  readonly #disk: Disk
  readonly #walDir: string
  readonly #host: DurableHost | undefined
  readonly #stop = new AbortController()
  readonly #identity: string | undefined
  /** Of the entry at `index`, if it is known. */
  #entry: Position['entry']
  /** Of those behind what was acknowledged. */
  readonly #taken: { index: bigint; entry: NonNullable<Position['entry']> }[] = []
  #batches: AsyncGenerator<RecordBatch, void, undefined> | undefined
  #pending: Promise<IteratorResult<RecordBatch, void>> | undefined
  #batch: RecordBatch | undefined
  #at = 0
  #length = 0
  /** The end of the log was met, and nothing since. */
  #isAtEnd = false
  #endMet: (() => void) | undefined
  /** The last segment that was synced when it was finished. */
  #syncedFile: string | undefined

  constructor(disk: Disk, walDir: string, state: ConsumerState, host: DurableHost | undefined) {
    this.#disk = disk
    this.#walDir = walDir
    this.#host = host
    this.#identity = state.identity
    this.#entry = state.entry
    this.index = state.index
  }

  /** With `waits`, only when there is at least one entry, or when it was stopped. */
  async take(maxEntries: number, maxBytes: number, waits: boolean, signal?: AbortSignal): Promise<Entry[]> {
    const entries: Entry[] = []
    try {
      if (!waits && (await this.#hasNone())) return entries
      for (let bytes = 0; entries.length < maxEntries; ) {
        const isFilled = this.#at < this.#length || (await this.#fill(waits, entries.length > 0, signal))
        if (!isFilled) break
        const { index = 0n, data } = recordAt(this.#batch as RecordBatch, this.#at)
        // A segment whose sync failed is written again in another file, with the same entries.
        if (index > this.index) {
          if (index !== this.index + 1n) throw this.#gap(index)
          if (entries.length > 0 && bytes + data.length > maxBytes) break
          entries.push(this.#handOut(index, data))
          bytes += data.length
        }
        this.#at++
      }
    } catch (error) {
      this.#forgetReader()
      // What was read before the trouble is as good as ever, and the trouble is met again.
      if (entries.length === 0) throw this.#asConsumerError(error)
    }
    return entries
  }

  /** What is known of an entry that was taken and not forgotten. */
  entryAt(index: bigint): Position['entry'] {
    const first = this.#taken[0]?.index ?? 0n
    return this.#taken[Number(index - first)]?.entry
  }

  forget(index: bigint): void {
    const first = this.#taken[0]?.index ?? 0n
    this.#taken.splice(0, Number(index - first) + 1)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#batches?.return().catch(() => {})
  }

  /** What this process writes need not be waited for. */
  async #hasNone(): Promise<boolean> {
    if (this.#host === undefined || this.#at < this.#length) return false
    if (this.#host.lastIndex > this.#host.durableIndex) await this.#host.sync()
    return this.index === this.#host.durableIndex && this.#batches !== undefined
  }

  async #fill(waits: boolean, hasSome: boolean, signal: AbortSignal | undefined): Promise<boolean> {
    if (hasSome && this.#isAtEnd && this.#pending !== undefined) return false
    this.#batches ??= await this.#open()
    this.#pending ??= this.#batches.next()
    this.#pending.catch(() => {})
    const batch = this.#pending.then((): Outcome => 'batch')
    for (let ends = hasSome ? ENDS - 1 : 0; ; ) {
      const outcome = await this.#either(batch, signal)
      if (outcome === 'batch') break
      if (outcome === 'over') return false
      if (!waits || hasSome) ends++
      if (ends >= ENDS) return false
    }
    const { value, done } = await this.#pending
    this.#pending = undefined
    if (done === true) return false
    await this.#settle(value)
    this.#batch = value
    this.#length = batchLength(value)
    this.#at = 0
    this.#isAtEnd = false
    return true
  }

  /** Whatever comes first. */
  async #either(batch: Promise<Outcome>, signal: AbortSignal | undefined): Promise<Outcome> {
    let over = (): void => {}
    const ended = new Promise<Outcome>((resolve) => {
      this.#endMet = () => resolve('end')
      over = () => resolve('over')
      signal?.addEventListener('abort', over)
    })
    try {
      return signal?.aborted === true ? 'over' : await Promise.race([batch, ended])
    } finally {
      this.#endMet = undefined
      signal?.removeEventListener('abort', over)
    }
  }

  async #open(): Promise<AsyncGenerator<RecordBatch, void, undefined>> {
    const own = identityIn(this.#disk, this.#walDir)
    if (own !== undefined && this.#identity !== undefined && own !== this.#identity) {
      throw cursorLost(
        this.#walDir,
        `it was entry ${this.index} of another log (${this.#identity}), and this one is ${own}`
      )
    }
    const context = createContext({
      from: await this.#from(own),
      follow: true,
      reuseBuffers: true,
      signal: this.#stop.signal,
      caughtUp: () => {
        this.#isAtEnd = true
        this.#endMet?.()
      }
    })
    return readWal(this.#walDir, context)
  }

  async #from(identity: string | undefined): Promise<ReadFrom> {
    const { index } = this
    if (this.#entry !== undefined && index > 0n) {
      const place = { format: 'wal', log: basename(this.#walDir), file: `=${identity ?? ''}`, head: noHead }
      return { cursor: { ...place, position: index, ...this.#entry, text: '' } }
    }
    const { index: last } = await positionAt(this.#walDir, 'end', undefined)
    if (index <= last) return index + 1n
    throw cursorLost(
      this.#walDir,
      `it was entry ${index}, and the last one here is ${last}: this is an older copy`
    )
  }

  #handOut(index: bigint, data: Buffer): Entry {
    const copy = Buffer.from(data)
    this.#entry = { length: copy.length, crc: checksumOf(copy) }
    this.#taken.push({ index, entry: this.#entry })
    this.index = index
    return { index, data: copy }
  }

  /** Brings what was read to disk. */
  async #settle(batch: RecordBatch): Promise<void> {
    const last = batch.indexes?.[batch.indexes.length - 1] ?? 0n
    if (this.#host !== undefined) {
      if (last > this.#host.durableIndex) await this.#host.sync()
      return
    }
    const { file } = batch
    if (file === this.#syncedFile) return
    const newest = listSegments(this.#disk.readdir(this.#walDir)).at(-1)?.name
    try {
      const fd = await this.#disk.openAsync(file, READ_ONLY, 0)
      try {
        await this.#disk.fdatasyncAsync(fd)
      } finally {
        this.#disk.close(fd)
      }
    } catch (error) {
      // Removed meanwhile, which its writer does with what is on disk only; or there is no sync here at all.
      if (systemCode(error) !== 'ENOENT' && !cannotSync(error)) throw error
    }
    if (newest !== basename(file)) this.#syncedFile = file
  }

  #gap(index: bigint): LogboomError {
    const missing = index - this.index - 1n
    return cursorLost(
      this.#walDir,
      `it was entry ${this.index}, and the oldest one behind it is ${index}: ${missing} that were not read are gone`
    )
  }

  #forgetReader(): void {
    void this.#batches?.return().catch(() => {})
    this.#batches = undefined
    this.#pending = undefined
    this.#at = this.#length = 0
    this.#isAtEnd = false
  }

  #asConsumerError(error: unknown): unknown {
    if (!(error instanceof LogboomError)) {
      const message = `cannot read ${this.#walDir}: ${errorMessage(error)}`
      return new LogboomError('ERR_IO', message, { path: this.#walDir, cause: error })
    }
    // Segments were removed between one look and the next.
    if (error.code !== 'ERR_NOT_FOUND') return error
    return cursorLost(this.#walDir, error.message.replace(/ \[ERR_\w+\]$/, ''))
  }
}
