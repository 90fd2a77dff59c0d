// A transaction of either client: aborted when its work fails, with the errors that shippers understand.
import { kafkaError, sendError } from './errors.ts'

/** What the transactions of both clients have in common. */
export interface KafkaTransaction {
  abort(): Promise<unknown>
  commit(): Promise<unknown>
}

/** What is done in a transaction. */
export interface TransactionWork<T> {
  begin(): Promise<T>
  /** Sends the records, which the broker may refuse. */
  send(transaction: T): Promise<unknown>
  /** Adds the checkpoint behind them. */
  checkpoint(transaction: T): Promise<unknown>
}

/** Rejects with what `sendError` makes of a failure to send, and `kafkaError` of any other. */
export async function inTransaction<T extends KafkaTransaction>(work: TransactionWork<T>): Promise<void> {
  try {
    const transaction = await work.begin()
    try {
      await work.send(transaction).catch((error) => {
        throw sendError(error)
      })
      await work.checkpoint(transaction)
    } catch (error) {
      // Else it stays open until another session aborts it.
      await transaction.abort().catch(() => {})
      throw error
    }
    await transaction.commit()
  } catch (error) {
    throw kafkaError(error)
  }
}
