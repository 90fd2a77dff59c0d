// A server of HTTP on the loopback interface that answers as a test says.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { atTestEnd } from './at-test-end.ts'

export interface HttpAnswer {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
}

export type Answer = (
  body: Buffer,
  request: IncomingMessage,
  response: ServerResponse
) => HttpAnswer | undefined | Promise<HttpAnswer | undefined>

/** `answer` may also write the response itself and give nothing. Resolves with the URL. */
export async function startHttpServer(answer: Answer, tls?: { key: string; cert: string }): Promise<string> {
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const result = await answer(Buffer.concat(chunks), request, response)
    if (result === undefined) return
    const { status = 200, headers = {}, body = '' } = result
    response.writeHead(status, headers).end(body)
  }
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTestEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
}
