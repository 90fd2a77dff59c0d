// Ships to NATS JetStream: each record is a message of one subject that belongs to the log alone. What is there is asked of
// the stream, which therefore is the checkpoint, too; a message is taken only behind the one that this shipper sent last.
import { randomBytes } from 'node:crypto'
import { errorMessage, LogboomError } from '../../base/errors.ts'
import { nameOf } from '../event-token.ts'
import {
  BATCH_HEADER,
  formatBatchStart,
  ID_HEADER,
  type MessagePosition,
  SHIPPER_HEADER
} from '../nats/batch-headers.ts'
import { connectJetStream, type JetStream } from '../nats/connection.ts'
import type { NatsCredentials, NatsTls } from '../nats/credentials.ts'
import { type Message, PublishError, publish, publishAtomically } from '../nats/publish.ts'
import { parseServers, type Servers } from '../servers.ts'
import type { HeldPosition, Refusal, ShipBatch, ShipRecord, ShipSource, ShipTarget } from '../target.ts'
import { readTls } from '../tls-files.ts'

/** The server's limit for an atomic batch, where its configuration says nothing else. */
const MAX_ATOMIC = 1000
/** Of the headers, beside the cursor in them. */
const HEADER_BYTES = 1024

export interface JetStreamOptions {
  /** `nats://<host>:4222,…`, or `tls://…` */
  readonly url: string
  /** Of this log alone; of the logs in a folder each has `<subject>.<event>`. The stream that takes it must be there. */
  readonly subject: string
  readonly credentials?: NatsCredentials | undefined
  /** For example the certificate of a client; with `tls://` or without. */
  readonly tls?: NatsTls | undefined
}

/** Throws `ERR_OPTION`. Without the packages of NATS the first attempt to send rejects with `ERR_UNSUPPORTED`. */
export function createJetStreamTarget(options: JetStreamOptions): ShipTarget {
  const servers = parseServers('jetstream', options.url, { plain: 'nats', tls: 'tls' })
  requireSubject(options.subject)
  if (options.tls !== undefined) readTls('jetstream', options.tls)
  return new JetStreamTarget(options, servers)
}

class JetStreamTarget implements ShipTarget {
  readonly name = 'jetstream'
  readonly guarantee =
    'every record is in the stream once, in order, as long as the stream keeps the last message of the subject'
  readonly splits = true
  readonly maxInFlight = 1
  readonly #options: JetStreamOptions
  readonly #servers: Servers
  readonly #shipper = randomBytes(8).toString('hex')
  #jetStream: JetStream | undefined
  /** The last message of the subject, as far as this shipper knows: its sequence, and of which record it is. */
  #last: { readonly seq: number; readonly stream: string | undefined; readonly number: number } | undefined
  /** Of this run: what is another shipper's behind its messages was sent while this one was at work. */
  #hasPublished = false

  constructor(options: JetStreamOptions, servers: Servers) {
    this.#options = options
    this.#servers = servers
  }

  async takeOver(source: ShipSource, signal: AbortSignal): Promise<HeldPosition | undefined> {
    await this.close()
    this.#last = undefined
    this.#hasPublished = false
    const { position } = await this.#connect(source, signal)
    if (position === undefined) return undefined
    const { stream, after, records, batches } = position
    return { stream, after, records, batches }
  }

