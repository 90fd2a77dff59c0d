// How each server is started on the loopback interface with its data in a folder, and when it can be used.
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { folderOf } from './folder.mjs'

/**
 * Command and arguments of a server on `port` and, where it needs two, `secondPort`. Makes its data folder ready. `extra`: more
 * arguments, of Kafka more properties, and users of SCRAM as `scram`.
 */
export function commandOf(name, { port, secondPort, data, extra }) {
  const binary = join(folderOf(name), name)
  switch (name) {
    case 'nats-server':
      return [binary, '-a', '127.0.0.1', '-p', `${port}`, '-js', '-sd', data, ...(extra ?? [])]
    case 'gofakes3':
      return [
        binary,
        ...['-host', `127.0.0.1:${port}`, '-backend', 'bolt', '-bolt.db', join(data, 'bolt.db')],
        ...['-initialbucket', 'logs']
      ]
    case 'victoria-logs':
      return [
        binary,
        `-httpListenAddr=127.0.0.1:${port}`,
        `-storageDataPath=${data}`,
        '-retentionPeriod=100y',
        '-inmemoryDataFlushInterval=1s'
      ]
    case 'kafka':
      return kafka(port, secondPort, data, extra)
    case 'opensearch':
      return [
        'java',
        ...['-Xmx768m', '-Dopensearch.networkaddress.cache.ttl=60', '-cp', jarsOf(name)],
        ...[fileURLToPath(new URL('opensearch.java', import.meta.url)), `${port}`, `${secondPort}`, data]
      ]
    default:
      throw new Error(`no server ${name}`)
  }
}

/** Until something accepts connections; a server of HTTP may need longer for its first answer. */
export async function isListening(port) {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (is) => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}

function jarsOf(name) {
  return join(folderOf(name), 'jars', '*')
}

/** One node that is broker and controller. */
function kafka(port, secondPort, data, { scram = [], ...more } = {}) {
  const properties = join(data, 'server.properties')
  const java = ['-Xmx512m', '-Xms128m', '-cp', jarsOf('kafka')]
  if (!existsSync(properties)) {
    const lines = {
      'process.roles': 'broker,controller',
      'node.id': 1,
      'controller.quorum.voters': `1@127.0.0.1:${secondPort}`,
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${secondPort}`,
      'controller.listener.names': 'CONTROLLER',
      'log.dirs': join(data, 'logs'),
      'auto.create.topics.enable': false,
      'offsets.topic.num.partitions': 1,
      'offsets.topic.replication.factor': 1,
      'transaction.state.log.num.partitions': 1,
      'transaction.state.log.replication.factor': 1,
      'transaction.state.log.min.isr': 1,
      'group.initial.rebalance.delay.ms': 0,
      ...more
    }
    const text = Object.entries(lines).map(([key, value]) => `${key}=${value}\n`)
    writeFileSync(properties, text.join(''))
    const id = 'bG9nYm9vbS1lbmdpbmVzMQ'
    const format = [...java, 'kafka.tools.StorageTool', 'format', '-t', id, '-c', properties]
    const users = scram.flatMap((each) => ['--add-scram', each])
    execFileSync('java', [...format, ...users], { stdio: 'pipe' })
  }
  return ['java', ...java, 'kafka.Kafka', properties]
}
