// A registry that has one package, the packed one, and sends whoever asks for another to the real one: for tools that install
// from nothing else. `node registry.mjs <tarball> <manifest> <the real registry>` prints its address, and ends with its parent.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const [tarball, manifest, real] = process.argv.slice(2)
const bytes = readFileSync(tarball)
const { name, version, ...rest } = JSON.parse(readFileSync(manifest, 'utf8'))

const server = createServer(({ url }, response) => {
  if (url === `/${name}.tgz`) {
    response.end(bytes)
    return
  }
  if (url !== `/${name}`) {
    response.writeHead(302, { location: new URL(url.slice(1), real).href }).end()
    return
  }
  const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
  const dist = { tarball: `${address()}${name}.tgz`, integrity }
  const versions = { [version]: { name, version, ...rest, dist } }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions }))
})

function address() {
  return `http://127.0.0.1:${server.address().port}/`
}

server.listen(0, '127.0.0.1', () => console.log(address()))
process.stdin.resume().on('end', () => process.exit())
