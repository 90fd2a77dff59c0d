// A transaction of either client: aborted when its work fails, with the errors that shippers understand.
import { kafkaError } from './errors.ts'

/** What the transactions of both clients have in common. */
export interface KafkaTransaction {
  abort(): Promise<unknown>
  commit(): Promise<unknown>
}

/** Rejects with what `kafkaError` makes of a failure to begin, of `work`, or of the commit. */
export async function inTransaction<T extends KafkaTransaction>(
  begin: () => Promise<T>,
  work: (transaction: T) => Promise<void>
): Promise<void> {
  try {
    const transaction = await begin()
    try {
      await work(transaction)
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
