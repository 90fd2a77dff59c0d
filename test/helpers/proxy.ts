// A proxy between a client and a server on loopback, which does what networks do.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { atTestEnd } from './at-test-end.ts'

/**
 * 'pass'; 'refuse' connections; 'slow': a few bytes at a time; 'cut' the request or the answer after some bytes; 'half-open': take
 * everything and never answer; 'late': the first answer comes after some seconds.
 */
export type ProxyMode = 'pass' | 'refuse' | 'slow' | 'cut-request' | 'cut-answer' | 'half-open' | 'late'

const SLOW_BYTES = 2_000
const SLOW_MS = 5
const LATE_MS = 6_000

export interface Proxy {
  readonly url: string
  mode: ProxyMode
  /** How many connections each mode has seen. */
  readonly seen: Map<ProxyMode, number>
  /** After so many bytes a connection is cut. */
  cutBytes: number
  /** How many were. */
  cuts: number
  /** Ends the connections there are: those that follow are as `mode` says. */
  end(): void
}

export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target)
  const open = new Set<Socket>()
  const seen = new Map<ProxyMode, number>()
  const end = (): void => {
    for (const socket of open) socket.destroy()
  }
  const proxy = { url: '', mode: 'pass' as ProxyMode, seen, cutBytes: 100, cuts: 0, end }
  const server = createServer((client) => {
    const { mode, cutBytes } = proxy
    seen.set(mode, (seen.get(mode) ?? 0) + 1)
    keep(client)
    if (mode === 'refuse') return client.resetAndDestroy()
    if (mode === 'half-open') return void client.resume()
    const server = connect(Number(port), hostname)
    keep(server)
    client.on('close', () => server.destroy())
    server.on('close', () => client.destroy())
    if (mode === 'late') {
      server.pause()
      setTimeout(() => server.resume(), LATE_MS)
    }
    const counted = (): void => {
      proxy.cuts++
    }
    pass(client, server, mode === 'cut-request' ? cutBytes : undefined, mode === 'slow', counted)
    pass(server, client, mode === 'cut-answer' ? cutBytes : undefined, mode === 'slow', counted)
  }).listen(0, '127.0.0.1')
  function keep(socket: Socket): void {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
  }
  await once(server, 'listening')
  atTestEnd(() => {
    end()
    server.close()
  })
  proxy.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  return proxy
}

function pass(
  from: Socket,
  to: Socket,
  cutBytes: number | undefined,
  isSlow: boolean,
  wasCut: () => void
): void {
  let passed = 0
  from.on('data', async (chunk: Buffer) => {
    from.pause()
    const wanted = cutBytes === undefined ? chunk : chunk.subarray(0, Math.max(0, cutBytes - passed))
    const step = isSlow ? SLOW_BYTES : Math.max(1, wanted.length)
    for (let at = 0; at < wanted.length; at += step) {
      if (isSlow) await new Promise((resolve) => setTimeout(resolve, SLOW_MS))
      to.write(wanted.subarray(at, at + step))
    }
    passed += chunk.length
    if (cutBytes !== undefined && passed >= cutBytes) {
      // What was passed on is there, and what follows is not.
      wasCut()
      to.end()
      from.destroy()
    } else from.resume()
  })
  from.on('end', () => to.end())
}
