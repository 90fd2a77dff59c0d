// Looks which files in the folder of a log another package has left: those it is sure of, and those it leaves, with the
// reason. Nothing is changed.
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync
} from 'node:fs'
import { basename, dirname, extname, join, relative, resolve } from 'node:path'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { type BackupCompression, backupBase } from '../../formats/backup-name.ts'
import { BackupPattern } from '../../formats/backup-pattern.ts'
import type { BackupWay } from '../../formats/backups-note.ts'
import { decodeLockState, lockFileName, lockStateBytes } from '../../formats/lock-file.ts'
import { NameTemplate, type OldName } from './old-name.ts'
import type { OldPackage } from './packages.ts'

/** A file of the other package. */
export interface OldFile extends OldName {
  readonly name: string
  readonly compression: BackupCompression
  readonly mtimeMs: number
  readonly size: number
  readonly ino: string
}

/** Something that stays as it is, and why. */
export interface LeftFile {
  readonly name: string
  readonly why: string
}

/** A symbolic link to a file of the folder. */
export interface OldLink {
  readonly name: string
  readonly to: string
}

/** A file in which the package lists its files; by their names, without folder. */
export interface OldList {
  readonly name: string
  readonly ino: string
  readonly files: readonly string[]
}

export interface FoundFiles {
  readonly files: readonly OldFile[]
  readonly left: readonly LeftFile[]
  readonly links: readonly OldLink[]
  readonly lists: readonly OldList[]
  /** What is at the path of the log; a file that writers of ours have written to is `ours`. */
  readonly log: 'nothing' | 'file' | 'ours' | 'link'
}

export interface NameOptions {
  /** The template of its names, in place of those that are usual. */
  readonly files?: string | undefined
  readonly datePattern?: string | undefined
  readonly isUtc?: boolean | undefined
}

/** Larger ones are no lists of files. */
const MAX_LIST_BYTES = 4 * 1024 * 1024
const MAGIC_BYTES = 4
const NO_NAMES: ReadonlySet<string> = new Set()

/** `ways`: how writers of ours have called backups so far. */
export function findOldFiles(
  path: string,
  from: OldPackage,
  options: NameOptions,
  ways: readonly BackupWay[]
): FoundFiles {
  const folder = dirname(path)
  const log = basename(path)
  const names = namesIn(folder)
  const all: ReadonlySet<string> = new Set(names)
  const templates = templatesOf(log, from, options)
  const files: OldFile[] = []
  const left: LeftFile[] = []
  const links: OldLink[] = []
  const state = logState(path)
  const ours = ways.flatMap(({ dir, name }) => {
    return dir === undefined && name !== undefined ? new BackupPattern(name, log) : []
  })
  for (const name of names) {
    const link = unlessGone(() => linkWithin(folder, name))
    if (link !== undefined) links.push({ name, to: link })
    // Ours look like log4js's to some patterns.
    if (name === lockFileName(log) || backupBase(name) !== undefined) continue
    if (ours.some((pattern) => pattern.parse(name) !== undefined)) continue
    const isLog = name === log
    if (isLog && (!from.logIsNumber0 || state !== 'file')) continue
    const isPackedLog = from.logIsNumber0 && name === `${log}.gz`
    const parsed = isLog
      ? LOG_ITSELF
      : isPackedLog
        ? { ...LOG_ITSELF, packed: '.gz' }
        : parseName(name, templates)
    if (parsed === undefined) continue
    if (parsed === 'unclear')
      left.push({ name, why: 'its name can be read in two ways; say which by --files' })
    else {
      // The log has a lock file of its own as soon as it is locked.
      const found = unlessGone(() => inspect(folder, name, parsed, isLog ? NO_NAMES : all))
      if (found === undefined) continue
      if ('why' in found) left.push(found)
      else files.push(found)
    }
  }
  const lists = names.filter((name) => from.isList?.(name, log) === true)
  return {
    files,
    left,
    links,
    lists: lists.flatMap((name) => unlessGone(() => listIn(folder, name)) ?? []),
    log: state
  }
}

/** What the name of the log says where it is one of those that are numbered. */
const LOG_ITSELF: OldName = { span: undefined, number: 0, rises: false, packed: '' }

function templatesOf(log: string, from: OldPackage, options: NameOptions): NameTemplate[] {
  const ext = extname(log)
  const texts = options.files === undefined ? from.templates(log, basename(log, ext), ext) : [options.files]
  const isUtc = options.isUtc ?? from.isUtc
  const datePattern = options.datePattern ?? from.datePattern
  // A log without extension has some of them twice.
  return [...new Set(texts)].map((text) => new NameTemplate(text, { datePattern, isUtc }))
}

