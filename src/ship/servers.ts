// The servers that a target of its own protocol connects to: `<scheme>://<host>:<port>,<host>:<port>,…`.
import { LogboomError } from '../base/errors.ts'

export interface Schemes {
  readonly plain: string
  readonly tls: string
}

export interface Servers {
  /** `<host>:<port>`, or `<host>` alone. */
  readonly addresses: readonly string[]
  readonly isTls: boolean
}

/** Throws `ERR_OPTION` for all else. */
export function parseServers(target: string, text: unknown, { plain, tls }: Schemes): Servers {
  const wrong = (rule: string) => new LogboomError('ERR_OPTION', `${target}: ${rule}`)
  const rule = `url must be ${plain}://<host>:<port>,… or ${tls}://…`
  const [, scheme, list] = /^([a-z+]+):\/\/([^/?#]+)\/?$/i.exec(typeof text === 'string' ? text : '') ?? []
  if (scheme === undefined || ![plain, tls].includes(scheme.toLowerCase())) throw wrong(rule)
  if (list.includes('@'))
    throw wrong('url must not hold user and password: it is shown; give them as credentials')
  const addresses = list.split(',').map((each) => each.trim())
  for (const address of addresses) {
    // URL checks hosts, and ports of a scheme that it does not know.
    const parsed = URL.canParse(`x://${address}`) ? new URL(`x://${address}`) : undefined
    if (parsed === undefined || parsed.hostname === '') throw wrong(rule)
  }
  return { addresses, isTls: scheme.toLowerCase() === tls }
}
