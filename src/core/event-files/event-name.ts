// Event names as file names: nothing in a name can leave the folder, hide a file, or make it too long.
import { createHash } from 'node:crypto'

/**
 * Longest file name, in bytes. File systems allow 255; the rest is for what is added to it: the suffix of a
 * backup (`.20250131-235959.12345.zst.tmp`) and the name of a lock file.
 */
export const MAX_NAME_BYTES = 215
const HASH_LENGTH = 8

/** Separators, wildcards, quotes, spaces of any kind, and characters that terminals or editors act upon. */
const UNSAFE = /[/\\:*?"<>|\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
/** Names that mean devices on Windows, with whatever extension. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i

/** The name of the file of `event`, without extension; undefined if the event name is empty. */
export function eventFileStem(event: string, extension: string): string | undefined {
  if (event.length === 0) return undefined
  let name = event.replace(UNSAFE, '_').replace(/^\.+/, hidden).replace(/\.+$/, hidden)
  if (RESERVED.test(name)) name = `_${name}`
  const roomBytes = MAX_NAME_BYTES - Buffer.byteLength(extension)
  if (Buffer.byteLength(name) <= roomBytes) return name
  const hash = createHash('sha256').update(event).digest('hex').slice(0, HASH_LENGTH)
  return `${cut(name, roomBytes - HASH_LENGTH - 1)}-${hash}`
}

function hidden(dots: string): string {
  return '_'.repeat(dots.length)
}

/** The longest beginning of `text` of at most `bytes` bytes of UTF-8 that splits no character. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text)
  let end = bytes
  while (end > 0 && (encoded[end] & 0xc0) === 0x80) end--
  return encoded.toString('utf8', 0, end)
}
