// Opens the files a sink writes to: never through a symbolic link, never anything but a regular file, with the
// wanted permissions whatever the umask, making missing folders.
import { constants } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { LogboomError, systemCode } from '../base/errors.ts'
import { STANDARD_STREAMS } from '../base/foreign-options.ts'
import { isStandardStream } from '../base/option-values.ts'
import { native } from '../native/index.ts'
import type { Disk, FileStat } from './disk.ts'
import { giveMode, type ModeWarning } from './file-mode.ts'
import { closeQuietly } from './quietly.ts'
import { syncFolder as folderSync, run, runNow } from './steps.ts'

export interface OpenOptions {
  /** Permission bits of a new file. */
  mode: number
  dirMode: number
  mkdir: boolean
  /** Whether a file that belongs to another user (not root) may be used; it is refused if this is left out. */
  foreignOwner?: 'refuse' | 'allow'
  /** Told if a new file could not be given its mode. */
  warn?: ModeWarning
}

/** As many as the kernel follows. */
const MAX_LINKS = 40

/** Passed to open(2): a FIFO must not block it, a terminal must not become ours. */
const SAFE = constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY

/** An open file that may be synced in the background while it is already left; closed when nobody uses it. */
export class OpenFile {
  readonly path: string
  readonly fd: number
  readonly dev: bigint
  readonly ino: bigint
  readonly #disk: Disk
  #users = 1

  constructor(disk: Disk, path: string, fd: number, stat: FileStat) {
    this.#disk = disk
    this.path = path
    this.fd = fd
    this.dev = stat.dev
    this.ino = stat.ino
    native.closeAtExit(fd)
  }

  is(stat: Pick<FileStat, 'dev' | 'ino'>): boolean {
    return stat.ino === this.ino && stat.dev === this.dev
  }

