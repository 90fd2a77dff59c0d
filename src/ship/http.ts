// What the targets over HTTP share: one POST with its headers, and what its answer means.
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { LogboomError } from '../base/errors.ts'
import { type HttpAnswer, HttpClient, shown } from './http-client.ts'
import { retryAfterMs } from './retry-after.ts'
import { secretsIn, withoutSecrets } from './secrets.ts'
import { RefusedError, RetryLaterError } from './target.ts'
import type { TlsFiles } from './tls-files.ts'

const compress = (data: string | Uint8Array): Promise<Buffer> => promisify(gzip)(data)
const MAX_SHOWN = 300
/** "Not like this": nothing about the way there, and nothing that anybody could mend in the target. */
const REFUSALS = [400, 413, 415, 422]

export interface HttpOptions {
  readonly url: string
  /** The header `authorization`; as a function it is asked for each request, so that it can be renewed. */
  readonly authorization?: string | (() => string) | undefined
  /** More headers, for example of a tenant or with a key. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Authorities of one's own, and the certificate of the client. */
  readonly tls?: TlsFiles | undefined
}

export interface PostOptions {
  readonly contentType: string
  /** Sends the body compressed. */
  readonly gzip?: boolean
}

export interface Poster {
  /** Sends a body; resolves with the body of the answer, rejects as `ShipTarget.send` does. */
  post(body: Uint8Array | string, signal: AbortSignal): Promise<Buffer>
  close(): Promise<void>
}

/** Throws `ERR_OPTION` for a URL, headers or files that are none. */
export function createPoster(
  target: string,
  options: HttpOptions,
  { contentType, gzip }: PostOptions
): Poster {
  const url = requireHttpUrl(target, options.url)
  headersOf(target, options)
  const client = new HttpClient(target, options.tls)
  return {
    async post(content, signal) {
      const own = headersOf(target, options)
      const headers = {
        ...own,
        'content-type': contentType,
        ...(gzip === true && { 'content-encoding': 'gzip' })
      }
      const body = gzip === true ? await compress(content) : content
      const answer = await client.send({ method: 'POST', url, headers, body }, signal)
      if (isSuccess(answer)) return answer.body
      throw failureOf(answer, `POST ${shown(url)}`, secretsIn(own))
    },
    async close() {
      client.close()
    }
  }
}

export function isSuccess({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300
}

/** Statuses that mean "not like this", and nothing about the way there. */
export function isRefusal(status: number): boolean {
  return REFUSALS.includes(status)
}

/** An answer that was not what it should have been, as an error to throw; what the store says may hold what it was sent. */
export function failureOf(answer: HttpAnswer, what: string, secrets: readonly string[]): Error {
  const text = withoutSecrets(answer.body.toString(), secrets).slice(0, MAX_SHOWN)
  const message = `${what}: HTTP ${answer.status} ${text}`.trim()
  if (isRefusal(answer.status)) return new RefusedError(message)
  const afterMs = retryAfterMs(answer.headers, Date.now())
  return afterMs === undefined ? new Error(message) : new RetryLaterError(message, afterMs)
}

/** Throws `ERR_OPTION` for all but a URL of http or https without user and password. */
export function requireHttpUrl(target: string, text: unknown): URL {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new LogboomError('ERR_OPTION', `${target}: url must be one of http or https`)
  }
  if (url.username !== '' || url.password !== '') {
    const message = `${target}: url must not hold user and password: it is shown; give the option authorization`
    throw new LogboomError('ERR_OPTION', message)
  }
  return url
}

/** By their names in small letters. */
function headersOf(target: string, { authorization, headers = {} }: HttpOptions): Record<string, string> {
  const own = typeof authorization === 'function' ? authorization() : authorization
  const all = Object.entries({ ...headers, ...(own !== undefined && { authorization: own }) })
  for (const [name, value] of all) {
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch {
      // The value may be a secret.
      const message = `${target}: the header ${JSON.stringify(name)} has a name or value that HTTP does not allow`
      throw new LogboomError('ERR_OPTION', message)
    }
  }
  return Object.fromEntries(all.map(([name, value]) => [name.toLowerCase(), value]))
}
