// A backlog of a gigabyte goes to real servers in memory that does not grow with it, each record once; in the long run beside the
// plain loop that a program would write for itself with the same client, over the first files.
import { spawn } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { native } from '../../src/native/index.ts'
import { tally } from '../helpers/counts.ts'
import { hasEngine, startKafka, startNats, startS3 } from '../helpers/engines.ts'
import { createFolder } from '../helpers/folder.ts'
import { createStream, managerOf, subject } from '../helpers/jetstream.ts'
import { createTopic, kafkaClients, kafkaOf } from '../helpers/kafka.ts'
import { credentials, objectsIn } from '../helpers/s3.ts'
import { isLong, sized } from '../helpers/sized.ts'
import { until } from '../helpers/until.ts'

const MB = sized(1000, 20)
const FILE_MB = Math.min(50, MB)
const RECORD_BYTES = 200
const FILES = Math.ceil(MB / FILE_MB)
const PER_FILE = (FILE_MB * 1e6) / RECORD_BYTES
const COUNT = FILES * PER_FILE
const LOOP_FILES = 2
/** Of the command. With S3 a gigabyte took 135 to 144 so far, which is too much. */
const MAX_RSS_MIB = 128
/** Of a program with a shipper: Node with the package takes 50, and the clients of Kafka much for each message. */
const MAX_KAFKA_RSS_MIB = 256
const timeout = 1_800_000
const script = fileURLToPath(new URL('backlog-run.mjs', import.meta.url))

/** Of a length that is the same for all, and words of their own, as logs have: what compresses to nothing tells nothing. */
function lineOf(n: number): string {
  const word = (turn: number) => ((n * 2_654_435_761 + turn * 40_503) % 2 ** 32).toString(36)
  const head = `{"level":30,"time":${1_700_000_000_000 + n},"n":${n},"msg":"request ${word(1)} of ${word(2)} took ${word(3)}`
  return `${head}${' and so on'.repeat(20).slice(0, RECORD_BYTES - head.length - 3)}"}`
}

function createBacklog(): string {
  const path = join(createFolder(), 'app')
  for (let file = 0; file < FILES; file++) {
    const name = file + 1 < FILES ? `${path}.20260101-0000${String(file).padStart(2, '0')}.0` : path
    const fd = openSync(name, 'w')
    for (let n = file * PER_FILE; n < (file + 1) * PER_FILE; n += 5_000) {
      const lines = Array.from(
        { length: Math.min(5_000, (file + 1) * PER_FILE - n) },
        (_, at) => `${lineOf(n + at)}\n`
      )
      writeSync(fd, lines.join(''))
    }
    closeSync(fd)
  }
  return path
}

interface Outcome {
  readonly records: number
  readonly seconds: number
  readonly cpuSeconds: number
  readonly rssMiB: number
}

async function run(target: string, way: 'shipper' | 'loop', options: object): Promise<Outcome> {
  const files = way === 'loop' ? Math.min(LOOP_FILES, FILES) : FILES
  const child = spawn(process.execPath, [script, target, way, JSON.stringify({ ...options, files })], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (text) => {
    said += text
  })
  await new Promise((resolve) => child.once('close', resolve))
  const outcome = JSON.parse(said.trim().split('\n').at(-1) ?? '') as Outcome
  expect(outcome.records).toBe(files * PER_FILE)
  if (isLong) console.info(`${target}, ${way}: ${describeOutcome(outcome)}`)
  return outcome
}

