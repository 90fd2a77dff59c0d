// What a store says may repeat what it was sent. Secrets are taken out of it before it is told or kept.

/** Shorter ones are found in any text. */
const MIN_LENGTH = 6
const HIDDEN = '***'

/** The values of headers that may be secret: those of whoever configured them. */
export function secretsIn(headers: Readonly<Record<string, string>>): string[] {
  return Object.values(headers).flatMap((value) => {
    const [scheme, ...rest] = value.split(' ')
    const token = rest.join(' ')
    if (token === '') return [value]
    return scheme.toLowerCase() === 'basic' ? [value, token, ...partsOf(token)] : [value, token]
  })
}

export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text
  // The longer first: it may hold a shorter one.
  for (const secret of [...secrets].sort((a, b) => b.length - a.length))
    if (secret.length >= MIN_LENGTH) clean = clean.replaceAll(secret, HIDDEN)
  return clean
}

/** User and password together, and the password. */
function partsOf(token: string): string[] {
  const text = Buffer.from(token, 'base64').toString()
  return [text, text.slice(text.indexOf(':') + 1)]
}
