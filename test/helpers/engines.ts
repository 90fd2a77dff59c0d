// Real servers for tests, where scripts/engines.mjs got them; where one is missing its tests are skipped.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasEngine as hasIt } from '../../scripts/engines/folder.mjs'
import { commandOf, isListening } from '../../scripts/engines/start.mjs'
import { atTestEnd } from './at-test-end.ts'
import { until } from './until.ts'

/** Those that are small and start at once belong to every run, where they are; the others to `npm run test:engines`. */
const ALWAYS = ['gofakes3', 'nats-server']
const START_TIMEOUT_MS = 120_000

/** Whether it is there and to be used in this run. */
export function hasEngine(name: string): boolean {
  return hasIt(name) && (ALWAYS.includes(name) || process.env.LOGBOOM_ALL_ENGINES === '1')
}

export interface Engine {
  readonly port: number
  readonly url: string
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
  /** Starts it again with the data it had. */
  start(): Promise<void>
  isRunning(): boolean
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Called with what ends a server: `atTestEnd` for one test, `afterAll` for a file. */
type WhenDone = (end: () => Promise<void>) => unknown

interface EngineExtra {
  /** Where its data are. */
  readonly folder?: string
  /** As `commandOf` takes them; may depend on the ports. */
  readonly extra?: readonly string[] | ((port: number, secondPort: number) => object)
}

async function startEngine(
  name: string,
  scheme: string,
  whenDone: WhenDone,
  isReady?: (url: string) => Promise<boolean>,
  { folder, ...more }: EngineExtra = {}
): Promise<Engine> {
  const data = mkdtempSync(join(folder ?? tmpdir(), `logboom-${name}-`))
  const [port, secondPort] = [await freePort(), await freePort()]
  const extra = typeof more.extra === 'function' ? more.extra(port, secondPort) : more.extra
  const [command, ...args] = commandOf(name, { port, secondPort, data, extra })
  const url = `${scheme}://127.0.0.1:${port}`
  let child: ReturnType<typeof spawn> | undefined
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null
  const kill = async (): Promise<void> => {
    if (child === undefined || !isRunning()) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const start = async (): Promise<void> => {
    child = spawn(command, args, { stdio: 'ignore' })
    const what = `${name} is ready`
    await until(() => isListening(port), { timeoutMs: START_TIMEOUT_MS, what })
    if (isReady !== undefined)
      await until(() => isReady(url).catch(() => false), { timeoutMs: START_TIMEOUT_MS, what })
  }
  whenDone(async () => {
    await kill()
    rmSync(data, { recursive: true, force: true })
  })
  await start()
  return { port, url, kill, start, isRunning }
}

const answers = async (url: string): Promise<boolean> => (await fetch(url)).status < 500

/** An S3 server with the bucket `logs`, which takes any credentials. */
export function startS3(extra: EngineExtra = {}): Promise<Engine> {
  const isReady = async (url: string) => (await fetch(url)) !== undefined
  return startEngine('gofakes3', 'http', atTestEnd, isReady, extra)
}

/** VictoriaLogs, which takes the requests of Elasticsearch, Loki and OpenTelemetry. */
export function startVictoriaLogs(extra: EngineExtra = {}): Promise<Engine> {
  return startEngine('victoria-logs', 'http', atTestEnd, answers, extra)
}

/** NATS with JetStream and no streams. */
export function startNats(extra: EngineExtra = {}): Promise<Engine> {
  return startEngine('nats-server', 'nats', atTestEnd, undefined, extra)
}

export function startOpenSearch(whenDone: WhenDone): Promise<Engine> {
  return startEngine('opensearch', 'http', whenDone, answers)
}

/** One broker of Kafka without topics. */
export function startKafka(whenDone: WhenDone, extra: EngineExtra = {}): Promise<Engine> {
  return startEngine('kafka', 'kafka', whenDone, undefined, extra)
}
