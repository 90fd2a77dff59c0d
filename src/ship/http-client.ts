// Requests to one store over HTTP or HTTPS, with connections that are kept. By node:http, because fetch knows no certificates but
// those of the whole process. What is thrown may pass, and says why in words.
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { errorMessage, systemCode } from '../base/errors.ts'
import { readTls, type TlsFiles } from './tls-files.ts'

/** Of a request without a body; what is sent has more time, by its size. */
const REQUEST_TIMEOUT_MS = 30_000
const MIN_BYTES_PER_MS = 64
/** Connections that are kept, each of which the store may have closed meanwhile. */
const MAX_FREE_SOCKETS = 4
const STALE = ['ECONNRESET', 'EPIPE']
/** An answer names each record at most; one that never ends is not read for ever. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** Of a failure, of which the beginning is shown. */
const MAX_FAILURE_BYTES = 4 * 1024

export interface HttpRequest {
  readonly method: 'POST' | 'PUT' | 'HEAD'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export class HttpClient {
  readonly #tls: TlsFiles | undefined
  #agents: { plain: Agent; tls: TlsAgent } | undefined

  /** Throws `ERR_OPTION` for files that hold no certificates, `ERR_IO` for those that cannot be read. */
  constructor(target: string, tls: TlsFiles | undefined) {
    this.#tls = tls
    if (tls !== undefined) readTls(target, tls)
  }

  /** Whatever the status is. A redirection is not followed: a page to log in would answer 200. */
  async send(wanted: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    for (let turn = 0; ; turn++) {
      signal.throwIfAborted()
      try {
        return await this.#attempt(wanted, signal)
      } catch (error) {
        const { isStale, cause } = error as Failure
        if (isStale && turn <= MAX_FREE_SOCKETS) continue
        // Certificates may have been renewed.
        this.close()
        const { method, url } = wanted
        throw new Error(`${method} ${shown(url)}: ${reasonOf(cause)}`, { cause })
      }
    }
  }

  /** Of what is kept; the next request connects again. */
  close(): void {
    this.#agents?.plain.destroy()
    this.#agents?.tls.destroy()
    this.#agents = undefined
  }

  /** Rejects with a `Failure`. */
  async #attempt({ method, url, headers, body }: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const timeoutMs = REQUEST_TIMEOUT_MS + (body?.length ?? 0) / MIN_BYTES_PER_MS
    let sent: ReturnType<typeof request> | undefined
    let ended: unknown
    const end = (reason: unknown): void => {
      ended ??= reason
      sent?.destroy(reason instanceof Error ? reason : new Error(String(reason)))
    }
    const stop = (): void => end(signal.reason)
    const late = (): void => end(new Error(`no answer within ${Math.round(timeoutMs / 1000)} s`))
    const timer = setTimeout(late, timeoutMs)
    signal.addEventListener('abort', stop)
    try {
      const { plain, tls } = this.#connections()
      return await new Promise<HttpAnswer>((resolve, reject) => {
        const answered = (response: IncomingMessage): void => {
          answerOf(response).then(resolve, reject)
        }
        const options = { method, headers: { ...headers, ...lengthOf(body) } }
        sent =
          url.protocol === 'https:'
            ? tlsRequest(url, { ...options, agent: tls }, answered)
            : request(url, { ...options, agent: plain }, answered)
        sent.on('error', reject)
        sent.end(body)
      })
    } catch (cause) {
      const isStale =
        ended === undefined && sent?.reusedSocket === true && STALE.includes(systemCode(cause) ?? '')
      throw new Failure(isStale, ended ?? cause)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
    }
  }

  #connections(): { plain: Agent; tls: TlsAgent } {
    if (this.#agents !== undefined) return this.#agents
    const keep = { keepAlive: true, maxFreeSockets: MAX_FREE_SOCKETS }
    const files = this.#tls === undefined ? {} : readTls('tls', this.#tls)
    this.#agents = { plain: new Agent(keep), tls: new TlsAgent({ ...keep, ...files }) }
    return this.#agents
  }
}

/** Of one attempt: the connection may have been one that the store had closed, which says nothing of the store. */
class Failure extends Error {
  readonly isStale: boolean

  constructor(isStale: boolean, cause: unknown) {
    super('failed', { cause })
    this.isStale = isStale
  }
}

/** A URL for messages: what it is asked with may be a key. */
export function shown(url: URL): string {
  return `${url.origin}${url.pathname}`
}

function lengthOf(body: Uint8Array | string | undefined): Record<string, string> {
  return body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
}

async function answerOf(response: IncomingMessage): Promise<HttpAnswer> {
  const { statusCode: status = 0, headers } = response
  const maxBytes = status >= 200 && status < 300 ? MAX_ANSWER_BYTES : MAX_FAILURE_BYTES
  return { status, headers, body: await bytesOf(response, maxBytes) }
}

/** At most `maxBytes` of the body; the rest is not waited for. */
async function bytesOf(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= maxBytes) break
  }
  return Buffer.concat(chunks).subarray(0, maxBytes)
}

/** A host with several addresses fails with the errors of all, and without a message. */
function reasonOf(error: unknown): string {
  const all = error instanceof AggregateError && error.message === '' ? error.errors : [error]
  const text = [...new Set(all.map((each) => errorMessage(each)))].join('; ')
  return isUntrusted(error) ? `${text}; its authority can be named by a file` : text
}

function isUntrusted(error: unknown): boolean {
  return /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)/.test(systemCode(error) ?? '')
}
