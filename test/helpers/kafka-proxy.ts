// Stands between a client of Kafka and its broker, and does to single requests what networks and brokers do: loses them, loses
// their answers, or answers with an error what the broker has done all the same. https://kafka.apache.org/protocol
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export const kafkaApis = {
  produce: 0,
  metadata: 3,
  offsetFetch: 9,
  findCoordinator: 10,
  initProducerId: 22,
  addPartitionsToTxn: 24,
  addOffsetsToTxn: 25,
  endTxn: 26,
  txnOffsetCommit: 28
} as const
export type KafkaApi = keyof typeof kafkaApis

/** 'drop' a request, 'lose' its answer, or answer with an error code. */
export type KafkaFault = 'drop' | 'lose' | number

export interface KafkaProxy {
  readonly port: number
  /** Asked for every request; undefined lets it pass. */
  fault: (api: KafkaApi) => KafkaFault | undefined
  close(): Promise<void>
}

interface Asked {
  readonly api: KafkaApi
  readonly version: number
  readonly fault: KafkaFault
}

/** `target` is asked for each connection, as the broker's port is known later than its advertised one. */
export async function startKafkaProxy(target: () => number): Promise<KafkaProxy> {
  const open = new Set<Socket>()
  const keep = (socket: Socket): void => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
  }
  const server = createServer((client) => {
    const broker = connect(target(), '127.0.0.1')
    for (const socket of [client, broker]) keep(socket)
    client.on('close', () => broker.destroy())
    broker.on('close', () => client.destroy())
    const asked = new Map<number, Asked>()
    const end = (): void => void client.destroy()
    eachFrame(client, (frame) => {
      const [key, version, id] = [frame.readInt16BE(4), frame.readInt16BE(6), frame.readInt32BE(8)]
      const api = apiOf(key)
      const fault = api === undefined ? undefined : proxy.fault(api)
      if (fault === 'drop') return end()
      if (api !== undefined && fault !== undefined) asked.set(id, { api, version, fault })
      broker.write(frame)
    })
    eachFrame(broker, (frame) => {
      const found = asked.get(frame.readInt32BE(4))
      if (found?.fault === 'lose') return end()
      if (found !== undefined) frame.writeInt16BE(Number(found.fault), errorAt(found, frame))
      client.write(frame)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: KafkaProxy = {
    port: (server.address() as { port: number }).port,
    fault: () => undefined,
    async close() {
      for (const socket of open) socket.destroy()
      server.close()
    }
  }
  return proxy
}

function apiOf(key: number): KafkaApi | undefined {
  return (Object.keys(kafkaApis) as KafkaApi[]).find((api) => kafkaApis[api] === key)
}

/** With the four bytes of its length. */
function eachFrame(socket: Socket, take: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0)
      take(Buffer.from(rest.subarray(0, end)))
      rest = rest.subarray(end)
    }
  })
}

/** The first version of each request with compact arrays and texts. */
const FLEXIBLE: Readonly<Record<KafkaApi, number>> = {
  produce: 9,
  metadata: 9,
  offsetFetch: 6,
  findCoordinator: 3,
  initProducerId: 2,
  addPartitionsToTxn: 3,
  addOffsetsToTxn: 3,
  endTxn: 3,
  txnOffsetCommit: 3
}

/** Where in an answer the code of its first error is. Names are shorter than 127 bytes, lists than 127. */
function errorAt({ api, version }: Asked, frame: Buffer): number {
  const isFlexible = version >= FLEXIBLE[api]
  let at = isFlexible ? 9 : 8
  const list = (): void => {
    at += isFlexible ? 1 : 4
  }
  const text = (): void => {
    at += isFlexible ? frame.readUInt8(at) : 2 + frame.readInt16BE(at)
    if (isFlexible && at > frame.length) throw new RangeError('a text that is too long')
  }
  const throttle = (): void => {
    at += 4
  }
  switch (api) {
    case 'produce':
      list()
      text()
      list()
      at += 4
      return at
    case 'initProducerId':
    case 'addOffsetsToTxn':
    case 'endTxn':
      throttle()
      return at
    case 'addPartitionsToTxn':
      throttle()
      // Since version 4 there is one for the whole request.
      if (version >= 4) return at
      list()
      text()
      list()
      at += 4
      return at
    case 'txnOffsetCommit':
      throttle()
      list()
      text()
      list()
      at += 4
      return at
    case 'findCoordinator':
      throttle()
      if (version < 4) return at
      list()
      text()
      at += 4
      text()
      at += 4
      return at
    case 'offsetFetch':
      // Of the group, at the end.
      return version >= 8 ? frame.length - 4 : isFlexible ? frame.length - 3 : frame.length - 2
    case 'metadata':
      throw new Error('the error of metadata is one of each topic')
  }
}
