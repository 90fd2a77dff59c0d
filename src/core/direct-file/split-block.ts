// Blocks of entries cut between entries: to fit a file that may not get larger, or to keep what is before a damage.
import { decodeU32, ENTRY_HEADER_BYTES, FRAME_HEADER_BYTES } from '../../formats/direct-file.ts'
import { type FlushItem, type FrameBlock, isLarge } from './flush-target.ts'

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
    records: item.records === undefined ? undefined : item.records - records
  }
  return [first, rest]
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
