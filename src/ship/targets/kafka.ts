// Ships to a topic of Kafka: the records of a batch and the checkpoint behind them in one transaction. The checkpoint is the
// committed offset of a consumer group: the number of records, and beside it where the log goes on.
import { LogboomError } from '../../base/errors.ts'
import { nameOf } from '../event-token.ts'
import {
  FencedError,
  type KafkaCheckpoint,
  type KafkaClient,
  type KafkaRecord,
  type KafkaSession
} from '../kafka/client.ts'
import type { HeldPosition, Refusal, ShipBatch, ShipRecord, ShipSource, ShipTarget } from '../target.ts'

/** What Kafka allows for the name of a topic; for the others it is a good rule, too. */
const NAME = /^[a-zA-Z0-9._-]{1,249}$/

export interface KafkaOptions {
  readonly client: KafkaClient
  readonly topic: string
  /**
   * Of this log alone; also the name of the group that holds the checkpoint. Default: `logboom.<log>.<stream>`, which is
   * known from the checkpoint's file only. With a name given here the checkpoint is found without the file, too. Of the logs in
   * a folder each has `<name>.<event>`.
   */
  readonly transactionalId?: string | undefined
}

/** Throws `ERR_OPTION`. */
export function createKafkaTarget({ client, topic, transactionalId }: KafkaOptions): ShipTarget {
  if (typeof client?.open !== 'function')
    throw wrong('client must be one of kafkaJs() or platformaticKafka()')
  if (typeof topic !== 'string' || !NAME.test(topic)) throw wrong('topic must be the name of a topic')
  if (transactionalId !== undefined && !NAME.test(transactionalId)) {
    throw wrong('transactionalId must be 1 to 249 letters, digits, dots, hyphens and underscores')
  }
  return new KafkaTarget(client, topic, transactionalId)
}

function wrong(rule: string): LogboomError {
  return new LogboomError('ERR_OPTION', `kafka: ${rule}`)
}

/** What is kept beside the committed offset. */
interface Held extends HeldPosition {
  /** How many records are in the topic: the offset itself. */
  readonly end: number
}

class KafkaTarget implements ShipTarget {
  readonly name = 'kafka'
  readonly guarantee =
    'every record is in the topic once for readers of committed records, in order, as long as Kafka keeps the committed offset'
  readonly splits = true
  readonly maxInFlight = 1
  readonly #client: KafkaClient
  readonly #topic: string
  readonly #transactionalId: string | undefined
  #session: KafkaSession | undefined
  #held: Held | undefined

  constructor(client: KafkaClient, topic: string, transactionalId: string | undefined) {
    this.#client = client
    this.#topic = topic
    this.#transactionalId = transactionalId
  }

  async takeOver(source: ShipSource): Promise<HeldPosition | undefined> {
    await this.close()
    await this.#open(source)
    return this.#held
  }

  async send(batch: ShipBatch): Promise<readonly Refusal[]> {
    try {
      const session = this.#session ?? (await this.#open(batch))
      await this.#commit(session, batch)
      return []
    } catch (error) {
      // Whether it was committed is known when the next session is open.
      await this.close()
      if (!(error instanceof FencedError)) throw error
      const message = `kafka: another shipper took over, or this one was suspended in a transaction: ${error.message}`
      throw new LogboomError('ERR_LOCKED', message, { cause: error })
    }
  }

  async close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    await session?.close().catch(() => {})
  }

  async #open({ stream, log, event }: ShipSource): Promise<KafkaSession> {
    const given = this.#transactionalId
    const name = given === undefined ? `logboom.${plain(log)}.${stream}` : nameOf(given, event)
    const session = await this.#client.open({ topic: this.#topic, transactionalId: name, group: name })
    this.#session = session
    this.#held = heldIn(session.checkpoint, name)
    return session
  }

  async #commit(session: KafkaSession, batch: ShipBatch): Promise<void> {
    const { stream, after, firstNumber, sequence } = batch
    if (this.#held !== undefined && this.#held.stream !== stream) {
      throw new LogboomError('ERR_LOCKED', `kafka: another shipper ships as ${this.#transactionalId}`)
    }
    const end = this.#held?.end ?? 0
    const records = batch.records.filter(({ number }) => number >= end)
    if (records.length === 0) return
    const held: Held = {
      stream,
      after,
      records: firstNumber,
      batches: sequence,
      end: records[records.length - 1].number + 1
    }
    await session.commit(
      records.map((record) => kafkaRecord(batch, record)),
      checkpointOf(held)
    )
    this.#held = held
  }
}

function kafkaRecord({ stream, log, event }: ShipSource, { data, number, timeMs }: ShipRecord): KafkaRecord {
  return {
    key: event ?? log,
    value: data,
    headers: {
      'logboom-id': `${stream}-${number}`,
      'logboom-log': log,
      ...(event !== undefined && { 'logboom-event': event })
    },
    timestampMs: Math.floor(timeMs)
  }
}

function checkpointOf({ end, stream, after, records, batches }: Held): KafkaCheckpoint {
  return { offset: end, metadata: JSON.stringify({ logboom: 1, stream, after, records, batches }) }
}

/** Throws `ERR_OPTION` for the offset of a group that is used by something else. */
function heldIn(checkpoint: KafkaCheckpoint | undefined, group: string): Held | undefined {
  if (checkpoint === undefined) return undefined
  let value: Record<string, unknown> = {}
  try {
    value = JSON.parse(checkpoint.metadata)
  } catch {
    // Below.
  }
  const { logboom, stream, after, records, batches } = value ?? {}
  const isHeld =
    logboom === 1 &&
    typeof stream === 'string' &&
    (after === null || typeof after === 'string') &&
    Number.isSafeInteger(records) &&
    Number.isSafeInteger(batches)
  if (!isHeld) throw wrong(`the group ${group} has an offset that is not from a shipper; give another id`)
  return {
    stream,
    after,
    records: Number(records),
    batches: Number(batches),
    end: checkpoint.offset
  }
}

/** A name of a log as a part of Kafka's names. */
function plain(log: string): string {
  return log.replace(/[^a-zA-Z0-9._-]/g, '_').slice(0, 200)
}
