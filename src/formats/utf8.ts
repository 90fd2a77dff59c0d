// Text into a buffer, for the paths that do it a million times a second.

interface WithUtf8Write {
  utf8Write?(text: string, at: number, length: number): number
}

/**
 * Writes `text` as UTF-8 to `target` at `at`, as far as whole characters fit; returns the bytes written. Lone surrogates
 * become U+FFFD. What `Buffer.write` calls in the end, without its choice of encodings, which costs as much again;
 * undocumented, so `Buffer.write` serves where it is missing.
 */
export function writeUtf8(target: Buffer, text: string, at: number): number {
  return hasUtf8Write
    ? (target as unknown as Required<WithUtf8Write>).utf8Write(text, at, target.length - at)
    : target.write(text, at)
}

const hasUtf8Write = typeof (Buffer.prototype as WithUtf8Write).utf8Write === 'function'
