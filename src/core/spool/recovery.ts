// Publishes what dead spools left behind. The kernel frees the lock of a manifest when its process dies, in whatever
// container it ran and whoever has its process id now; the lock is held until all its files are done, so a crash
// in here leaves everything to the next one.
import { constants } from 'node:fs'
import { join, resolve } from 'node:path'
import { errorMessage, systemCode } from '../../base/errors.ts'
import {
  type ManifestHeader,
  type ManifestSlot,
  PLACE_TARGET,
  PLACE_TEMP,
  parseManifestName,
  parseTempName,
  type TempName
} from '../../formats/spool.ts'
import type { Disk, FileStat } from '../../io/disk.ts'
import { closeQuietly } from '../../io/quietly.ts'
import { read, type Steps } from '../../io/steps.ts'
import { native } from '../../native/index.ts'
import { type DeadManifest, SpoolManifest } from './manifest.ts'
import { tempRefusal } from './ownership.ts'
import { type Content, type SpoolFolders, syncNames, TempFile } from './temp-file.ts'

const READ_BYTES = 256 * 1024
const MAX_BROKEN = 100

export interface RecoveryHost {
  readonly folders: SpoolFolders
  /** Whether files of an instance could not be removed, and cannot be now. */
  hasLeft(instance: string): boolean
  /** Instances that live in this very spool. */
  isOwn(instance: string): boolean
  recoveredFile(from: string, to: string, content: Content): void
  /** `bytes` of records that never became complete were dropped. */
  torn(path: string, bytes: number): void
  /** A file that could have been planted was left alone. */
  refused(path: string, reason: string): void
  warn(code: string, message: string, path: string): void
}

/** Looks once for manifests whose spools are dead and that were to publish where we do. */
export function* recover(host: RecoveryHost): Steps<void> {
  const { disk, temp } = host.folders
  for (const name of disk.readdir(temp)) {
    const instance = parseManifestName(name)
    if (instance === undefined || host.isOwn(instance)) continue
    try {
      const path = join(temp, name)
      const dead = SpoolManifest.takeOver(disk, path, instance, (reason) => host.refused(path, reason))
      if (dead !== undefined) yield* settle(host, dead)
    } catch (error) {
      const code = systemCode(error) ?? 'ERR_IO'
      // Gone: somebody else was faster. Not permitted: the spool of another user, who has to recover it.
      if (code === 'ENOENT' || code === 'EACCES' || code === 'EPERM') continue
      host.warn(code, `cannot recover what ${join(temp, name)} speaks of: ${errorMessage(error)}`, temp)
    }
  }
}

function* settle(host: RecoveryHost, dead: DeadManifest): Steps<void> {
  const { disk, temp, target } = host.folders
  const { manifest, header } = dead
  if (header !== undefined && !isOurs(host.folders, header)) {
    manifest.leave()
    return
  }
  const folders = header === undefined ? host.folders : { ...host.folders, permission: header.permission }
  let done = false
  try {
    const places: [number, string][] = [[PLACE_TEMP, temp]]
    if (!isSameFolder(disk, temp, target)) places.push([PLACE_TARGET, target])
    const superseded = header === undefined ? new Set<number>() : yield* findSuperseded(disk, dead, places)
    for (const [place, folder] of places) {
      for (const name of disk.readdir(folder)) {
        if (parseTempName(name)?.instance !== manifest.instance) continue
        if (superseded.has(parseTempName(name)!.file)) {
          disk.unlink(join(folder, name))
          continue
        }
        if (header === undefined)
          setAside(host, join(folder, name), `the manifest ${manifest.instance} is damaged`)
        else yield* settleFile(host, folders, dead, join(folder, name), name, place)
      }
    }
    done = true
  } finally {
    if (done && !host.hasLeft(manifest.instance)) manifest.remove()
    else manifest.leave()
  }
}

/**
 * The numbers of files whose records were copied to a new one, which is there and whole, when their process died before it
 * could remove them: the two slots of the worker then speak of one each. Where the new file is not whole, the old one
 * counts; and where it is gone, nobody knows whether it was published or lost with its name.
 */
