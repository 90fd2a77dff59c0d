// Ships a log to a real server and ends: with a Shipper, or with the plain loop that a program would write for itself with the
// same client, which notes nothing and begins again after a crash. Prints what it took. Arguments: target, way, and their
// options as JSON.
import { createReadStream, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import * as logboom from '../../dist/index.js'

const [target, way, json] = process.argv.slice(2)
const options = JSON.parse(json)
const { source, url, subject, topic, credentials, port, files } = options
const batchRecords = 10_000
const batchBytes = 1024 * 1024

const loops = {
  jetstream: intoJetStream,
  s3: intoS3,
  kafkajs: intoKafkaJs,
  '@platformatic/kafka': intoPlatformatic
}
const start = performance.now()
const records = way === 'shipper' ? await ship() : await loops[target]()
const seconds = (performance.now() - start) / 1000
const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6
console.log(JSON.stringify({ records, seconds, cpuSeconds, rssMiB: maxRSS / 1024 }))
process.exit()

async function ship() {
  const shipper = new logboom.Shipper({ source, target: await createTarget(), follow: false })
  await shipper.run()
  return shipper.stats().records
}

async function createTarget() {
  if (target === 'jetstream') return logboom.createJetStreamTarget({ url, subject })
  if (target === 's3') return await logboom.createS3Target({ url, credentials })
  const client =
    target === 'kafkajs'
      ? logboom.kafkaJs(await kafkaJs())
      : logboom.platformaticKafka({ brokers: [brokerOf()] })
  return logboom.createKafkaTarget({ client, topic })
}

async function* batches() {
  const folder = dirname(source)
  const name = basename(source)
  const backups = readdirSync(folder).filter((each) => each.startsWith(`${name}.`))
  for (const each of [...backups.sort(), name].slice(0, files)) {
    let lines = []
    let bytes = 0
    for await (const line of createInterface({ input: createReadStream(join(folder, each)) })) {
      lines.push(line)
      bytes += line.length + 1
      if (lines.length < batchRecords && bytes < batchBytes) continue
      yield lines
      lines = []
      bytes = 0
    }
    if (lines.length > 0) yield lines
  }
}

/** All messages of a batch are under way at once. */
async function intoJetStream() {
  const { connect } = await import('@nats-io/transport-node')
  const { jetstream } = await import('@nats-io/jetstream')
  const connection = await connect({ servers: url.slice('nats://'.length) })
  const client = jetstream(connection)
  let sent = 0
  for await (const lines of batches()) {
    await Promise.all(lines.map((line) => client.publish(subject, line, { timeout: 60_000 })))
    sent += lines.length
  }
  await connection.close()
  return sent
}

/** Four objects are under way at once. */
async function intoS3() {
  const { AwsClient } = await import('aws4fetch')
  const client = new AwsClient({ ...credentials, service: 's3', region: 'us-east-1' })
  const underWay = new Set()
  let [sent, number] = [0, 0]
  for await (const lines of batches()) {
    while (underWay.size >= 4) await Promise.race(underWay)
    const key = `${url}/${basename(source)}/plain/${String(number++).padStart(6, '0')}.log.gz`
    const work = (async () => {
      const body = await promisify(gzip)(`${lines.join('\n')}\n`)
      const answer = await client.fetch(key, { method: 'PUT', body })
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`)
      await answer.arrayBuffer()
    })().finally(() => underWay.delete(work))
    underWay.add(work)
    sent += lines.length
  }
  await Promise.all(underWay)
  return sent
}

async function kafkaJs() {
  const { default: kafka } = await import('kafkajs')
  return new kafka.Kafka({ brokers: [brokerOf()], logLevel: 0 })
}

/** Idempotent, without transactions. */
async function intoKafkaJs() {
  const producer = (await kafkaJs()).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  let sent = 0
  for await (const lines of batches()) {
    const messages = lines.map((value) => ({ key: basename(source), value }))
    await producer.send({ topic, messages, acks: -1, compression: 1 })
    sent += lines.length
  }
  await producer.disconnect()
  return sent
}

async function intoPlatformatic() {
  const { Producer, stringSerializers } = await import('@platformatic/kafka')
  const producer = new Producer({
    clientId: 'plain',
    bootstrapBrokers: [brokerOf()],
    idempotent: true,
    compression: 'gzip',
    serializers: stringSerializers
  })
  let sent = 0
  for await (const lines of batches()) {
    await producer.send({ messages: lines.map((value) => ({ topic, key: basename(source), value })) })
    sent += lines.length
  }
  await producer.close()
  return sent
}

function brokerOf() {
  return `127.0.0.1:${port}`
}
