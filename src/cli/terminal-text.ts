// Records on their way to a terminal: their text as it is, but nothing that acts on the terminal or hides in it.

/**
 * Control characters but tab and line feed, and those that turn the direction of writing. A carriage return goes back
 * to what has been printed; before a line end it does no harm. Joiners stay: names and emoji are made with them.
 */
const ACTING =
  /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]|\r(?!\n|$)/g

/** Whether a terminal shows colours, and the user wants them. */
export function showsColours({ NO_COLOR = '', TERM }: NodeJS.ProcessEnv = process.env): boolean {
  return NO_COLOR === '' && TERM !== 'dumb'
}

/** `text` with each of them as the escape that JSON has for it. */
export function terminalText(text: string): string {
  return text.replace(ACTING, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The bytes of a record; bytes that are no UTF-8 are shown as replacement characters. */
export function terminalBytes(data: Buffer): Buffer {
  return Buffer.from(terminalText(data.toString()))
}