  /** Keeps the descriptor open until one more `release`. */
  retain(): void {
    // The number of a closed descriptor may be another file's by now.
    if (this.#users === 0) throw new Error(`${this.path} was closed before`)
    this.#users++
  }

  release(): void {
    this.#users--
    if (this.#users === 0) this.#close()
  }

  /** For a process that exits: closes it at once, though whoever else uses it will not come to an end any more. */
  end(): void {
    if (this.#users > 0) this.#close()
    this.#users = 0
  }

  #close(): void {
    native.forget(this.fd)
    closeQuietly(this.#disk, this.fd)
  }
}

/** Opens `path` with `access` (O_RDWR, O_APPEND, …), creating it and its folders where allowed. */
export function openFile(disk: Disk, path: string, access: number, options: OpenOptions): OpenFile {
  // Every turn but the last ends because somebody else created or removed the file in between.
  for (let turn = 0; ; turn++) {
    const found = disk.lstat(path)
    if (found !== undefined) refuseOthers(disk, path, found, options)
    try {
      return found === undefined
        ? create(disk, path, access, options)
        : openExisting(disk, path, access, options)
    } catch (error) {
      const code = systemCode(error)
      if (code === 'ENOENT' && found === undefined && options.mkdir)
        makeFolders(disk, dirname(path), options.dirMode)
      else if (code === 'ELOOP') throw symlinkRefused(disk, path)
      else if (code !== 'EEXIST' && code !== 'ENOENT') throw error
      if (turn === 10 || (code === 'ENOENT' && !options.mkdir)) throw error
    }
  }
}

function create(disk: Disk, path: string, access: number, options: OpenOptions): OpenFile {
  const fd = disk.open(path, access | SAFE | constants.O_CREAT | constants.O_EXCL, options.mode)
  // What was created here is ours, whoever the file system says it belongs to.
  return adopt(disk, path, fd, { ...options, foreignOwner: 'allow' }, () =>
    giveMode(disk, path, fd, options.mode, options.warn)
  )
}

function openExisting(disk: Disk, path: string, access: number, options: OpenOptions): OpenFile {
  const fd = disk.open(path, access | SAFE, 0)
  return adopt(disk, path, fd, options, () => {})
}

function adopt(disk: Disk, path: string, fd: number, options: OpenOptions, prepare: () => void): OpenFile {
  try {
    prepare()
    const stat = disk.fstat(fd)
    refuseOthers(disk, path, stat, options)
    return new OpenFile(disk, path, fd, stat)
  } catch (error) {
    closeQuietly(disk, fd)
    throw error
  }
}

/** Throws `ERR_SYMLINK`, `ERR_NOT_FILE` or `ERR_OWNER` for what must not be written to. */
export function refuseOthers(
  disk: Disk,
  path: string,
  stat: FileStat,
  { foreignOwner }: Pick<OpenOptions, 'foreignOwner'>
): void {
  if (stat.isSymlink) throw symlinkRefused(disk, path)
  if (!stat.isFile) throw new LogboomError('ERR_NOT_FILE', `${path} is not a regular file`, { path })
  if (foreignOwner !== 'allow' && isForeign(stat.uid)) {
    const message = `${path} belongs to another user (uid ${stat.uid}), who could read, change or lock what is logged`
    throw new LogboomError('ERR_OWNER', message, { path })
  }
}

/** Whether files of `uid` are neither ours nor root's, whose files nobody can plant. */
export function isForeign(uid: number): boolean {
  const own = process.geteuid?.()
  return own !== undefined && uid !== own && uid !== 0
}

function symlinkRefused(disk: Disk, path: string): LogboomError {
  const way = leadsToStream(disk, path) ? `, and this one leads to a stream: ${STANDARD_STREAMS}` : ''
  return new LogboomError('ERR_SYMLINK', `${path} is a symbolic link, which is never followed${way}`, {
    path
  })
}

/** Images of containers link logs to /dev/stdout. */
function leadsToStream(disk: Disk, path: string): boolean {
  let at = path
  try {
    for (let link = 0; link < MAX_LINKS && !isStandardStream(at); link++) {
      at = resolve(dirname(at), disk.readlink(at))
    }
  } catch {
    return false
  }
  return isStandardStream(at)
}

/** Makes `folder` and its missing parents with exactly `mode`. */
export function makeFolders(disk: Disk, folder: string, mode: number): void {
  try {
    disk.mkdir(folder, mode)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EEXIST') return
    // A parent that is there is no reason to try again: in /proc, for one, ENOENT is for ever.
    if (code !== 'ENOENT' || dirname(folder) === folder || disk.exists(dirname(folder))) throw error
    makeFolders(disk, dirname(folder), mode)
    makeFolders(disk, folder, mode)
  }
}

/** Of a file system that has no fsync for this kind of file, and of Node where its permission model refuses fsync. */
const NO_SYNC = new Set(['EINVAL', 'ENOSYS', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ERR_ACCESS_DENIED'])

/** Whether a sync failed because there is none, which no repetition will change. */
export function cannotSync(error: unknown): boolean {
  return NO_SYNC.has(systemCode(error) ?? '')
}

/** Why there is none, behind the name of the file or folder. */
export function whyNoSync(error: unknown): string {
  const code = systemCode(error)
  if (code === 'ERR_ACCESS_DENIED')
    return "cannot be synced, because Node's permission model refuses it without the addon (--allow-addons)"
  if (code === 'EACCES') return 'cannot be synced, because this process may not open it'
  return 'is on a file system that cannot sync it'
}

/** Makes the entries of a folder durable (fsync(2) of the folder itself). */
export function syncFolder(disk: Disk, folder: string): void {
  runNow(disk, folderSync(disk, folder))
}

/** The same where folders can be synced; elsewhere none is needed or nothing helps. */
export function syncFolderIfPossible(disk: Disk, folder: string): void {
  try {
    syncFolder(disk, folder)
  } catch (error) {
    if (!cannotSync(error)) throw error
  }
}

/** Like `syncFolder`, off this thread. */
export function syncFolderAsync(disk: Disk, folder: string): Promise<void> {
  return run(disk, folderSync(disk, folder), () => true)
}
