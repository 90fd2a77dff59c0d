// Compression of one finished backup: to a temporary name, synced, renamed, and only then is the source removed.
import { constants } from 'node:fs'
import type { Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import type { BackupCompression } from '../../formats/backup-name.ts'
import type { Disk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { openFile } from '../../io/open-file.ts'

export type Compression = 'gzip' | 'brotli' | 'zstd'

const CHUNK_BYTES = 256 * 1024

/** zstd came with Node 22.15 and 23.8; the types of Node 20 do not have it. */
interface Zstd {
  createZstdCompress?: () => Transform
  createZstdDecompress?: () => Transform
}
const zstd = () => zlib as Zstd

export const compressionSuffix: Record<Compression, BackupCompression> = {
  gzip: 'gz',
  brotli: 'br',
  zstd: 'zst'
}

export function canCompress(method: Compression): boolean {
  return method !== 'zstd' || zstd().createZstdCompress !== undefined
}

function createCompressor(method: Compression): Transform {
  if (method === 'gzip') return zlib.createGzip({ chunkSize: CHUNK_BYTES })
  const { createZstdCompress } = zstd()
  if (method === 'zstd' && createZstdCompress !== undefined) return createZstdCompress()
  // Quality 11, the default, takes minutes for a hundred megabytes; 5 is about as small as gzip -9 and faster.
  return zlib.createBrotliCompress({
    chunkSize: CHUNK_BYTES,
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 }
  })
}

export function temporaryName(target: string): string {
  return `${target}.tmp`
}

/** Compresses `source` to `target`. The caller holds the upkeep lock, so a temporary file there is stale. */
export async function compressBackup(
  disk: Disk,
  source: string,
  target: string,
  method: Compression,
  mode: number,
  signal: AbortSignal
): Promise<void> {
  const temporary = temporaryName(target)
  const input = openFile(disk, source, constants.O_RDONLY, { mode, dirMode: 0, mkdir: false })
  try {
    if (disk.exists(temporary)) disk.unlink(temporary)
    const output = openFile(disk, temporary, constants.O_WRONLY | constants.O_EXCL, {
      mode,
      dirMode: 0,
      mkdir: false
    })
    try {
      failpoint('compress')
      await pass(disk, createCompressor(method), input.fd, signal, (chunk) => {
        for (let at = 0; at < chunk.length; ) at += disk.write(output.fd, chunk, at, chunk.length - at, null)
      })
      keepTime(disk, input.fd, output.fd)
      await disk.fsyncAsync(output.fd)
    } finally {
      output.release()
    }
    failpoint('compressed')
    disk.renameNoReplace(temporary, target)
    failpoint('published')
  } catch (error) {
    // On a full disk the unfinished file would take the space that is needed most.
    if (disk.exists(temporary)) disk.unlink(temporary)
    throw error
  } finally {
    input.release()
  }
}

/** Backups whose name tells no time are as old as their files, and compressing makes none of them young again. */
function keepTime(disk: Disk, from: number, to: number): void {
  const { mtimeMs } = disk.fstat(from)
  // A clock that was ahead has given a time that would keep the backup for long.
  if (mtimeMs > disk.fstat(to).mtimeMs) return
  try {
    disk.setTime(to, mtimeMs)
  } catch {
    // Where that cannot be done its age counts from now; it is no reason to leave it uncompressed.
  }
}

/** Whether decompressing `compressed` (named after its method) gives exactly the bytes of `source`. */
export async function isCompressedCopy(
  disk: Disk,
  source: string,
  compressed: string,
  signal: AbortSignal
): Promise<boolean> {
  const options = { mode: 0, dirMode: 0, mkdir: false }
  const expected = openFile(disk, source, constants.O_RDONLY, options)
  const input = openFile(disk, compressed, constants.O_RDONLY, options)
  let at = 0
  try {
    const { size } = disk.fstat(expected.fd)
    await pass(disk, createDecompressor(compressed), input.fd, signal, (chunk) => {
      const part = Buffer.allocUnsafe(chunk.length)
      const length = disk.read(expected.fd, part, 0, part.length, at)
      if (!part.subarray(0, length).equals(chunk)) throw new Error('different')
      at += length
    })
    return at === size
  } catch {
    signal.throwIfAborted()
    return false
  } finally {
    expected.release()
    input.release()
  }
}

function createDecompressor(name: string): Transform {
  if (name.endsWith('.gz')) return zlib.createGunzip()
  if (name.endsWith('.br')) return zlib.createBrotliDecompress()
  const { createZstdDecompress } = zstd()
  if (createZstdDecompress !== undefined) return createZstdDecompress()
  throw new Error('no zstd in this Node')
}

/** Sends the file `from` through `stream` in bounded memory and gives what comes out to `take`. */
async function pass(
  disk: Disk,
  stream: Transform,
  from: number,
  signal: AbortSignal,
  take: (chunk: Buffer) => void
): Promise<void> {
  const feed = async (): Promise<void> => {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    for (let at = 0; ; ) {
      signal.throwIfAborted()
      const length = disk.read(from, chunk, 0, chunk.length, at)
      if (length === 0) break
      at += length
      // The callback comes when the stream is done with the chunk, so that it can be filled again.
      await new Promise<void>((resolve, reject) => {
        stream.write(chunk.subarray(0, length), (error) => (error ? reject(error) : resolve()))
      })
    }
    stream.end()
  }
  const feeding = feed().catch((error) => {
    stream.destroy(error)
  })
  for await (const chunk of stream as AsyncIterable<Buffer>) take(chunk)
  await feeding
}
