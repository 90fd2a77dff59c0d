// Whether a zstd file is complete. Node 22 decompresses a file that is cut short without an error, so the frames
// are walked from header to header (RFC 8878, section 3.1.1).
import type { FileHandle } from 'node:fs/promises'

const MAGIC = 0xfd2fb528
/** The last four bits of the magic number of a skippable frame may be anything. */
const SKIPPABLE_MAGIC = 0x184d2a50
const DICTIONARY_ID_BYTES = [0, 1, 2, 4]
const CONTENT_SIZE_BYTES = [0, 2, 4, 8]
const BLOCK_RLE = 1

/** Whether the first `size` bytes of a file are whole zstd frames; anything behind a whole frame is not looked at. */
export async function isWholeZstd(handle: FileHandle, size: number): Promise<boolean> {
  const bytes = Buffer.alloc(8)
  const read = async (position: number, length: number) =>
    (await handle.read(bytes, 0, length, position)).bytesRead === length
  let at = 0
  while (at < size) {
    if (!(await read(at, 5))) return at > 0
    const magic = bytes.readUInt32LE()
    if ((magic & ~15) >>> 0 === SKIPPABLE_MAGIC) {
      if (!(await read(at, 8))) return false
      at += 8 + bytes.readUInt32LE(4)
      continue
    }
    if (magic !== MAGIC) return at > 0
    const descriptor = bytes[4]
    at += 5 + headerBytes(descriptor)
    for (let last = false; !last; ) {
      if (!(await read(at, 3))) return false
      const header = bytes.readUIntLE(0, 3)
      last = (header & 1) === 1
      at += 3 + (((header >> 1) & 3) === BLOCK_RLE ? 1 : header >> 3)
    }
    const hasChecksum = (descriptor & 4) !== 0
    if (hasChecksum) at += 4
  }
  return size > 0 && at === size
}

/** Bytes between the descriptor and the first block. */
function headerBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 32) !== 0
  const sizeFlag = descriptor >> 6
  const contentSizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : CONTENT_SIZE_BYTES[sizeFlag]
  return (isSingleSegment ? 0 : 1) + DICTIONARY_ID_BYTES[descriptor & 3] + contentSizeBytes
}
