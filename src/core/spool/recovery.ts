// Publishes what dead spools left behind. The kernel frees the lock of a note when its process dies, in whatever
// container it ran and whoever has its process id now; the lock is held until all its files are done, so a crash
// in here leaves everything to the next one.
import { constants } from 'node:fs'
import { join, resolve } from 'node:path'
import { errorMessage, systemCode } from '../../base/errors.ts'
import {
  type NoteHeader,
  type NoteSlot,
  PLACE_TARGET,
  PLACE_TEMP,
  parseNoteName,
  parseTempName,
  type TempName
} from '../../formats/spool.ts'
import type { Disk } from '../../io/disk.ts'
import { read, run, type Steps } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import { type DeadNote, SpoolNote } from './note.ts'
import { type Content, type SpoolFolders, syncFolder, TempFile } from './temp-file.ts'

const READ_BYTES = 256 * 1024

export interface RecoveryHost {
  readonly folders: SpoolFolders
  /** Instances that live in this very spool. */
  isOwn(instance: string): boolean
  recoveredFile(from: string, to: string, content: Content): void
  /** `bytes` of records that never became complete were dropped. */
  torn(path: string, bytes: number): void
  warn(code: string, message: string, path: string): void
}

/** Looks once for notes whose spools are dead and that were to publish where we do. */
export async function recover(host: RecoveryHost): Promise<void> {
  const { disk, temp } = host.folders
  for (const name of await disk.readdirAsync(temp)) {
    const instance = parseNoteName(name)
    if (instance === undefined || host.isOwn(instance)) continue
    try {
      const dead = SpoolNote.takeOver(disk, join(temp, name), instance)
      if (dead !== undefined) await settle(host, dead)
    } catch (error) {
      const code = systemCode(error) ?? 'ERR_IO'
      // Gone: somebody else was faster. Not permitted: the spool of another user, who has to recover it.
      if (code === 'ENOENT' || code === 'EACCES' || code === 'EPERM') continue
      host.warn(code, `cannot recover what ${join(temp, name)} speaks of: ${errorMessage(error)}`, temp)
    }
  }
}

async function settle(host: RecoveryHost, dead: DeadNote): Promise<void> {
  const { disk, temp, target } = host.folders
  const { note, header } = dead
  if (header !== undefined && !isOurs(host.folders, header)) {
    note.leave()
    return
  }
  const folders = header === undefined ? host.folders : { ...host.folders, permission: header.permission }
  let done = false
  try {
    const places: [number, string][] = [[PLACE_TEMP, temp]]
    if (!isSameFolder(disk, temp, target)) places.push([PLACE_TARGET, target])
    for (const [place, folder] of places) {
      for (const name of disk.readdir(folder)) {
        if (parseTempName(name)?.instance !== note.instance) continue
        if (header === undefined) setAside(host, join(folder, name), `the note ${note.instance} is damaged`)
        else await settleFile(host, folders, dead, join(folder, name), name, place)
      }
    }
    done = true
  } finally {
    if (done) note.remove()
    else note.leave()
  }
}

async function settleFile(
  host: RecoveryHost,
  folders: SpoolFolders,
  dead: DeadNote,
  path: string,
  name: string,
  place: number
): Promise<void> {
  const { disk } = folders
  const parsed = parseTempName(name) as TempName
  const worker = dead.slots.findIndex((slots) => slots.some((slot) => slot.file === parsed.file))
  const slots = worker === -1 ? [] : dead.slots[worker].filter((slot) => slot.file === parsed.file)
  const stat = disk.lstat(path)
  if (stat === undefined || !stat.isFile) return
  // Between link(2) and unlink(2), where a file system has no atomic rename, it is published already.
  const isElsewhere = slots.length > 0 && slots[0].place !== place
  if (stat.nlink > 1 || isElsewhere || slots.length === 0) {
    disk.unlink(path)
    if (slots.length === 0 && place === PLACE_TEMP) host.torn(path, stat.size)
    return
  }
  const fd = openForWriting(disk, path)
  const file = new TempFile({ ...parsed, worker, number: parsed.file }, path, place, fd)
  try {
    await run(disk, publishFile(host, folders, dead.note, file, slots, stat.size), () => true)
  } finally {
    file.close(disk)
  }
}

function* publishFile(
  host: RecoveryHost,
  folders: SpoolFolders,
  note: SpoolNote,
  file: TempFile,
  slots: readonly NoteSlot[],
  size: number
): Steps<void> {
  let content: NoteSlot | undefined
  for (const slot of slots) {
    if (content === undefined && (yield* matches(file.fd, slot, size))) content = slot
  }
  if (content === undefined) {
    setAside(host, file.path, 'it is not what its note says')
    return
  }
  const from = file.path
  const to = yield* file.publish(folders, note, content, size > content.end)
  if (folders.durable) yield* syncFolder(folders, folders.target)
  if (size > content.end) host.torn(from, size - content.end)
  host.recoveredFile(from, to, content)
}

/** Whether the file is up to `slot.end` what was written to it. After a power cut it may not be. */
function* matches(fd: number, slot: Content, size: number): Steps<boolean> {
  if (slot.end > size) return false
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  let crc = 0
  for (let at = 0; at < slot.end; ) {
    const count = yield* read(fd, buffer, Math.min(READ_BYTES, slot.end - at), at)
    if (count === 0) return false
    crc = native.crc32c(buffer, crc, 0, count)
    at += count
  }
  return crc === slot.crc
}

/** A file that cannot be understood is kept, out of the way of readers and of the next recovery. */
function setAside(host: RecoveryHost, path: string, reason: string): void {
  host.folders.disk.renameNoReplace(path, `${path}.broken`)
  host.warn('ERR_CORRUPT', `${path} was set aside as ${path}.broken: ${reason}`, path)
}

/** A file that was about to be published may have its final, read-only permission already. */
function openForWriting(disk: Disk, path: string): number {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK
  try {
    return disk.open(path, flags, 0)
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error
    disk.chmodPath(path, 0o600)
    return disk.open(path, flags, 0)
  }
}

// By identity, because containers may see the same folder under different paths; by path, because a folder may
// have been made anew.
function isOurs({ disk, target }: SpoolFolders, header: NoteHeader): boolean {
  if (header.path === resolve(target)) return true
  const own = disk.stat(target)
  return own.ino === header.ino && own.dev === header.dev
}

function isSameFolder(disk: Disk, a: string, b: string): boolean {
  if (resolve(a) === resolve(b)) return true
  const [one, other] = [disk.stat(a), disk.stat(b)]
  return one.ino === other.ino && one.dev === other.dev
}
