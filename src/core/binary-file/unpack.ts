// Decompresses a backup in one go, for the reading that may not wait. Of a damaged one, what stands before the damage.
import * as zlib from 'node:zlib'
import { errorMessage, LogboomError, systemCode } from '../../base/errors.ts'
import type { BackupCompression } from '../../formats/backup-name.ts'

/** More is not held in memory at once; `readRecords` has no such limit. */
const MAX_UNPACKED_BYTES = 1024 ** 3

type Unpack = (bytes: Uint8Array, options: object) => Buffer

export interface Unpacked {
  readonly bytes: Buffer
  /** Why there is no more, if something is wrong. */
  readonly damage?: string
}

/** Throws `ERR_UNSUPPORTED` for zstd on an old Node, and `ERR_LIMIT` above 1 GiB of content. */
export function unpackNow(
  path: string,
  packed: Uint8Array,
  compression: Exclude<BackupCompression, ''>
): Unpacked {
  const { unpack, flush } = method(path, compression)
  const limit = { maxOutputLength: MAX_UNPACKED_BYTES }
  const isLimit = (error: unknown): boolean => systemCode(error) === 'ERR_BUFFER_TOO_LARGE'
  // With this flag the end of the input need not be the end of the data.
  const unpackPart = (length: number): Buffer | undefined => {
    try {
      return unpack(packed.subarray(0, length), { ...limit, finishFlush: flush })
    } catch (error) {
      if (isLimit(error)) throw tooLarge(path)
      return undefined
    }
  }
  try {
    return { bytes: unpack(packed, limit) }
  } catch (error) {
    if (isLimit(error)) throw tooLarge(path)
    const damage = errorMessage(error)
    // The longest part that is sound, by halving: damage is rare, so it may cost.
    let sound = 0
    for (let step = 2 ** Math.ceil(Math.log2(packed.length + 1)); step >= 1; step /= 2) {
      if (sound + step <= packed.length && unpackPart(sound + step) !== undefined) sound += step
    }
    return { bytes: (sound === 0 ? undefined : unpackPart(sound)) ?? Buffer.alloc(0), damage }
  }
}

function method(
  path: string,
  compression: Exclude<BackupCompression, ''>
): { unpack: Unpack; flush: number } {
  const { constants } = zlib
  if (compression === 'gz') return { unpack: zlib.gunzipSync, flush: constants.Z_SYNC_FLUSH }
  if (compression === 'br')
    return { unpack: zlib.brotliDecompressSync, flush: constants.BROTLI_OPERATION_FLUSH }
  // Not in the types of Node 20.
  const { zstdDecompressSync } = zlib as { zstdDecompressSync?: Unpack }
  if (zstdDecompressSync === undefined)
    throw new LogboomError('ERR_UNSUPPORTED', `${path}: zstd needs Node 22.15 or newer`, { path })
  return { unpack: zstdDecompressSync, flush: (constants as { ZSTD_e_flush?: number }).ZSTD_e_flush ?? 1 }
}

function tooLarge(path: string): LogboomError {
  const text = `${path} holds more than 1 GiB; read it with readRecords, which needs no memory for it`
  return new LogboomError('ERR_LIMIT', text, { path })
}
