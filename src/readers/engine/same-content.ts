// Whether a compressed backup is the compressed form of a file that is still open.
import { basename } from 'node:path'
import { fileSource, SourceDamage } from './byte-source.ts'
import { compressionOf, DecompressedSource } from './decompress.ts'
import type { OpenFile } from './open-file.ts'

const CHUNK_BYTES = 64 * 1024

/** Compares byte by byte, so files that differ (as logs do in their first line) cost one short read. */
export async function sameContent(packed: OpenFile, plain: OpenFile): Promise<boolean> {
  const compression = compressionOf(basename(packed.path))
  if (compression === '') return false
  const unpacked = new DecompressedSource(packed.path, packed.handle, compression, () => {})
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  const expected = Buffer.allocUnsafe(CHUNK_BYTES)
  try {
    for (let position = 0; ; ) {
      const length = await unpacked.read(chunk)
      if (length === 0) return position === (await plain.handle.stat()).size
      const source = fileSource(plain.path, plain.handle, position, position + length)
      for (let filled = 0; filled < length; ) {
        const bytesRead = await source.read(expected.subarray(filled, length))
        if (bytesRead === 0) return false
        filled += bytesRead
      }
      if (chunk.compare(expected, 0, length, 0, length) !== 0) return false
      position += length
    }
  } catch (error) {
    if (error instanceof SourceDamage) return false
    throw error
  } finally {
    unpacked.close()
  }
}
