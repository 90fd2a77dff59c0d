// What the targets over HTTP share: one POST with its headers, what its answer means, and how much of an answer is read.
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { errorMessage, LogboomError } from '../base/errors.ts'
import { RefusedError } from './target.ts'

const compress = promisify(gzip)
const REQUEST_TIMEOUT_MS = 30_000
const MAX_SHOWN = 300
/** An answer names each record at most; one that never ends is not read for ever. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** "Not like this": nothing about the way there, and nothing that anybody could mend in the target. */
const REFUSALS = [400, 413, 415, 422]

export interface HttpOptions {
  readonly url: string
  /** The header `authorization`. */
  readonly authorization?: string | undefined
  /** More headers, for example of a tenant or with a key. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export interface PostOptions {
  readonly contentType: string
  /** Sends the body compressed. */
  readonly gzip?: boolean
}

/** Sends a body; resolves with the body of the answer, rejects as `ShipTarget.send` does. */
export type Post = (body: Uint8Array | string, signal: AbortSignal) => Promise<Buffer>

/** Throws `ERR_OPTION` for a URL or headers that are none. */
export function createPost(target: string, options: HttpOptions, { contentType, gzip }: PostOptions): Post {
  const url = requireHttpUrl(target, options.url)
  const headers = headersOf(target, options)
  headers.set('content-type', contentType)
  if (gzip === true) headers.set('content-encoding', 'gzip')
  return async (content, signal) => {
    const body = gzip === true ? await compress(content) : content
    const response = await request(url, { method: 'POST', body, headers, signal })
    return await bytesOf(response, MAX_ANSWER_BYTES)
  }
}

/** A response that is a success; all else is thrown. No redirection is followed: a page to log in would answer 200. */
async function request(url: URL, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
  const what = `${init.method} ${shown(url)}`
  const signal = requestSignal(init.signal)
  const response = await fetch(url, { ...init, signal, redirect: 'manual' }).catch((error: unknown) => {
    throw unreachable(what, error)
  })
  if (!response.ok) throw await failureOf(response, what)
  return response
}

/** What fetch says is "fetch failed"; why is in the cause. */
export function unreachable(what: string, error: unknown): Error {
  const cause = error instanceof Error && error.cause !== undefined ? `: ${errorMessage(error.cause)}` : ''
  return new Error(`${what}: ${errorMessage(error)}${cause}`, { cause: error })
}

/** Statuses that mean "not like this", and nothing about the way there. */
export function isRefusal(status: number): boolean {
  return REFUSALS.includes(status)
}

/** A response that was not what it should have been, as an error to throw. */
export async function failureOf(response: Response, what: string): Promise<Error> {
  const text = await bytesOf(response, MAX_SHOWN).then(String, () => '')
  const message = `${what}: HTTP ${response.status} ${text}`.trim()
  return isRefusal(response.status) ? new RefusedError(message) : new Error(message)
}

/** Ends with `signal`, and by itself after 30 s. */
export function requestSignal(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
}

/** A URL for messages: what it is asked with may be a key. */
export function shown(url: URL): string {
  return `${url.origin}${url.pathname}`
}

/** At most `maxBytes` of the body; the rest is not waited for. */
async function bytesOf(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= maxBytes) break
  }
  return Buffer.concat(chunks).subarray(0, maxBytes)
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

function headersOf(target: string, { authorization, headers = {} }: HttpOptions): Headers {
  const all = Object.entries({ ...headers, ...(authorization !== undefined && { authorization }) })
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
  return new Headers(all)
}
