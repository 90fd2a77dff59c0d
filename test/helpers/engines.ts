// Real servers for tests, from a folder that `npm run test:engines` fills; where one is missing its tests are skipped.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { createFolder } from './folder.ts'
import { until } from './until.ts'

const folder =
  process.env.LOGBOOM_ENGINES ??
  fileURLToPath(new URL('../../node_modules/.cache/logboom-engines', import.meta.url))

/** Whether it was got; said where it was not. */
export function hasEngine(name: string): boolean {
  return existsSync(join(folder, name))
}

export interface Engine {
  readonly url: string
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
  /** Starts it again with the data it had. */
  start(): Promise<void>
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function startEngine(name: string, args: (port: number, data: string) => string[]): Promise<Engine> {
  const port = await freePort()
  const data = createFolder()
  const url = `http://127.0.0.1:${port}`
  let child: ReturnType<typeof spawn> | undefined
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const start = async (): Promise<void> => {
    child = spawn(join(folder, name), args(port, data), { stdio: 'ignore' })
    await until(
      () =>
        fetch(url).then(
          () => true,
          () => false
        ),
      { timeoutMs: 30_000 }
    )
  }
  onTestFinished(kill)
  await start()
  return { url, kill, start }
}

/** An S3 server with the bucket `logs`, which takes any credentials. */
export function startS3(): Promise<Engine> {
  return startEngine('gofakes3', (port, data) => [
    '-host',
    `127.0.0.1:${port}`,
    '-backend',
    'bolt',
    '-bolt.db',
    join(data, 'bolt.db'),
    '-initialbucket',
    'logs'
  ])
}

/** VictoriaLogs, which takes the requests of Elasticsearch and Loki. */
export function startVictoriaLogs(): Promise<Engine> {
  return startEngine('victoria-logs', (port, data) => [
    `-httpListenAddr=127.0.0.1:${port}`,
    `-storageDataPath=${data}`,
    '-retentionPeriod=100y',
    '-inmemoryDataFlushInterval=1s'
  ])
}
