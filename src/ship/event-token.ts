// The name of an event as a part of other names: of subjects and ids, which give a meaning to some characters.

/** One token for each event: what is no letter, digit, `_` or `-` is `%` and two hexadecimal digits for each byte. */
export function eventToken(event: string): string {
  return [...Buffer.from(event)]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9_-]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}

/** A name of one's own for the event, or the name itself where there is none. */
export function nameOf(name: string, event: string | undefined): string {
  return event === undefined ? name : `${name}.${eventToken(event)}`
}
