// Reads what the consumers of a log, such as shippers, tell of themselves, and which of them are alive.
import { basename, dirname, join } from 'node:path'
import { systemCode } from '../base/errors.ts'
import {
  type ConsumerPosition,
  consumerFileBytes,
  consumerOf,
  consumerSlotBytes,
  folderConsumerOf,
  lostAt,
  parseLost,
  parsePosition
} from '../formats/log-consumer.ts'
import { decodeSlots } from '../formats/slots.ts'
import { realDisk } from '../io/disk.ts'
import { lookAtHeld } from '../io/held-file.ts'
import { run } from '../io/steps.ts'
import { namesIn } from './engine/log-files.ts'
import { readError } from './engine/open-file.ts'

export interface SeenConsumer extends ConsumerPosition {
  readonly name: string
  /** The kernel says so, where its file may be written; of others it is what they said last. */
  readonly isAlive: boolean
  /** Backups that were removed before it had got them, and their bytes. */
  readonly lostBackups: number
  readonly lostBytes: number
}

/** The consumers of the log at `path` that have told of themselves, by name. Throws `ERR_IO`. */
export async function readConsumers(path: string): Promise<SeenConsumer[]> {
  const folder = dirname(path)
  const names = [...(await namesIn(folder))].sort()
  const read = async (nameIn: (fileName: string) => string | undefined): Promise<SeenConsumer[]> => {
    const found: SeenConsumer[] = []
    for (const fileName of names) {
      const name = nameIn(fileName)
      const seen = name === undefined ? undefined : await readConsumer(join(folder, fileName))
      if (name !== undefined && seen !== undefined) found.push({ name, ...seen })
    }
    return found
  }
  const own = await read((fileName) => consumerOf(basename(path), fileName))
  // One of all logs in the folder looks at each only now and then.
  const alive = new Set(
    (await read(folderConsumerOf)).filter(({ isAlive }) => isAlive).map(({ name }) => name)
  )
  return own.map((each) => ({ ...each, isAlive: each.isAlive || alive.has(each.name) }))
}

async function readConsumer(file: string): Promise<Omit<SeenConsumer, 'name'> | undefined> {
  try {
    const found = await run(realDisk, lookAtHeld(realDisk, file, consumerFileBytes), () => true)
    if (found === undefined) return undefined
    const position = parsePosition(decodeSlots(found.bytes, consumerSlotBytes)?.content)
    if (position === undefined) return undefined
    const lost = parseLost(decodeSlots(found.bytes.subarray(lostAt), consumerSlotBytes)?.content)
    const isOpen = position.state === 'open' || position.state === 'degraded'
    return {
      ...position,
      isAlive: found.isHeld ?? isOpen,
      lostBackups: lost?.backups ?? 0,
      lostBytes: lost?.bytes ?? 0
    }
  } catch (error) {
    // What may not even be read tells nothing.
    if (systemCode(error) === 'EACCES') return undefined
    throw readError(file, error)
  }
}
