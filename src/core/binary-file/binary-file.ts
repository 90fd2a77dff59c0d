// Length-prefixed binary records in one file that any number of processes and threads share, rolled over to
// numbered backups.
import { basename, dirname, join, resolve } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import {
  completeEnd,
  decodeLength,
  LENGTH_BYTES,
  MAX_PAYLOAD_BYTES,
  wholeEnd
} from '../../formats/binary-file.ts'
import { formatNumberedName, numberedBackups } from '../../formats/numbered-name.ts'
import { countFrames, FrameQueue, type FrameSource } from '../queue/payload-queue.ts'
import {
  type BackupCandidate,
  type SharedFileInternals,
  SharedFileSink
} from '../shared-file/shared-file-sink.ts'
import { type BinaryFileOptions, type ParsedBinaryFileOptions, parseBinaryFileOptions } from './options.ts'
import { type ReadHost, type ReadOptions, readPayloads } from './read-payloads.ts'

const SCAN_BYTES = 256 * 1024

export interface BinaryFileInternals extends SharedFileInternals {
  /** What `write` and `commit` take; transports give lines. */
  source?: FrameSource
}

export class BinaryFile extends SharedFileSink {
  readonly #options: ParsedBinaryFileOptions
  readonly #folder: string
  readonly #base: string

  /** Opens the file. Throws `ERR_OPTION`, `ERR_UNSUPPORTED`, `ERR_NOT_FILE` or `ERR_SYMLINK`; other failures are retried. */
  constructor(input: BinaryFileOptions, internals: BinaryFileInternals = {}) {
    const options = parseBinaryFileOptions(input)
    const path = resolve(options.path)
    super(path, options, new FrameQueue(internals.source ?? 'payloads'), 'sync', internals)
    this.#options = options
    this.#folder = dirname(path)
    this.#base = basename(path)
    this.openNow()
  }

  /**
   * Appends `payload` as one record. False means: above the high-water mark, 'drain' follows. Throws `ERR_CLOSED`,
   * and `ERR_TOO_LARGE` above 4 294 967 295 bytes; never for I/O.
   */
  override write(payload: string | Uint8Array): boolean {
    if (payload.length > MAX_PAYLOAD_BYTES) {
      const message = `a payload of ${payload.length} bytes is more than a record can hold (${MAX_PAYLOAD_BYTES})`
      throw new LogboomError('ERR_TOO_LARGE', message, { path: this.path })
    }
    return super.write(payload)
  }

  /**
   * The payloads as text: those of the backups in order, then those of the live file up to its present end.
   * `path` may name another binary file, or a single backup. Throws `ERR_CORRUPT` at the end of a damaged file,
   * after all its intact records, and `ERR_IO` for a file that cannot be read; see `onCorrupt` for other ways.
   */
  *read(path?: string, options?: ReadOptions): Generator<string, void, undefined> {
    for (const payload of this.readBytes(path, options)) yield payload.toString()
  }

  /** The same as bytes. */
  *readBytes(path = this.path, options: ReadOptions = {}): Generator<Buffer, void, undefined> {
    const file = resolve(path)
    const isOurs = file === this.path && !this.isClosed
    if (isOurs) this.flushSync('os')
    const host: ReadHost = {
      disk: this.disk,
      report: (code, message, where) => this.warn(code, message, where),
      liveSize: (fd) => (isOurs ? this.#sizeAtRest(fd) : this.disk.fstat(fd).size)
    }
    yield* readPayloads(host, file, options)
  }

  /** Writes everything out and closes, as far as that is possible at once. */
  [Symbol.dispose](): void {
    if (this.isClosed) return
    try {
      this.flushSync()
    } finally {
      this.close().catch(() => {})
    }
  }

  protected _wholeRecords(bytes: Uint8Array): number {
    return completeEnd(bytes, 0, bytes.length)
  }

  protected _countRecords(bytes: Uint8Array, start: number, end: number): number {
    return countFrames(bytes, start, end)
  }

  // A record behind a torn one would never be found again, and bytes of others are never cut: such a file is
  // rolled over as it is.
  protected _prepare(): void {
    const { clean, size } = this.file
    if (clean || size === 0 || this.#endsWhole()) return
    this.warn('ERR_CORRUPT', `${this.path} ends within a record that was not ours; it is rolled over`)
    this.rotateFile()
  }

  /** All records up to the one that makes the file reach `maxBytes`. */
  protected _fitting(records: Buffer, at: number): number {
    const room = this.#options.maxBytes - this.file.size
    if (room <= 0) return at
    if (records.length - at <= room) return records.length
    const end = completeEnd(records, at, at + room)
    return end - at === room ? end : end + LENGTH_BYTES + decodeLength(records, end)
  }

  protected override _appended(): void {
    if (this.file.size >= this.#options.maxBytes) this.rotateFile()
  }

  /** Numbers only grow: behind the last one noted, which a removed backup does not change, and those there. */
  protected *_backupNames(): Generator<BackupCandidate> {
    const noted = this.file.newestBackup
    const last = noted.stamp > 0 ? noted.number : this.#lastNumber()
    const stamp = Math.floor(this.now() / 1000)
    for (let number = last + 1; ; number++) {
      yield { path: join(this.#folder, formatNumberedName(this.#base, number)), stamp, number }
    }
  }

  /** Under the lock no other writer is half-way through a record, and what a dead one left is cut off. */
  #sizeAtRest(fd: number): number {
    let size: number | undefined
    this.turn(this._lockTimeoutMs, () => {
      size = this.disk.fstat(fd).size
    })
    return size ?? this.disk.fstat(fd).size
  }

  #lastNumber(): number {
    return numberedBackups(this.#base, this.disk.readdir(this.#folder)).at(-1)?.number ?? -1
  }

  #endsWhole(): boolean {
    const { fd, size } = this.file
    const buffer = Buffer.allocUnsafe(Math.min(size, SCAN_BYTES))
    const read = (at: number): Uint8Array =>
      buffer.subarray(0, this.disk.read(fd, buffer, 0, Math.min(buffer.length, size - at), at))
    return wholeEnd(size, read) === size
  }
}
