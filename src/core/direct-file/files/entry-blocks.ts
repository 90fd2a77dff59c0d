// Blocks of entries cut between entries: to fit a file that may not get larger, or to keep what is before a damage.
import { decodeU32, ENTRY_HEADER_BYTES, FRAME_HEADER_BYTES } from '../../../formats/direct-file.ts'
import { native } from '../../../native/index.ts'
import { type FlushItem, type FrameBlock, isLarge, type LargeFrame } from './flush-target.ts'

/**
 * The block in two: entries of at most `roomBytes` (one at least), and the rest. The header of the second will lie on
 * the end of the first, so the first must be written before. A block that cannot be divided comes back alone.
 */
export function splitBlock(item: FlushItem, roomBytes: number): FlushItem[] {
  if (isLarge(item)) return [item]
  const { bytes, validBytes } = item
  const end = FRAME_HEADER_BYTES + validBytes
  let at = FRAME_HEADER_BYTES
  let records = 0
  item.records ??= native.countEntries(bytes, FRAME_HEADER_BYTES, end)
  // Whoever writes it finds out that it is broken.
  if (item.records < 0) return [item]
  while (at < end) {
    const next = at + ENTRY_HEADER_BYTES + decodeU32(bytes, at)
    if (records > 0 && next - FRAME_HEADER_BYTES > roomBytes) break
    at = next
    records++
  }
  if (at >= end) {
    item.records = records
    return [item]
  }
  const first: FrameBlock = { bytes: bytes.subarray(0, at), validBytes: at - FRAME_HEADER_BYTES, records }
  const rest: FrameBlock = {
    bytes: bytes.subarray(at - FRAME_HEADER_BYTES),
    validBytes: end - at,
    records: item.records - records
  }
  return [first, rest]
}

/** Takes the first `records` records off the list: they are on disk already. */
export function skipRecords(items: FlushItem[], records: number, released: (item: LargeFrame) => void): void {
  let left = records
  while (left > 0 && items.length > 0) {
    const [item] = items
    if (isLarge(item)) {
      left--
      released(item)
      items.shift()
      continue
    }
    const end = FRAME_HEADER_BYTES + item.validBytes
    item.records ??= native.countEntries(item.bytes, FRAME_HEADER_BYTES, end)
    if (item.records <= left) {
      left -= Math.max(0, item.records)
      items.shift()
      continue
    }
    let at = FRAME_HEADER_BYTES
    for (let record = 0; record < left; record++) at += ENTRY_HEADER_BYTES + decodeU32(item.bytes, at)
    items[0] = {
      bytes: item.bytes.subarray(at - FRAME_HEADER_BYTES),
      validBytes: end - at,
      records: item.records - left
    }
    return
  }
}

/** Cuts a block behind its last sound entry. */
export function salvage(block: FrameBlock): void {
  const { bytes, validBytes } = block
  const end = FRAME_HEADER_BYTES + validBytes
  let at = FRAME_HEADER_BYTES
  let records = 0
  while (end - at >= ENTRY_HEADER_BYTES) {
    const length = decodeU32(bytes, at)
    if (length === 0 || length > end - at - ENTRY_HEADER_BYTES) break
    at += ENTRY_HEADER_BYTES + length
    records++
  }
  block.validBytes = at - FRAME_HEADER_BYTES
  block.records = records
}
