// The native functions of the package: the addon where a binary loads, else the portable fallback.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { fallback } from './fallback.ts'

/** What addon and fallback both provide; addon.c says how each works. */
export interface Native {
  /** 'addon', or 'fallback' where no binary loads or `LOGBOOM_NATIVE=0` is set. */
  readonly backend: 'addon' | 'fallback'
  /** Whether `lock` works, that is: whether several processes may share one file. */
  readonly canLock: boolean
  /**
   * Takes an exclusive kernel lock on byte `slot` (-1: the whole file) of an open file; false if still held
   * after `waitMs`.
   */
  lock(fd: number, slot: number, waitMs: number): boolean
  unlock(fd: number, slot: number): void
  /** Closes `fd` when this thread ends without closing it (`worker.terminate()` closes nothing). */
  closeAtExit(fd: number): void
  /** Takes `fd` off that list; to be called before closing it. */
  forget(fd: number): void
  /** rename(2) that fails with EEXIST instead of replacing `to`. */
  renameNoReplace(from: string, to: string): void
  /** CRC-32C (Castagnoli) of `data[start, end)`, continued from `seed` (0 at the start). */
  crc32c(data: Uint8Array, seed: number, start: number, end: number): number
  /** The number of line ends (byte 10) in `data[start, end)`. */
  countLines(data: Uint8Array, start: number, end: number): number
  /**
   * Walks over the whole WAL records in `data[start, end)` after checksum `seed`, filling `rows` (columns:
   * wal-scan.ts) until they are full or anything but a sound record comes. Returns the number of rows.
   */
  walScan(data: Uint8Array, start: number, end: number, seed: number, rows: Uint32Array): number
  /** fallocate(2): reserves blocks and extends the file with zeros; EOPNOTSUPP where that is not possible. */
  fallocate(fd: number, offset: number, length: number): void
}

// A glibc binary does not load on musl and the other way round, so trying both needs no detection.
function load(): Native {
  if (process.env.LOGBOOM_NATIVE === '0') return fallback
  const require = createRequire(import.meta.url)
  for (const libc of ['', '-musl']) {
    const binary = new URL(
      `../../prebuilds/${process.platform}-${process.arch}${libc}/logboom.node`,
      import.meta.url
    )
    const file = fileURLToPath(binary)
    if (!existsSync(file)) continue
    try {
      return { backend: 'addon', canLock: true, ...(require(file) as Omit<Native, 'backend' | 'canLock'>) }
    } catch {
      // Built for another libc or an older system: the next candidate, then the fallback, serve.
    }
  }
  return fallback
}

export const native: Native = load()
