// Reads what the consumers of a log, such as shippers, tell of themselves, and which of them are alive.
import type { FileHandle } from 'node:fs/promises'
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
import { native } from '../native/index.ts'
import { namesIn } from './engine/log-files.ts'
import { openToLook, readError } from './engine/open-file.ts'

const LOCK_SLOT = 0

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
  let handle: FileHandle | undefined
  try {
    handle = await openToLook(file)
    const stats = await handle.stat()
    if (!stats.isFile() || stats.size > consumerFileBytes) return undefined
    const bytes = Buffer.alloc(consumerFileBytes)
    await handle.read(bytes, 0, bytes.length, 0)
    const position = parsePosition(decodeSlots(bytes, consumerSlotBytes)?.content)
    if (position === undefined) return undefined
    const lost = parseLost(decodeSlots(bytes.subarray(lostAt), consumerSlotBytes)?.content)
    const isOpen = position.state === 'open' || position.state === 'degraded'
    return {
      ...position,
      isAlive: isHeld(handle.fd) ?? isOpen,
      lostBackups: lost?.backups ?? 0,
      lostBytes: lost?.bytes ?? 0
    }
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'EISDIR' || code === 'EACCES') return undefined
    throw readError(file, error)
  } finally {
    await handle?.close()
  }
}

/** Undefined where that cannot be found out. */
function isHeld(fd: number): boolean | undefined {
  if (!native.canLock) return undefined
  try {
    if (!native.lock(fd, LOCK_SLOT, 0)) return true
    native.unlock(fd, LOCK_SLOT)
    return false
  } catch {
    return undefined
  }
}