  async send(batch: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]> {
    try {
      return await this.#publish(batch, signal)
    } catch (error) {
      // What became of it is asked of the stream the next time.
      await this.close()
      if (!(error instanceof PublishError) || error.kind !== 'fenced') throw error
    }
    // Another shipper was here, which ends this one, or the stream has removed what was the last message.
    try {
      return await this.#publish(batch, signal)
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async close(): Promise<void> {
    const jetStream = this.#jetStream
    this.#jetStream = undefined
    await jetStream?.close()
  }

  /**
   * The last message of the subject, which may be this shipper's, or nobody's; of another shipper only as long as this one has
   * published nothing: what a shipper that was killed had sent may reach the stream after its successor has asked for the last.
   */
  async #connect(
    { event }: ShipSource,
    signal: AbortSignal
  ): Promise<{ jetStream: JetStream; position?: MessagePosition }> {
    const subject = nameOf(this.#options.subject, event)
    const jetStream = await connectJetStream({ ...this.#options, subject, servers: this.#servers }, signal)
    this.#jetStream = jetStream
    const found = await jetStream.lastMessage()
    const position = found?.position
    if (found !== undefined && position === undefined) {
      const message = `jetstream: the last message of ${subject} is not from a shipper; a log needs a subject of its own`
      throw new LogboomError('ERR_OPTION', message)
    }
    const seq = found?.seq ?? 0
    const isAsBefore = this.#last === undefined || this.#last.seq === seq
    const mayBeAnothers = isAsBefore || !this.#hasPublished
    if (!mayBeAnothers && position !== undefined && position.shipper !== this.#shipper)
      throw otherShipper(subject)
    this.#last = {
      seq,
      stream: position?.stream ?? this.#last?.stream,
      number: position?.number ?? this.#last?.number ?? -1
    }
    return position === undefined ? { jetStream } : { jetStream, position }
  }

  async #publish(batch: ShipBatch, signal: AbortSignal): Promise<readonly Refusal[]> {
    const jetStream = this.#jetStream ?? (await this.#connect(batch, signal)).jetStream
    const { number = -1, stream = batch.stream } = this.#last ?? {}
    if (stream !== batch.stream) throw otherShipper(jetStream.subject)
    const left = batch.records.filter((record) => record.number > number)
    const maxBytes = jetStream.maxBytes - HEADER_BYTES - (batch.after?.length ?? 0)
    const refusals = left
      .filter(({ data }) => data.length > maxBytes)
      .map((record) => ({ record, reason: `more than ${maxBytes} bytes, the limit of the stream` }))
    const fitting = left.filter(({ data }) => data.length <= maxBytes)
    const step = jetStream.isAtomic ? MAX_ATOMIC : 1
    for (let at = 0; at < fitting.length; at += step) {
      signal.throwIfAborted()
      refusals.push(...(await this.#publishPart(jetStream, batch, fitting.slice(at, at + step))))
    }
    return refusals
  }

  async #publishPart(
    jetStream: JetStream,
    batch: ShipBatch,
    records: readonly ShipRecord[]
  ): Promise<readonly Refusal[]> {
    const { connection, subject } = jetStream
    const messageAt = (at: number) => this.#messageOf(jetStream, batch, records[at])
    const lastSeq = this.#last?.seq ?? 0
    try {
      const answer =
        records.length === 1
          ? await publish(connection, subject, messageAt(0), lastSeq)
          : await publishAtomically(connection, subject, records.length, messageAt, lastSeq)
      // One that was taken before and is not there any more does not move the end of the subject.
      const seq = answer.isDuplicate ? lastSeq : answer.seq
      this.#last = { seq, stream: batch.stream, number: records[records.length - 1].number }
      this.#hasPublished = true
      return []
    } catch (error) {
      if (!(error instanceof PublishError)) throw error
      if (error.kind === 'too-large' && records.length === 1) {
        return [{ record: records[0], reason: error.message }]
      }
      if (error.kind === 'duplicate' && records.length > 1) {
        // Some were there and were removed since; one by one they are told apart.
        for (const record of records) await this.#publishPart(jetStream, batch, [record])
        return []
      }
      throw error
    }
  }

  #messageOf(jetStream: JetStream, batch: ShipBatch, record: ShipRecord): Message {
    const headers = jetStream.createHeaders()
    headers.set(ID_HEADER, `${batch.stream}-${record.number}`)
    headers.set(SHIPPER_HEADER, this.#shipper)
    const { sequence, after, firstNumber } = batch
    headers.set(BATCH_HEADER, formatBatchStart({ batches: sequence, records: firstNumber, after }))
    return { data: record.data, headers }
  }
}

function otherShipper(subject: string): LogboomError {
  return new LogboomError('ERR_LOCKED', `jetstream: another shipper ships to ${subject}`)
}

function requireSubject(subject: unknown): void {
  const isSubject = typeof subject === 'string' && /^[^\s.*>$][^\s*>]*$/.test(subject)
  if (isSubject && !subject.includes('..') && !subject.endsWith('.')) return
  const rule = 'subject must be the name of one subject, such as logs.web1.app, without wildcards'
  throw new LogboomError('ERR_OPTION', `jetstream: ${rule}, got ${errorMessage(JSON.stringify(subject))}`)
}
