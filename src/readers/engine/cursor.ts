// Cursors: texts that say behind which record a reader stands, and go on meaning it when the file is rotated,
// compressed, or gone. docs/formats.md describes them.
import { LogboomError } from '../../base/errors.ts'
import { native } from '../../native/index.ts'

const PREFIX = 'logboom:1:'
const FIELDS = 8
const MAX_TEXT_LENGTH = 64 * 1024 * 1024
/** How much of the start of a file tells it from others. */
export const MAX_HEAD_BYTES = 512

/** The first bytes of a file, decompressed: how many, and their CRC-32C. */
export interface Head {
  readonly bytes: number
  readonly crc: number
}

/** The file that a batch comes from. */
export interface Place {
  readonly format: string
  /** Name of the log, without folder. */
  readonly log: string
  /** `=<name>` for a file that keeps its name; `><name>` for the one behind that backup, `>` for one behind none. */
  readonly file: string
  readonly head: Head
}

/** Behind one record of one log. */
export interface Cursor extends Place {
  /** Where the record begins in its file, in decompressed bytes; its index, in a write-ahead log. */
  readonly position: bigint
  /** CRC-32C and length of the record. */
  readonly crc: number
  readonly length: number
  /** As it was given. */
  readonly text: string
}

/** The last record of each log of a folder, by the names of the logs. */
export type FolderCursor = ReadonlyMap<string, Cursor>

export const noHead: Head = { bytes: 0, crc: 0 }

export function formatCursor(place: Place, position: number | bigint, data: Uint8Array): string {
  const { format, log, file, head } = place
  const name = `${encodeURIComponent(log)}:${encodeURIComponent(file)}`
  const record = `${position}:${data.length}:${hex(checksumOf(data))}`
  return `${PREFIX}${format}:${name}:${record}:${head.bytes}:${hex(head.crc)}`
}

/** One text for the cursors of all logs of a folder. */
export function formatFolderCursor(cursors: Iterable<string>): string {
  return `${PREFIX}folder:${Buffer.from(JSON.stringify([...cursors])).toString('base64url')}`
}

/** Throws `ERR_OPTION` for a text that is no cursor. */
export function parseCursor(text: string): Cursor | FolderCursor {
  if (!text.startsWith(PREFIX) || text.length > MAX_TEXT_LENGTH) throw notCursor(text)
  const [format, ...fields] = text.slice(PREFIX.length).split(':')
  return format === 'folder' ? parseFolder(text, fields) : parseOne(text, format, fields)
}

/** `ERR_CURSOR_LOST`: what the cursor names is not there any more. */
export function cursorLost(path: string, reason: string): LogboomError {
  return new LogboomError('ERR_CURSOR_LOST', `${path}: the record of the cursor is gone: ${reason}`, { path })
}

/** `ERR_CURSOR_LOST`: records behind what was read are not there any more. */
export function recordsLost(path: string, reason: string): LogboomError {
  const text = `${path}: records were removed before they were read: ${reason}`
  return new LogboomError('ERR_CURSOR_LOST', text, { path })
}

function parseFolder(text: string, fields: readonly string[]): FolderCursor {
  let texts: unknown
  try {
    texts = JSON.parse(Buffer.from(fields.join(':'), 'base64url').toString())
  } catch {
    throw notCursor(text)
  }
  if (!Array.isArray(texts)) throw notCursor(text)
  const found = new Map<string, Cursor>()
  for (const each of texts) {
    const cursor = typeof each === 'string' ? parseCursor(each) : notCursor(text)
    if (!('log' in cursor)) throw notCursor(text)
    found.set(cursor.log, cursor)
  }
  return found
}

export function isFolderCursor(cursor: Cursor | FolderCursor): cursor is FolderCursor {
  return cursor instanceof Map
}

function parseOne(text: string, format: string, fields: readonly string[]): Cursor {
  if (fields.length !== FIELDS - 1) throw notCursor(text)
  const [log, file, position, length, crc, headBytes, headCrc] = fields
  try {
    const cursor = {
      text,
      format,
      log: decodeURIComponent(log),
      file: decodeURIComponent(file),
      position: wholeBigInt(position),
      length: wholeNumber(length, 10),
      crc: wholeNumber(crc, 16),
      head: { bytes: wholeNumber(headBytes, 10), crc: wholeNumber(headCrc, 16) }
    }
    const isPlausible =
      /^[=>]/.test(cursor.file) &&
      !/[/\\\0]/.test(`${cursor.log}${cursor.file}`) &&
      cursor.position >= 0n &&
      cursor.head.bytes <= MAX_HEAD_BYTES
    if (isPlausible) return cursor
  } catch {
    // Below.
  }
  throw notCursor(text)
}

/** Larger ones than any file has are no cursors of this world, but well formed. */
function wholeBigInt(text: string): bigint {
  if (!/^\d{1,40}$/.test(text)) throw new RangeError(text)
  return BigInt(text)
}

function wholeNumber(text: string, radix: 10 | 16): number {
  const value = (radix === 10 ? /^\d{1,16}$/ : /^[0-9a-f]{8}$/).test(text)
    ? Number.parseInt(text, radix)
    : Number.NaN
  if (!Number.isSafeInteger(value)) throw new RangeError(text)
  return value
}

export function checksumOf(data: Uint8Array): number {
  return native.crc32c(data, 0, 0, data.length)
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}

function notCursor(text: string): LogboomError {
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
  return new LogboomError('ERR_OPTION', `readRecords: option 'from' is no cursor of a record: ${shown}`)
}
