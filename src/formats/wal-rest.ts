// Looks at what lies behind the place where a segment ends or breaks off: nothing but zeros, sectors that were never
// written, or batches that are whole and would be lost with it. Pure, like the decoder.
import { native } from '../native/index.ts'
import { ENTRY, FRAME_HEADER_BYTES, SECTOR_BYTES, STATE } from './wal.ts'
import { decodeState } from './wal-record.ts'

/** No state record and no head of an entry is longer: so much must be in memory to judge one. */
const HEAD_BYTES = 96
/** Entries whose ends are remembered at a time. */
const MAX_OPEN_CHAINS = 4096
const zeros = Buffer.alloc(256 * 1024)

/** Entries one behind the other: where the first begins, and the checksum that the last says it has. */
interface Chain {
  readonly from: number
  readonly crc: number
}

export class WalRest {
  /** File offset behind the last byte that is not zero; where the rest begins if there is none. */
  end: number
  /** The first sector, or what the rest holds of it, that is all zeros. */
  zeroSectorAt: number | undefined
  /** Where the first batch begins that is whole, its mark included. */
  intactAt: number | undefined
  readonly #from: number
  readonly #fileBytes: number
  readonly #commit: bigint
  /** By the offset at which they end. */
  readonly #chains = new Map<number, Chain>()

  /** The rest begins at file offset `from`; batches up to index `commit` are in front of it. */
  constructor(from: number, fileBytes: number, commit: bigint) {
    this.#from = from
    this.#fileBytes = fileBytes
    this.#commit = commit
    this.end = from
  }

  /** Whether a sector that was never written, as a power loss leaves it, lies in front of the first whole batch. */
  get hasLostSector(): boolean {
    return this.zeroSectorAt !== undefined && this.zeroSectorAt < (this.intactAt ?? Number.POSITIVE_INFINITY)
  }

  /** Whether that is where the rest begins. */
  get beginsWithLostSector(): boolean {
    return this.zeroSectorAt === this.#from
  }

  /**
   * Takes the bytes `window[start, end)`, which are at file offset `position`; the last ones of the file if `isEnd`.
   * Returns how many of them need not be given again.
   */
  scan(window: Buffer, start: number, end: number, position: number, isEnd: boolean): number {
    const bytes = end - start
    if (bytes <= zeros.length && window.subarray(start, end).equals(zeros.subarray(0, bytes))) {
      return this.#skipZeros(bytes, position, isEnd)
    }
    let at = start
    while (at < end && this.intactAt === undefined) {
      const offset = position + at - start
      const sectorBytes = SECTOR_BYTES - (offset % SECTOR_BYTES)
      const stop = Math.min(end, at + sectorBytes)
      if (!isEnd && stop + HEAD_BYTES > end) break
      if (window.subarray(at, stop).equals(zeros.subarray(0, stop - at))) {
        if (stop - at === sectorBytes) this.zeroSectorAt ??= offset
      } else this.#look(window, at, stop, end, offset)
      at = stop
    }
    return at - start
  }

  #skipZeros(bytes: number, position: number, isEnd: boolean): number {
    // What is kept back is whole sectors, so that a piece of one is never taken for its beginning.
    const done = isEnd ? bytes : Math.max(0, bytes - ((position + bytes) % SECTOR_BYTES) - SECTOR_BYTES)
    const sectorBytes = SECTOR_BYTES - (position % SECTOR_BYTES)
    if (done >= sectorBytes) this.zeroSectorAt ??= position
    return done
  }

  /** Looks for records that begin in `window[at, stop)`. */
  #look(window: Buffer, at: number, stop: number, end: number, offset: number): void {
    for (let last = stop - 1; last >= at; last--) {
      if (window[last] === 0) continue
      this.end = offset + last + 1 - at
      break
    }
    for (let p = at; p < stop; p++) {
      if (window[p + 8] !== 0x08 || window[p + 10] !== 0x10) continue
      const position = offset + p - at
      // The broken record itself is no evidence.
      if (position > this.#from) this.#record(window, p, end, position)
      if (this.intactAt !== undefined) return
    }
  }

  #record(window: Buffer, at: number, end: number, offset: number): void {
    const type = window[at + 9]
    if ((type !== ENTRY && type !== STATE) || at + FRAME_HEADER_BYTES + 4 > end) return
    const length = window.readUInt32LE(at)
    const padding = -length & 7
    const frameEnd = offset + FRAME_HEADER_BYTES + length + padding
    if ((window.readUInt32LE(at + 4) ^ ((padding === 0 ? 0 : 0x80 | padding) << 24)) !== 0) return
    if (frameEnd > this.#fileBytes) return
    const crc = varint(window, at + 11, end)
    const data = crc && window[crc.end] === 0x1a ? varint(window, crc.end + 1, end) : undefined
    if (crc === undefined || data === undefined) return
    const recordEnd = at + FRAME_HEADER_BYTES + length
    if (data.end + data.value !== recordEnd) return
    const before = this.#chains.get(offset)
    if (type === ENTRY) this.#remember(frameEnd, { from: before?.from ?? offset, crc: crc.value })
    else if (before !== undefined && recordEnd <= end && this.#isMark(window, data.end, recordEnd)) {
      if (native.crc32c(window, before.crc, data.end, recordEnd) === crc.value) this.intactAt = before.from
    }
  }

  /** Whether a state record commits what may follow on what is in front of the rest. */
  #isMark(window: Buffer, start: number, end: number): boolean {
    const state = decodeState(window, start, end)
    if (state === undefined) return false
    return state.commit > this.#commit && state.commit <= this.#commit + BigInt(this.#fileBytes)
  }

  #remember(end: number, chain: Chain): void {
    if (this.#chains.size >= MAX_OPEN_CHAINS) this.#chains.delete(this.#chains.keys().next().value as number)
    this.#chains.set(end, chain)
  }
}

/** A varint of at most 32 bits, and where it ends. */
function varint(bytes: Uint8Array, start: number, end: number): { value: number; end: number } | undefined {
  let value = 0
  let scale = 1
  for (let at = start; at < end && at < start + 5; at++) {
    value += (bytes[at] & 127) * scale
    if (bytes[at] < 128) return { value, end: at + 1 }
    scale *= 128
  }
  return undefined
}
