// Stands in for Elasticsearch: creates documents under their names, once, and answers as it does.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { atTestEnd } from './at-test-end.ts'

export interface BulkIndex {
  readonly url: string
  readonly documents: Map<string, Record<string, unknown>>
  /** Documents that came again. */
  conflicts: number
  /** Answers every request with this, where it is set. */
  status: number | undefined
}

export async function startBulkIndex(): Promise<BulkIndex> {
  const documents: BulkIndex['documents'] = new Map()
  const index: BulkIndex & { url: string } = { url: '', documents, conflicts: 0, status: undefined }
  const server = createServer(async (request, response) => {
    try {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      if (index.status !== undefined) return void response.writeHead(index.status).end('as it was told')
      response.end(JSON.stringify(create(Buffer.concat(chunks).toString())))
    } catch {
      // The request was cut.
      response.destroy()
    }
  }).listen(0, '127.0.0.1')
  function create(body: string) {
    const rows = body
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text))
    const items: object[] = []
    for (let at = 0; at < rows.length; at += 2) {
      const id = rows[at].create._id
      const isThere = documents.has(id)
      if (isThere) index.conflicts++
      else documents.set(id, rows[at + 1])
      items.push({ create: { status: isThere ? 409 : 201 } })
    }
    return { errors: items.some((item) => JSON.stringify(item).includes('409')), items }
  }
  await once(server, 'listening')
  atTestEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  index.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  return index
}
