// Fastify's own logger (pino) into a rotating file, and the access log of its requests read back from it. Writes
// server.log into the current folder.
// Prints: 3 requests answered, in the log: GET / 200, GET /users/7 200, GET /missing 404
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'

const server = Fastify({
  logger: {
    transport: {
      target: 'logboom/rotating-file',
      options: { path: 'server.log', maxBytes: '10m', maxBackups: 5, compress: 'gzip' }
    }
  }
})

server.get('/', async () => ({ hello: 'world' }))
server.get('/users/:id', async (request) => {
  request.log.info({ user: request.params.id }, 'looked up')
  return { id: request.params.id }
})

const address = await server.listen({ port: 0, host: '127.0.0.1' })
const paths = ['/', '/users/7', '/missing']
for (const path of paths) await (await fetch(address + path)).text()
await server.close()

// Called back when everything logged so far is in the file.
await new Promise((resolve) => server.log.flush(resolve))

const records = readFileSync('server.log', 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))
const access = records
  .filter((record) => record.res)
  .map((record) => {
    const { req } = records.find((other) => other.req && other.reqId === record.reqId)
    return `${req.method} ${req.url} ${record.res.statusCode}`
  })
console.log(`${access.length} requests answered, in the log: ${access.join(', ')}`)
