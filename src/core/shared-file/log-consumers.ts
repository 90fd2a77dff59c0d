// The consumers of a log of files as its writers see them: which of its backups each still needs, and a note to those that
// could not be waited for.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import {
  consumerFileBytes,
  consumerOf,
  consumerSlotBytes,
  folderConsumerOf,
  type LostBackups,
  lostAt,
  parseLost,
  parsePosition
} from '../../formats/log-consumer.ts'
import { decodeSlots, encodeSlot, slotOffset } from '../../formats/slots.ts'
import type { Disk } from '../../io/disk.ts'
import { lookAtHeld } from '../../io/held-file.ts'
import { isForeign } from '../../io/open-file.ts'
import { closeQuietly } from '../../io/quietly.ts'
import { runNow } from '../../io/steps.ts'
import { writeAll } from '../../io/write-all.ts'
import type { BackupFiles, BackupGrammar } from './backup-grammar.ts'

const { O_RDWR, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants
const SAFE = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
/** More than these files are not looked at: nobody ships a log to so many places. */
const MAX_CONSUMERS = 64

export interface LogConsumer {
  readonly name: string
  readonly path: string
  /** As in `ConsumerPosition`; '' also where the file does not tell. */
  readonly file: string
  readonly updatedAtMs: number
  /** The kernel says so. */
  readonly isAlive: boolean
}

/**
 * The consumers of the log `base` in `folder`, of which `names` are the files; those of other users do not count where
 * `isForeignUsed` is false. `failed` is told of files that cannot be looked at: nobody waits for them. A consumer of the
 * whole folder needs all of a log of which it has said nothing yet.
 */
export function logConsumers(
  disk: Disk,
  folder: string,
  base: string,
  names: readonly string[],
  isForeignUsed: boolean,
  failed: (path: string, error: unknown) => void
): LogConsumer[] {
  const read = (nameIn: (fileName: string) => string | undefined): LogConsumer[] => {
    const consumers: LogConsumer[] = []
    for (const fileName of names) {
      const name = nameIn(fileName)
      if (name === undefined || consumers.length === MAX_CONSUMERS) continue
      const path = join(folder, fileName)
      try {
        const found = readConsumer(disk, path, isForeignUsed)
        if (found !== undefined) consumers.push({ name, path, ...found })
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') failed(path, error)
      }
    }
    return consumers
  }
  const own = read((fileName) => consumerOf(base, fileName))
  const ofFolder = read(folderConsumerOf)
  const known = own.map((each) =>
    together(
      each,
      ofFolder.find(({ name }) => name === each.name)
    )
  )
  return [...known, ...ofFolder.filter(({ name }) => !own.some((each) => each.name === name))]
}

/** Who has all logs of the folder looks at each only now and then. */
function together(own: LogConsumer, ofFolder: LogConsumer | undefined): LogConsumer {
  if (ofFolder === undefined) return own
  return {
    ...own,
    isAlive: own.isAlive || ofFolder.isAlive,
    updatedAtMs: Math.max(own.updatedAtMs, ofFolder.updatedAtMs)
  }
}

/** The number of the first of `backups`, which are sorted, that the consumer still needs; their count if it needs none. */
export function firstNeeded(
  grammar: BackupGrammar,
  backups: readonly BackupFiles[],
  { file }: Pick<LogConsumer, 'file'>
): number {
  const name = file.slice(1)
  if (name === '') return 0
  // Where it is among them, or would be: compressed meanwhile, or removed by somebody.
  const all = grammar.group([...backups.flatMap(({ names }) => names), name])
  const at = all.findIndex(({ names }) => names.includes(name))
  if (at === -1) return 0
  const isThere = all.length === backups.length
  return file.startsWith('>') && isThere ? at + 1 : at
}

/** Notes for the consumer what was removed before it had got it. Throws what the system says. */
export function noteLost(disk: Disk, path: string, lost: LostBackups): void {
  const fd = disk.open(path, O_RDWR | SAFE, 0)
  try {
    const { isFile, size, nlink } = disk.fstat(fd)
    if (!isFile || size !== consumerFileBytes || nlink !== 1) return
    const before = lostSlot(disk, fd)
    const known = parseLost(before?.content) ?? { backups: 0, bytes: 0, last: '' }
    const content = {
      backups: known.backups + lost.backups,
      bytes: known.bytes + lost.bytes,
      last: lost.last
    }
    const sequence = (before?.sequence ?? -1n) + 1n
    const slot = encodeSlot({ sequence, content }, consumerSlotBytes)
    writeAll(disk, fd, slot, lostAt + slotOffset(sequence, consumerSlotBytes))
  } finally {
    closeQuietly(disk, fd)
  }
}

/** What writers have noted in the open file of a consumer. */
export function lostSlot(disk: Disk, fd: number) {
  const bytes = Buffer.alloc(2 * consumerSlotBytes)
  const length = disk.read(fd, bytes, 0, bytes.length, lostAt)
  return decodeSlots(bytes.subarray(0, length), consumerSlotBytes)
}

function readConsumer(
  disk: Disk,
  path: string,
  isForeignUsed: boolean
): Pick<LogConsumer, 'file' | 'updatedAtMs' | 'isAlive'> | undefined {
  const found = runNow(disk, lookAtHeld(disk, path, consumerFileBytes))
  if (found === undefined || (!isForeignUsed && isForeign(found.uid))) return undefined
  const slots = found.bytes.subarray(0, lostAt)
  const position = parsePosition(decodeSlots(slots, consumerSlotBytes)?.content)
  // Where the kernel does not say so, the time it gives has to do.
  const isAlive = found.isHeld === true
  // One that is being made has got nothing yet. What is nobody's and says nothing is no consumer's.
  if (position === undefined) return isAlive ? { file: '', updatedAtMs: found.mtimeMs, isAlive } : undefined
  return { file: position.file, updatedAtMs: position.updatedAtMs, isAlive }
}