function* findSuperseded(
  disk: Disk,
  dead: DeadManifest,
  places: readonly [number, string][]
): Steps<Set<number>> {
  const superseded = new Set<number>()
  for (const slots of dead.slots) {
    const [newest, ...older] = slots.toSorted((a, b) => b.generation - a.generation)
    if (!older.some(({ file }) => file !== newest.file)) continue
    const folder = places.find(([place]) => place === newest.place)?.[1]
    if (folder === undefined) continue
    const name = disk.readdir(folder).find((each) => {
      const parsed = parseTempName(each)
      return parsed?.instance === dead.manifest.instance && parsed.file === newest.file
    })
    const path = name === undefined ? undefined : join(folder, name)
    const stat = path === undefined ? undefined : disk.lstat(path)
    if (path === undefined || stat === undefined || tempRefusal(stat) !== undefined) continue
    const fd = openForWriting(disk, path)
    try {
      const isWhole = yield* matches(fd, newest, stat.size)
      if (isWhole) for (const { file } of older) if (file !== newest.file) superseded.add(file)
    } finally {
      closeQuietly(disk, fd)
    }
  }
  return superseded
}

function* settleFile(
  host: RecoveryHost,
  folders: SpoolFolders,
  dead: DeadManifest,
  path: string,
  name: string,
  place: number
): Steps<void> {
  const { disk } = folders
  const parsed = parseTempName(name) as TempName
  const worker = dead.slots.findIndex((slots) => slots.some((slot) => slot.file === parsed.file))
  const slots = worker === -1 ? [] : dead.slots[worker].filter((slot) => slot.file === parsed.file)
  const stat = disk.lstat(path)
  if (stat === undefined) return
  const refusal = tempRefusal(stat)
  if (refusal !== undefined) {
    host.refused(path, refusal)
    return
  }
  const isElsewhere = slots.length > 0 && slots[0].place !== place
  if (isElsewhere || slots.length === 0 || isPublished(folders, parsed.base, stat)) {
    disk.unlink(path)
    if (slots.length === 0 && place === PLACE_TEMP) host.torn(path, stat.size)
    return
  }
  const fd = openForWriting(disk, path)
  const file = new TempFile({ ...parsed, worker, number: parsed.file }, path, place, fd)
  try {
    yield* publishFile(host, folders, dead.manifest, file, slots, stat.size)
  } finally {
    file.close(disk)
  }
}

function* publishFile(
  host: RecoveryHost,
  folders: SpoolFolders,
  manifest: SpoolManifest,
  file: TempFile,
  slots: readonly ManifestSlot[],
  size: number
): Steps<void> {
  let content: ManifestSlot | undefined
  for (const slot of slots) {
    if (content === undefined && (yield* matches(file.fd, slot, size))) content = slot
  }
  if (content === undefined) {
    setAside(host, file.path, 'it is not what its manifest says')
    return
  }
  const from = file.path
  const to = yield* file.publish(folders, manifest, content, size > content.end)
  if (size > content.end) host.torn(from, size - content.end)
  host.recoveredFile(from, to, content)
  if (folders.durable) yield* syncNames(folders, folders.target)
}

/** Whether the file is up to `slot.end` what was written to it. After a power cut it may not be. */
function* matches(fd: number, slot: Content, size: number): Steps<boolean> {
  if (slot.end > size) return false
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  let crc = 0
  for (let at = 0; at < slot.end; ) {
    const count = yield* read(fd, buffer, Math.min(READ_BYTES, slot.end - at), at)
    if (count <= 0) return false
    crc = native.crc32c(buffer, crc, 0, count)
    at += count
  }
  return crc === slot.crc
}

/** A file that cannot be understood is kept, out of the way of readers and of the next recovery. */
function setAside(host: RecoveryHost, path: string, reason: string): void {
  for (let number = 0; ; number++) {
    const aside = `${path}${number === 0 ? '' : `-${number}`}.broken`
    try {
      host.folders.disk.renameNoReplace(path, aside)
    } catch (error) {
      if (systemCode(error) === 'EEXIST' && number < MAX_BROKEN) continue
      throw error
    }
    host.warn('ERR_CORRUPT', `${path} was set aside as ${aside}: ${reason}`, path)
    return
  }
}

/**
 * Between link(2) and unlink(2), where a file system has no atomic rename, a file is published under its other name
 * already. A second name elsewhere is somebody else's doing.
 */
function isPublished({ disk, target }: SpoolFolders, base: string, stat: FileStat): boolean {
  if (stat.nlink === 1) return false
  return disk.readdir(target).some((name) => {
    if (!name.startsWith(`${base}_`)) return false
    const other = disk.lstat(join(target, name))
    return other !== undefined && other.ino === stat.ino && other.dev === stat.dev
  })
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
function isOurs({ disk, target }: SpoolFolders, header: ManifestHeader): boolean {
  if (header.path === resolve(target)) return true
  const own = disk.stat(target)
  return own.ino === header.ino && own.dev === header.dev
}

function isSameFolder(disk: Disk, a: string, b: string): boolean {
  if (resolve(a) === resolve(b)) return true
  const [one, other] = [disk.stat(a), disk.stat(b)]
  return one.ino === other.ino && one.dev === other.dev
}
