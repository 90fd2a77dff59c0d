// What the Kafka target needs of a client, so that whichever is installed, or configured by the application, can be used.

export interface KafkaRecord {
  readonly key: string
  readonly value: Buffer
  readonly headers: Readonly<Record<string, string>>
  readonly timestampMs: number
}

/** The committed offset of a consumer group in partition 0 of the topic, with the text that Kafka keeps beside it. */
export interface KafkaCheckpoint {
  readonly offset: number
  readonly metadata: string
}

export interface KafkaSessionOptions {
  readonly topic: string
  /** Opening it fences whoever used it before, and aborts what that one left unfinished. */
  readonly transactionalId: string
  readonly group: string
}

export interface KafkaSession {
  /** As it was when the session was opened, after everybody else was fenced. */
  readonly checkpoint: KafkaCheckpoint | undefined
  /**
   * Records and checkpoint in one transaction: both are there when it resolves. Rejects with `FencedError` if another
   * producer has taken over, with `RefusedError` if the broker will never take these records; whatever it rejects with, the
   * session is of no more use.
   */
  commit(records: readonly KafkaRecord[], checkpoint: KafkaCheckpoint): Promise<void>
  close(): Promise<void>
}

export interface KafkaClient {
  open(options: KafkaSessionOptions): Promise<KafkaSession>
}

/** Another producer uses the transactional id now. */
export class FencedError extends Error {}

/** Of a transaction. A suspended shipper that holds one up for longer is fenced. */
export const TRANSACTION_TIMEOUT_MS = 60_000
export const REQUEST_TIMEOUT_MS = 30_000
/** With TLS and SASL, from far away or on a busy machine; by themselves the clients wait one second, and five. */
export const CONNECT_TIMEOUT_MS = 30_000
export const CLIENT_ID = 'logboom-ship'

export const saslMechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
export type SaslMechanism = (typeof saslMechanisms)[number]

export interface KafkaSasl {
  readonly mechanism: SaslMechanism
  readonly user: string
  readonly password: string
}
