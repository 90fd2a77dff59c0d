// Puts the bytes of a flush on disk: in system calls of a size that the disk takes quickly, synced as the place of the
// flush asks for it, and with a sign of progress for whoever waits.
import { monotonicMs } from '../../../base/clock.ts'
import { errorMessage, LogboomError, systemCode } from '../../../base/errors.ts'
import { roundUp } from '../../../formats/direct-file.ts'
import type { Disk } from '../../../io/disk.ts'
import { cannotSync } from '../../../io/open-file.ts'
import { NotSyncableError } from '../../sink/target.ts'
import type { FlushAccount } from './flush-account.ts'

const PAGE_BYTES = 4096
/** pwritev(2) takes at most this many pieces. */
export const MAX_PIECES = 1024
const LEAST_BYTES = 1 << 20
const FIRST_BYTES = 16 << 20
const MOST_BYTES = 1 << 30
const QUICK_MS = 250
const SLOW_MS = 1_000

/** Where and how a flush is to be written. */
export interface Place {
  readonly fd: number
  readonly path: string
  /** Where it begins: a multiple of the alignment. */
  readonly start: number
  readonly alignment: number
  /** Past the page cache, so that memory has to be aligned. */
  readonly isDirect: boolean
  /** Whether the flush is to survive a loss of power. */
  readonly syncs: boolean
  /** How far attempts to write this flush have come, in bytes: what does not get further is no progress. */
  readonly reach: Reach
}

export interface Reach {
  written: number
  synced: number
}

/** Why a flush could not be written. */
export class FlushFailure extends Error {
  readonly error: unknown
  /** Whether what is on disk now is not known: another sync, or write to the same place, would prove nothing. */
  readonly isDoubtful: boolean
  /** O_DIRECT is refused, or wants another alignment. */
  readonly isRefused: boolean

  constructor(error: unknown, isDoubtful: boolean, isRefused = false) {
    super(errorMessage(error))
    this.error = error
    this.isDoubtful = isDoubtful
    this.isRefused = isRefused
  }
}

/** What can be found out during a write: the checksum continued, and the numbers of entries of frames. */
export interface Unknown {
  readonly checksum: Uint32Array
  readonly counts: Uint32Array | undefined
}

/** Writes the flushes of one flusher, of whatever file; there is one at a time. */
export class PieceWriter {
  readonly #disk: Disk
  readonly #account: FlushAccount
  readonly #callBytes = new Stride()
  readonly #syncBytes = new Stride()
  #place!: Place
  #at = 0
  #unsyncedBytes = 0

  constructor(disk: Disk, account: FlushAccount) {
    this.#disk = disk
    this.#account = account
  }

  /** Where the next piece goes. */
  get at(): number {
    return this.#at
  }

  /** What one system call may be given at the moment. */
  get callBytes(): number {
    return this.#callBytes.bytes
  }

  begin(place: Place): void {
    this.#place = place
    this.#at = place.start
    this.#unsyncedBytes = 0
  }

  /** Writes `pieces`, and finds out about them what `unknown` asks. */
  write(pieces: readonly Buffer[], unknown?: Unknown): void {
    const { fd, isDirect, alignment } = this.#place
    let rest = pieces
    let missing = unknown
    while (rest.length > 0) {
      const call = missing === undefined ? head(rest, this.#callBytes.bytes) : rest
      const startedMs = monotonicMs()
      let written: number
      this.#account.countWrite()
      try {
        written =
          missing === undefined
            ? this.#disk.writev(fd, call, this.#at)
            : this.#disk.writevHashed(fd, call, this.#at, missing.checksum, missing.counts)
        missing = undefined
      } catch (error) {
        const code = systemCode(error)
        if (code === 'EINTR') continue
        throw new FlushFailure(error, code === 'EIO', code === 'EINVAL' && isDirect)
      }
      if (written === 0 || (isDirect && written % alignment !== 0)) {
        // The rest could not be written with O_DIRECT; the whole flush is tried again.
        const error = Object.assign(new Error(`EIO: ${written} bytes were written`), { code: 'EIO' })
        throw new FlushFailure(error, false)
      }
      this.#callBytes.took(written, monotonicMs() - startedMs)
      this.#at += written
      this.#unsyncedBytes += written
      this.#reached('written')
      rest = behind(rest, written)
      if (!isDirect && this.#unsyncedBytes >= this.#syncBytes.bytes) this.sync()
    }
  }

  // One sync of hundreds of megabytes would be a long time without a sign that the disk goes on. After a failed sync
  // the kernel may have dropped the data, and a second sync would succeed and lie.
  sync(): void {
    const { fd, path, syncs, isDirect } = this.#place
    if (!syncs) return
    if (isDirect) {
      // O_DSYNC: each write was one.
      this.#account.countSync()
      return
    }
    const startedMs = monotonicMs()
    this.#account.countSync()
    try {
      this.#disk.fdatasync(fd)
    } catch (error) {
      if (cannotSync(error)) throw new FlushFailure(new NotSyncableError(path, error), false)
      const message = `sync of ${path} failed: ${errorMessage(error)}`
      throw new FlushFailure(new LogboomError('ERR_SYNC', message, { path, cause: error }), true)
    }
    this.#syncBytes.took(this.#unsyncedBytes, monotonicMs() - startedMs)
    this.#unsyncedBytes = 0
    this.#reached('synced')
  }

  #reached(what: keyof Reach): void {
    const { reach, start } = this.#place
    const bytes = this.#at - start
    if (bytes <= reach[what]) return
    reach[what] = bytes
    this.#account.progress()
  }

  /** The flush is on disk. */
  end(): void {
    const { reach } = this.#place
    reach.written = reach.synced = 0
  }
}

/**
 * How much one system call is given: as much as the disk takes within about a second, so that a slow disk shows that
 * it goes on, and a fast one is not asked in small pieces.
 */
class Stride {
  /** Always a multiple of the page size. */
  bytes = FIRST_BYTES

  /** A call with `bytes` bytes took `ms`. */
  took(bytes: number, ms: number): void {
    if (ms > SLOW_MS) this.bytes = Math.max(LEAST_BYTES, this.bytes / 2)
    // A call with little says nothing of one with much.
    else if (ms < QUICK_MS && bytes >= this.bytes / 2) this.bytes = Math.min(MOST_BYTES, this.bytes * 2)
  }
}

/** The first of `pieces`, of together at most `bytes` bytes; a longer one is cut at a multiple of the page size. */
function head(pieces: readonly Buffer[], bytes: number): readonly Buffer[] {
  let total = 0
  for (const [index, piece] of pieces.entries()) {
    if (index === MAX_PIECES) return pieces.slice(0, index)
    if (total + piece.length > bytes) {
      return index > 0 ? pieces.slice(0, index) : [piece.subarray(0, roundUp(bytes, PAGE_BYTES))]
    }
    total += piece.length
  }
  return pieces
}

function behind(pieces: readonly Buffer[], bytes: number): Buffer[] {
  const rest: Buffer[] = []
  let skip = bytes
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length
    else {
      rest.push(skip === 0 ? piece : piece.subarray(skip))
      skip = 0
    }
  }
  return rest
}
