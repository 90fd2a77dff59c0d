// The consumers of a log as its writer sees them: what each has acknowledged, and so what none of them needs any more.
import { constants } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../../base/errors.ts'
import {
  CONSUMER_FILE_BYTES,
  CONSUMERS_FOLDER,
  decodeConsumerFile,
  isConsumerName
} from '../../formats/consumer-file.ts'
import type { Disk } from '../../io/disk.ts'
import { isForeign } from '../../io/open-file.ts'

const NOT_FOLLOWED = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY
/** Is there if snapshots are taken of the log, too: then what they have not released stays. */
const SNAPSHOTS_NAME = '.snapshots'

export interface ConsumerInfo {
  readonly name: string
  /** Index of the last entry it has acknowledged, 0 for none. */
  readonly index: bigint
  /** When, ms since 1970; 0 if that cannot be read. */
  readonly timeMs: number
}

export class Consumers {
  readonly #disk: Disk
  readonly #walDir: string
  readonly #identity: string | undefined
  readonly #isForeignUsed: boolean

  constructor(disk: Disk, walDir: string, identity: string | undefined, isForeignUsed: boolean) {
    this.#disk = disk
    this.#walDir = walDir
    this.#identity = identity
    this.#isForeignUsed = isForeignUsed
  }

  list(): ConsumerInfo[] {
    return listConsumers(this.#disk, this.#walDir, this.#identity, this.#isForeignUsed)
  }

  /** The lowest index that all of them have acknowledged; undefined if there are none. */
  lowest(): bigint | undefined {
    let lowest: bigint | undefined
    for (const { index } of this.list()) if (lowest === undefined || index < lowest) lowest = index
    return lowest
  }

  /** `index`, or less if one of them is not so far. */
  notBefore(index: bigint): bigint {
    const lowest = this.lowest()
    return lowest !== undefined && lowest < index ? lowest : index
  }

  /** Whether snapshots are taken of the log, too, as this or an earlier process has noted. */
  hasSnapshots(): boolean {
    return this.#disk.exists(join(this.#walDir, CONSUMERS_FOLDER, SNAPSHOTS_NAME))
  }

  /** Notes that for later processes; where there are no consumers nothing depends on it. Does not throw. */
  noteSnapshots(): void {
    const folder = join(this.#walDir, CONSUMERS_FOLDER)
    const { O_WRONLY, O_CREAT, O_NOFOLLOW } = constants
    try {
      if (!this.#disk.exists(folder) || this.hasSnapshots()) return
      this.#disk.close(this.#disk.open(join(folder, SNAPSHOTS_NAME), O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600))
    } catch {
      // This process knows of them anyway, and the next one tries again when it takes one.
    }
  }
}

/**
 * The consumers of a log, by name. One whose file is not whole has acknowledged nothing; files of another log (`identity`),
 * of other users where those do not count, and whatever else is in the folder, are passed over.
 */
export function listConsumers(
  disk: Disk,
  walDir: string,
  identity: string | undefined,
  isForeignUsed = true
): ConsumerInfo[] {
  const folder = join(walDir, CONSUMERS_FOLDER)
  const found: ConsumerInfo[] = []
  for (const name of namesIn(disk, folder).filter(isConsumerName).sort()) {
    const state = stateIn(disk, join(folder, name), isForeignUsed)
    if (state === undefined) continue
    const isOther = state !== 'unreadable' && state.identity !== undefined && identity !== undefined
    if (isOther && state.identity !== identity) continue
    if (state === 'unreadable') found.push({ name, index: 0n, timeMs: 0 })
    else found.push({ name, index: state.index, timeMs: state.timeMs })
  }
  return found
}

function namesIn(disk: Disk, folder: string): string[] {
  try {
    return disk.readdir(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return []
    throw error
  }
}

function stateIn(disk: Disk, path: string, isForeignUsed: boolean) {
  let fd: number
  try {
    fd = disk.open(path, NOT_FOLLOWED, 0)
  } catch (error) {
    const code = systemCode(error)
    // Removed meanwhile, or a link or a socket, which is not ours.
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENXIO') return undefined
    throw error
  }
  try {
    const { isFile, size, uid } = disk.fstat(fd)
    if (!isFile || size > CONSUMER_FILE_BYTES || (!isForeignUsed && isForeign(uid))) return undefined
    const bytes = Buffer.alloc(CONSUMER_FILE_BYTES)
    const length = disk.read(fd, bytes, 0, bytes.length, 0)
    return decodeConsumerFile(bytes.subarray(0, length)) ?? ('unreadable' as const)
  } finally {
    disk.close(fd)
  }
}
