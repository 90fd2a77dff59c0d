// Publishing to JetStream: one message, or many as one atomic batch, and what the server's answers mean.
// https://github.com/nats-io/nats-architecture-and-design, ADR-50 for atomic batches.
import { randomUUID } from 'node:crypto'
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node'

const REQUEST_TIMEOUT_MS = 10_000
/** Codes of errors of the server: server/errors.json of nats-server. */
const WRONG_LAST_SEQUENCE = [10071, 10164]
const TOO_LARGE = [10054, 10097]
const BATCH_HAS_DUPLICATE = 10201

export interface Message {
  readonly data: Uint8Array
  readonly headers: MsgHdrs
}

export interface PublishAnswer {
  readonly seq: number
  readonly isDuplicate: boolean
}

/** The server says no; `kind` is what that means for who asked. */
export class PublishError extends Error {
  readonly kind: 'fenced' | 'too-large' | 'duplicate' | 'other'

  constructor(message: string, code: number) {
    super(message)
    this.kind = kindOf(code)
  }
}

/** `lastSeq` is that of the last message of the subject: the server takes the message only if it is, still. */
export async function publish(
  connection: NatsConnection,
  subject: string,
  { data, headers }: Message,
  lastSeq: number
): Promise<PublishAnswer> {
  expectLast(headers, lastSeq)
  const answer = await ask(connection, subject, data, headers)
  return { seq: answer.seq ?? 0, isDuplicate: answer.duplicate === true }
}

/**
 * `count` messages, two at least: all of them or none. Each is made when it is its turn, since the headers of all of them would
 * be several times their records in memory.
 */
export async function publishAtomically(
  connection: NatsConnection,
  subject: string,
  count: number,
  messageAt: (at: number) => Message,
  lastSeq: number
): Promise<PublishAnswer> {
  const id = randomUUID()
  for (let at = 0; ; at++) {
    const { data, headers } = messageAt(at)
    headers.set('Nats-Batch-Id', id)
    headers.set('Nats-Batch-Sequence', String(at + 1))
    // The first is asked for, so that a refusal is known before all the others are on their way.
    if (at === 0) {
      expectLast(headers, lastSeq)
      await ask(connection, subject, data, headers)
    } else if (at < count - 1) connection.publish(subject, data, { headers })
    else {
      headers.set('Nats-Batch-Commit', '1')
      const answer = await ask(connection, subject, data, headers)
      if (answer.count === count && answer.seq !== undefined) return { seq: answer.seq, isDuplicate: false }
      throw new Error(`JetStream answered ${JSON.stringify(answer)} to a batch of ${count}`)
    }
  }
}

function expectLast(headers: MsgHdrs, lastSeq: number): void {
  headers.set('Nats-Expected-Last-Subject-Sequence', String(lastSeq))
}

interface Answer {
  readonly seq?: number
  readonly duplicate?: boolean
  readonly count?: number
  readonly error?: { readonly err_code?: number; readonly description?: string }
}

async function ask(
  connection: NatsConnection,
  subject: string,
  data: Uint8Array,
  headers: MsgHdrs
): Promise<Answer> {
  const message = await connection.request(subject, data, { headers, timeout: REQUEST_TIMEOUT_MS })
  // In the midst of a batch the answer is empty.
  const answer: Answer = message.data.length === 0 ? {} : message.json<Answer>()
  if (answer.error === undefined) return answer
  const { description = 'an error without description', err_code = 0 } = answer.error
  throw new PublishError(`JetStream, ${subject}: ${description} (${err_code})`, err_code)
}

function kindOf(code: number): PublishError['kind'] {
  if (WRONG_LAST_SEQUENCE.includes(code)) return 'fenced'
  if (TOO_LARGE.includes(code)) return 'too-large'
  return code === BATCH_HAS_DUPLICATE ? 'duplicate' : 'other'
}
