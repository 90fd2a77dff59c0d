// Text for a terminal: what a file name or a message may hold must not act on it.

/**
 * Control characters (C0, DEL, C1), invisible format characters (those that turn the direction of writing among them),
 * line and paragraph separators, and halves of characters.
 */
const ACTING = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** `text` with every character that a terminal would act upon, or not show, as an escape such as `\x1b` or `\u202e`. */
export function printable(text: string): string {
  return text.replace(ACTING, escaped)
}

function escaped(character: string): string {
  const code = character.codePointAt(0) as number
  if (character === '\n') return '\\n'
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`
}