/** 'unclear' where two templates read the same name differently. */
function parseName(name: string, templates: readonly NameTemplate[]): OldName | 'unclear' | undefined {
  let found: OldName | undefined
  for (const template of templates) {
    const parsed = template.parse(name)
    if (parsed === undefined) continue
    const isSame =
      found === undefined ||
      (found.number === parsed.number &&
        found.span?.fromMs === parsed.span?.fromMs &&
        found.span?.toMs === parsed.span?.toMs)
    if (!isSame) return 'unclear'
    found ??= parsed
  }
  return found
}

function inspect(
  folder: string,
  name: string,
  parsed: OldName,
  names: ReadonlySet<string>
): OldFile | LeftFile | undefined {
  const path = join(folder, name)
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  if (stat === undefined) return undefined
  if (stat.isSymbolicLink()) return { name, why: 'it is a symbolic link' }
  if (!stat.isFile()) return { name, why: 'it is no regular file' }
  if (names.has(lockFileName(name))) return { name, why: 'it is a log of its own, with a lock file' }
  const { packed } = parsed
  if (packed !== '' && names.has(name.slice(0, -packed.length)))
    return { name, why: 'the file it was made of is still there, so it may not be whole' }
  const compression = compressionOf(path, packed, stat.size)
  if (compression === undefined) {
    const what = packed === '' || stat.size > 0n ? `it is not what ${packed} says` : 'it is empty'
    return { name, why: packed.length > 4 || !READABLE.has(packed) ? `${packed} cannot be read here` : what }
  }
  return {
    ...parsed,
    name,
    compression,
    mtimeMs: Number(stat.mtimeMs),
    size: Number(stat.size),
    ino: String(stat.ino)
  }
}

const READABLE: ReadonlySet<string> = new Set(['', '.gz', '.br', '.zst'])

/** By what is in it: some packages compress and keep the name. Undefined if the name says something else. */
function compressionOf(path: string, packed: string, size: bigint): BackupCompression | undefined {
  if (size === 0n) return packed === '' ? '' : undefined
  const magic = firstBytes(path, MAGIC_BYTES).toString('hex')
  const content = magic.startsWith('1f8b08') ? 'gz' : magic === '28b52ffd' ? 'zst' : ''
  if (packed === '') return content
  if (packed === '.br') return content === '' ? 'br' : undefined
  return packed === `.${content}` ? content : undefined
}

function firstBytes(path: string, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, length, 0))
  } finally {
    closeSync(fd)
  }
}

/** Another process may be renaming them: what is gone since the folder was listed is none of ours. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Where a symbolic link leads, if that is a name in the same folder. */
function linkWithin(folder: string, name: string): string | undefined {
  const path = join(folder, name)
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return undefined
  const to = relative(resolve(folder), resolve(folder, readlinkSync(path)))
  return to === '' || /[\\/]/.test(to) || to === '..' ? undefined : to
}

function logState(path: string): FoundFiles['log'] {
  const stat = lstatSync(path, { throwIfNoEntry: false, bigint: true })
  if (stat === undefined) return 'nothing'
  if (stat.isSymbolicLink()) return 'link'
  if (!stat.isFile()) throw new LogboomError('ERR_NOT_FILE', `${path} is not a regular file`, { path })
  return writtenByUs(path) === stat.ino ? 'ours' : 'file'
}

/** The number of the file that writers of this package wrote to last. */
function writtenByUs(path: string): bigint | undefined {
  const lock = join(dirname(path), lockFileName(basename(path)))
  if (lstatSync(lock, { throwIfNoEntry: false })?.isFile() !== true) return undefined
  const state = decodeLockState(firstBytes(lock, lockStateBytes))
  return state === undefined || state.pid === 0 ? undefined : state.ino
}

/** Undefined if it is no such list. */
function listIn(folder: string, name: string): OldList | undefined {
  const path = join(folder, name)
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  if (stat?.isFile() !== true || stat.size > MAX_LIST_BYTES) return undefined
  const text = readFileSync(path, 'utf8')
  const listed = name.endsWith('.json') ? auditedFiles(text) : text.split('\n').filter((line) => line !== '')
  if (listed === undefined) return undefined
  return { name, ino: String(stat.ino), files: listed.map((each) => basename(each)) }
}

/** The audit file of file-stream-rotator, whose version 1 calls the same otherwise. */
function auditedFiles(text: string): string[] | undefined {
  try {
    const { keep, auditLog, keepSettings = keep, auditFilename = auditLog, files } = JSON.parse(text)
    const isAudit =
      typeof keepSettings === 'object' && typeof auditFilename === 'string' && Array.isArray(files)
    return isAudit ? files.map((file: { name: unknown }) => String(file.name)) : undefined
  } catch {
    return undefined
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    throw new LogboomError('ERR_NOT_FOUND', `there is no folder ${folder}`, { path: folder })
  }
}
