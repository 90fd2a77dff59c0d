// Has the command of `onFinished` run for the files of a spool, also for those that other spools of the same prefix published
// and could not run it for. A spool removes none of them, so nothing waits for the command.
import { join } from 'node:path'
import { finishedNoteName } from '../../formats/finished-note.ts'
import { upkeepSlot } from '../../formats/lock-file.ts'
import { parsePublishedName } from '../../formats/spool.ts'
import type { Disk } from '../../io/disk.ts'
import { native } from '../../native/index.ts'
import { CommandRounds } from '../shared-file/command-rounds.ts'
import { type FinishedFile, Finisher } from '../shared-file/finisher.ts'
import { KernelLock } from '../shared-file/kernel-lock.ts'
import type { Account } from '../sink/account.ts'
import type { ParsedSpoolOptions } from './options.ts'

/** Not that of the published files, which may be for readers alone. */
const NOTE_MODE = 0o600

/** Undefined if there is no command. */
export function createPublishedCommands(
  options: ParsedSpoolOptions,
  disk: Disk,
  account: Account
): CommandRounds | undefined {
  const { onFinished, path: folder, prefix } = options
  if (onFinished === undefined) return undefined
  const base = `${prefix}spool`
  const access = { ...options, mode: NOTE_MODE, mkdir: false }
  const finisher = new Finisher({
    ...access,
    disk,
    path: folder,
    notePath: join(folder, finishedNoteName(base)),
    pathOf: (name) => join(folder, name),
    command: onFinished,
    waitMs: 0,
    compresses: false,
    warn: (message) => account.warn('ERR_IO', message)
  })
  const lock = native.canLock ? new KernelLock(disk, join(folder, base), access, false) : undefined
  return new CommandRounds({
    finisher,
    list: async () => publishedIn(await disk.readdirAsync(folder), prefix),
    // Without kernel locks the command may run twice for files that two spools find.
    lock: lock && (() => lock.tryOther(upkeepSlot)),
    failed: (error) => account.warnOf(error),
    roundEnded: () => {}
  })
}

/** The oldest first. */
function publishedIn(names: readonly string[], prefix: string): FinishedFile[] {
  const times = new Map<string, bigint>()
  for (const name of names) {
    const time = isOfPrefix(name, prefix) ? parsePublishedName(name) : undefined
    if (time !== undefined) times.set(name, time)
  }
  const byTime = [...times].sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0))
  return byTime.map(([name]) => ({ name, compression: '' }))
}

/** Behind the prefix there is the number of a worker. What is recovered may be of a spool with another one. */
export function isOfPrefix(name: string, prefix: string): boolean {
  return name.startsWith(prefix) && /^\d{1,3}_\d{19}\.log$/.test(name.slice(prefix.length))
}
