// Length-prefixed binary records in one file that any number of processes and threads share, rolled over to
// numbered backups.
import { resolve } from 'node:path'
import { requireData, requireText } from '../../base/bytes.ts'
import { LogboomError } from '../../base/errors.ts'
import { MAX_PAYLOAD_BYTES } from '../../formats/binary-file.ts'
import type { Disk } from '../../io/disk.ts'
import { openQueue } from '../lane/open-queue.ts'
import { FrameQueue } from '../queue/payload-queue.ts'
import { SharedFileSink } from '../shared-file/shared-file-sink.ts'
import { SharedFileTarget } from '../shared-file/shared-file-target.ts'
import { Account } from '../sink/account.ts'
import { internals } from '../sink/internals.ts'
import { Pump } from '../sink/pump.ts'
import { type BinaryFileOptions, parseBinaryFileOptions } from './options.ts'
import { PayloadRules } from './payload-rules.ts'
import { type ReadHost, type ReadOptions, readPayloads } from './read-payloads.ts'

export class BinaryFile extends SharedFileSink {
  readonly #disk: Disk
  readonly #account: Account

  /**
   * Opens the file. Throws `ERR_OPTION`, `ERR_UNSUPPORTED`, `ERR_NOT_FILE`, `ERR_SYMLINK` or `ERR_OWNER`; other
   * failures are retried.
   */
  constructor(input: BinaryFileOptions) {
    const options = parseBinaryFileOptions(input)
    const path = resolve(options.path)
    const { disk, now, source } = internals()
    super()
    const account = new Account(this, path, options.fallback)
    const unit = source === 'lines' ? 'line' : 'payload'
    const rules = new PayloadRules({
      unit,
      disk,
      now,
      path,
      maxBytes: options.maxBytes,
      file: () => target.file,
      rotate: () => target.rotate(),
      warn: (code, message) => account.warn(code, message)
    })
    const target = new SharedFileTarget(disk, now, account, options, 'sync', rules)
    this.#disk = disk
    this.#account = account
    const { queue, lane, maxBufferBytes, start } = openQueue({
      ...options,
      account,
      kind: 'binary-file',
      given: input,
      place: { path },
      memory: new FrameQueue(source),
      format: { unit },
      rules: { settles: true, keeps: options.durability === 'disk', isStaging: false }
    })
    if (lane !== undefined) target.noteIn(lane)
    const pump = new Pump(account, { ...options, maxBufferBytes }, queue, target)
    this.start(pump, target)
    start(() => pump.writeNow())
  }

  /**
   * Appends `payload` as one record. False means: above the high-water mark, 'drain' follows. Throws `ERR_CLOSED`,
   * `ERR_ARGUMENT`, and `ERR_TOO_LARGE` above 4 294 967 295 bytes; never for I/O.
   */
  override write(payload: string | Uint8Array): boolean {
    const data = requireData('write', payload)
    // A text cannot be that long.
    const bytes = typeof data === 'string' ? 0 : data.length
    if (bytes > MAX_PAYLOAD_BYTES) {
      const message = `a payload of ${bytes} bytes is more than a record can hold (${MAX_PAYLOAD_BYTES})`
      throw new LogboomError('ERR_TOO_LARGE', message, { path: this.#account.path })
    }
    return this.writeData(data)
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
  *readBytes(path = this.#account.path, options: ReadOptions = {}): Generator<Buffer, void, undefined> {
    requireText('read', path)
    const file = resolve(path)
    const isOurs = file === this.#account.path && !this.pump.isClosed
    if (isOurs) this.flushSync('os')
    const host: ReadHost = {
      disk: this.#disk,
      report: (code, message, where) => this.#account.warn(code, message, where),
      liveSize: (fd) => (isOurs ? this.#sizeAtRest(fd) : this.#disk.fstat(fd).size)
    }
    yield* readPayloads(host, file, options)
  }

  /** Writes everything out and closes, as far as that is possible at once. */
  [Symbol.dispose](): void {
    if (this.pump.isClosing) return
    try {
      this.flushSync()
    } finally {
      this.close().catch(() => {})
    }
  }

  /** Under the lock no other writer is half-way through a record, and what a dead one left is cut off. */
  #sizeAtRest(fd: number): number {
    let size: number | undefined
    this.target.turn(this.target.lockTimeoutMs, () => {
      size = this.#disk.fstat(fd).size
    })
    return size ?? this.#disk.fstat(fd).size
  }
}
