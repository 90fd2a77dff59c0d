// What a message of a shipper says of itself in its headers, which is the checkpoint in the stream.

/** Of the record: `<stream>-<number>`. The server takes an id once within its duplicate window. */
export const ID_HEADER = 'Nats-Msg-Id'
/** Which run of a shipper sent it, so that another one is noticed. */
export const SHIPPER_HEADER = 'Logboom-Shipper'
/** Where its batch begins: `<batches> <records> <cursor>`. */
export const BATCH_HEADER = 'Logboom-Batch'

export interface BatchStart {
  readonly batches: number
  readonly records: number
  readonly after: string | null
}

export interface MessagePosition extends BatchStart {
  readonly stream: string
  /** Of the record of this message. */
  readonly number: number
  readonly shipper: string
}

export function formatBatchStart({ batches, records, after }: BatchStart): string {
  return `${batches} ${records} ${after ?? '-'}`
}

/** Undefined for a message that is not from a shipper. */
export function parsePosition(header: (name: string) => string): MessagePosition | undefined {
  const [, stream, number] = /^([0-9a-f]{16})-(\d{1,15})$/.exec(header(ID_HEADER)) ?? []
  const [, batches, records, after] = /^(\d{1,15}) (\d{1,15}) (\S+)$/.exec(header(BATCH_HEADER)) ?? []
  if (stream === undefined || batches === undefined) return undefined
  return {
    stream,
    number: Number(number),
    shipper: header(SHIPPER_HEADER),
    batches: Number(batches),
    records: Number(records),
    after: after === '-' ? null : after
  }
}
