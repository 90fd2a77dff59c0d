// The reader of length-prefixed records, as the binary file writes them.
import { basename, dirname, extname } from 'node:path'
import { completeEnd, decodeLength, LENGTH_BYTES } from '../../formats/binary-file.ts'
import { lockFileName } from '../../formats/lock-file.ts'
import { numberedBackups, numberedBase } from '../../formats/numbered-name.ts'
import { repairBinaryFile } from '../../repair/binary-file.ts'
import { compressionOf } from '../engine/decompress.ts'
import { createFileReader } from '../engine/file-reader.ts'
import { type FindLogFiles, finishedBackup, namesIn } from '../engine/log-files.ts'
import type { Scan, Scanner } from '../engine/scan.ts'
import { describeWriter } from '../engine/writer-state.ts'
import type { Probe } from '../reader.ts'

/** So far is looked whether records follow each other. */
const LOOKED_BYTES = 16 * 1024 * 1024
/** Only with this extension a name alone makes a file a binary file. */
const EXTENSION = '.bin'

export const binaryFileReader = createFileReader({
  format: 'binary-file',
  files: {
    name: 'binary-file',
    find: findNumberedFiles,
    readsUnterminated: false,
    scanner: (maxRecordBytes) => new FrameScanner(maxRecordBytes),
    // Where a record begins is known only by way of all before it.
    scanFrom: () => 0
  },
  detect: detectBinaryFile,
  holds: holdsRecords,
  backups: {
    baseOf: numberedBase,
    of: (name, names) => numberedBackups(name, names).map((backup) => backup.names),
    // Other programs number their text logs like this.
    isUnmistakable: false
  },
  details: describeWriter,
  repair: async (path) => {
    const { finished, live } = await findNumberedFiles(path)
    // What is compressed cannot be cut; `verify` tells of it.
    const files = finished.map(({ paths }) => paths[0]).filter((file) => compressionOf(basename(file)) === '')
    return await repairBinaryFile(live === undefined ? files : [...files, live])
  }
})

/** The files of a log with numbered backups. A backup alone is a log without backups. */
async function findNumberedFiles(path: string): ReturnType<FindLogFiles> {
  const names = await namesIn(dirname(path))
  const name = basename(path)
  const base = numberedBase(name)
  const isPacked = compressionOf(name) !== ''
  const isBackup = base !== undefined && names.includes(base) && !names.includes(lockFileName(name))
  if (isPacked || isBackup) return { finished: [{ key: path, paths: [path] }], live: undefined }
  const finished = numberedBackups(name, names).map(({ plain, names: found }) =>
    finishedBackup(path, plain, found)
  )
  return { finished, live: path }
}

// A text never begins with NUL, a record below 16 MiB always does. A longer one is recognised by its name only.
function detectBinaryFile({ kind, name, names, head }: Probe): boolean {
  if (kind !== 'file' && kind !== 'stream') return false
  const isNamed = extname(name) === EXTENSION
  if (head.length < LENGTH_BYTES) return isNamed
  const end = LENGTH_BYTES + decodeLength(head, 0)
  if (end > head.length) return isNamed && (head[0] === 0 || numberedBackups(name, names).length > 0)
  // Whole records in the head all have to look like records, and zeros alone are a hole.
  let hasPayload = false
  for (let at = 0; at + LENGTH_BYTES <= head.length; ) {
    if (head[at] !== 0) return isNamed
    const length = decodeLength(head, at)
    hasPayload ||= length > 0
    at += LENGTH_BYTES + length
  }
  return hasPayload || isNamed
}

/** A first record that goes beyond the first bytes of its file: what follows it is a record, too, or the end. */
async function holdsRecords(read: (length: number) => Promise<Buffer>): Promise<boolean> {
  for (let looked = 0; looked < LOOKED_BYTES; ) {
    const prefix = await read(LENGTH_BYTES)
    if (prefix.length === 0) return looked > 0
    if (prefix[0] !== 0) return false
    if (prefix.length < LENGTH_BYTES) return looked > 0
    const length = decodeLength(prefix, 0)
    // Zeros at the start are more likely a hole.
    if (length === 0 && looked === 0) return false
    if ((await read(length)).length < length) return looked > 0
    looked += LENGTH_BYTES + length
  }
  return true
}

class FrameScanner implements Scanner {
  readonly #maxBytes: number
  /** What is left to skip of a record that is longer than the limit. */
  #skip = 0
  #longAt = 0
  #longBytes = 0

  constructor(maxRecordBytes: number) {
    this.#maxBytes = maxRecordBytes
  }

  scan(bytes: Buffer, position: number, final: boolean): Scan {
    if (this.#skip > 0) return this.#skipOn(bytes, final)
    const bounds: number[] = []
    const at = completeEnd(bytes, 0, bytes.length, this.#maxBytes, bounds)
    const offsets: number[] = []
    for (let i = 0; i < bounds.length; i += 2) offsets.push(position + bounds[i] - LENGTH_BYTES)
    const length = bytes.length - at < LENGTH_BYTES ? 0 : decodeLength(bytes, at)
    if (length > this.#maxBytes) {
      this.#skip = LENGTH_BYTES + length
      this.#longAt = position + at
      this.#longBytes = 0
    }
    const records = bounds.length === 0 ? undefined : { bounds, offsets }
    const rest = bytes.length - at
    if (this.#skip === 0 && (!final || rest === 0)) return { records, consumed: at }
    if (this.#skip === 0) return { records, consumed: bytes.length, damage: [cutShort(position + at, rest)] }
    const more = this.#skipOn(bytes.subarray(at), final)
    return { records, consumed: at + more.consumed, damage: more.damage }
  }

  #skipOn(bytes: Buffer, final: boolean): Scan {
    const count = Math.min(this.#skip, bytes.length)
    this.#skip -= count
    this.#longBytes += count
    if (this.#skip > 0 && !final) return { consumed: count }
    const isCut = this.#skip > 0
    this.#skip = 0
    if (isCut) return { consumed: count, damage: [cutShort(this.#longAt, this.#longBytes)] }
    const reason = `a record longer than the limit of ${this.#maxBytes} bytes`
    return { consumed: count, damage: [{ offset: this.#longAt, bytes: this.#longBytes, reason }] }
  }
}

function cutShort(offset: number, bytes: number): { offset: number; bytes: number; reason: string } {
  return { offset, bytes, reason: 'a record announces more bytes than there are' }
}