/** Ships with the command, which says nothing of what it took. */
async function runCommand(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const usage = `import { writeSync } from 'node:fs'
    process.on('exit', () => writeSync(1, JSON.stringify(process.resourceUsage())))`
  const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
  const tell = `data:text/javascript,${encodeURIComponent(usage)}`
  const startMs = performance.now()
  const child = spawn(process.execPath, ['--import', tell, command, 'ship', ...args, '--no-follow'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env }
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  let told = ''
  child.stdout.on('data', (text) => {
    said += text
  })
  child.stderr.on('data', (text) => {
    told += text
  })
  await new Promise((resolve) => child.once('close', resolve))
  expect(told).toContain(` ${COUNT} records in `)
  const { maxRSS, userCPUTime, systemCPUTime } = JSON.parse(said) as NodeJS.ResourceUsage
  const seconds = (performance.now() - startMs) / 1000
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6
  const outcome = { records: COUNT, seconds, cpuSeconds, rssMiB: maxRSS / 1024 }
  if (isLong) console.info(`${args[2]}, command: ${describeOutcome(outcome)}`)
  return outcome
}

function describeOutcome({ records, seconds, cpuSeconds, rssMiB }: Outcome): string {
  const rate = Math.round(records / seconds).toLocaleString('en')
  const cpuMicros = ((cpuSeconds * 1e6) / records).toFixed(1)
  return `${records} records in ${seconds.toFixed(1)} s, ${rate} a second, ${cpuMicros} µs of CPU each, at most ${Math.round(rssMiB)} MiB`
}

const title = `${MB} MB in bounded memory, every record once, in order`

describe.skipIf(!hasEngine('nats-server') || !native.canLock)(
  'JetStream (skipped where scripts/engines.mjs did not get nats-server)',
  () => {
    test(title, { timeout }, async () => {
      const source = createBacklog()
      const engine = await startNats()
      await createStream(engine, { allow_atomic: true })
      const { rssMiB } = await runCommand([
        source,
        '--to',
        'jetstream',
        '--url',
        engine.url,
        '--subject',
        subject
      ])
      tally('records', COUNT)
      expect(rssMiB).toBeLessThanOrEqual(MAX_RSS_MIB)
      // Each was taken only behind the one before, so that the last says it of all.
      const { manager } = await managerOf(engine)
      expect((await manager.streams.info('logs')).state.messages).toBe(COUNT)
      const last = await manager.streams.getMessage('logs', { last_by_subj: subject })
      expect(last?.string()).toBe(lineOf(COUNT - 1))
      await manager.streams.purge('logs')
      if (isLong) await run('jetstream', 'loop', { source, url: engine.url, subject })
    })
  }
)

describe.skipIf(!hasEngine('gofakes3') || !native.canLock)(
  'S3 (skipped where scripts/engines.mjs did not get gofakes3)',
  () => {
    test(title, { timeout }, async () => {
      const source = createBacklog()
      const engine = await startS3()
      const options = { source, url: `${engine.url}/logs`, credentials }
      const { rssMiB } = await runCommand([source, '--to', 's3', '--url', options.url], {
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey
      })
      tally('records', COUNT)
      expect(rssMiB).toBeLessThanOrEqual(MAX_RSS_MIB)
      let [found, seen] = [0, 0]
      for await (const lines of objectsIn(engine.url)) {
        seen += lines.length
        for (const line of lines) if (line === lineOf(found)) found++
      }
      expect([found, seen]).toEqual([COUNT, COUNT])
      if (isLong) await run('s3', 'loop', options)
    })
  }
)

describe.skipIf(!hasEngine('kafka') || !native.canLock)(
  'Kafka (skipped except by npm run test:engines)',
  () => {
    test.each(kafkaClients)(`with $name, ${title}`, { timeout }, async ({ name }) => {
      const source = createBacklog()
      const engine = await startKafka(onTestFinished)
      const topic = await createTopic(engine)
      const { rssMiB } = await run(name, 'shipper', { source, port: engine.port, topic })
      tally('records', COUNT)
      expect(rssMiB).toBeLessThanOrEqual(MAX_KAFKA_RSS_MIB)
      const consumer = kafkaOf(engine).consumer({ groupId: topic, readUncommitted: false })
      await consumer.connect()
      onTestFinished(() => consumer.disconnect())
      await consumer.subscribe({ topic, fromBeginning: true })
      let [found, seen] = [0, 0]
      await consumer.run({
        eachBatch: async ({ batch }) => {
          seen += batch.messages.length
          for (const { value } of batch.messages) if (String(value) === lineOf(found)) found++
        }
      })
      await until(() => seen >= COUNT, { timeoutMs: 600_000 })
      expect([found, seen]).toEqual([COUNT, COUNT])
      if (isLong) await run(name, 'loop', { source, port: engine.port, topic: await createTopic(engine) })
    })
  }
)
