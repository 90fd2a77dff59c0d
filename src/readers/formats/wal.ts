// The reader of write-ahead logs: ours, etcd's own and those of other programs on etcd's format.
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LogboomError } from '../../base/errors.ts'
import { listConsumers } from '../../core/wal/consumers.ts'
import { LOCK_NAME } from '../../core/wal/folder-lock.ts'
import { identityIn } from '../../core/wal/identity.ts'
import { isLostLog, verifyLog, verifySegments } from '../../core/wal/verify.ts'
import { parseSegmentName } from '../../formats/wal.ts'
import { type WalDamage, WalReplay } from '../../formats/wal-replay.ts'
import { realDisk } from '../../io/disk.ts'
import { repairLog } from '../../repair/wal.ts'
import { notFound } from '../engine/context.ts'
import { isMissing, readError } from '../engine/open-file.ts'
import { kindOf } from '../engine/probe.ts'
import type { Damage, FileReport, LogFile, LogInfo, ReadContext, Reader } from '../reader.ts'
import { findSegments, isFollowed, type SegmentPlace, SegmentSource } from './wal-segments.ts'
import { readWal } from './wal-stream.ts'

/** The frame of a checksum record: 4 to 9 bytes that begin with type 4. */
const HEAD_FRAME_BYTES = 11

export const walReader: Reader = {
  format: 'wal',
  unit: 'folder',
  detect: ({ path, kind, name, names, head }) =>
    kind === 'folder'
      ? names.some((name) => parseSegmentName(name) !== undefined) || isLostLog(path)
      : // Damage at its start leaves a segment its name.
        kind === 'file' && (isSegment(head) || (head.length > 0 && parseSegmentName(name) !== undefined)),
  list: async (path) => listFiles(await placesAt(path)),
  read: readWal,
  info: describeWal,
  verify: verifyWal,
  async repair(path) {
    if ((await kindOf(path)).is === 'file') {
      throw new LogboomError('ERR_OPTION', `${path} is a single segment; repair the folder it is in`, {
        path
      })
    }
    const repaired = repairLog(path)
    return repaired.map(({ path: file, copy, bytes }) => ({ file, copy, removedBytes: bytes }))
  }
}

function isSegment(head: Buffer): boolean {
  if (head.length < HEAD_FRAME_BYTES) return false
  const length = head[0]
  const plain = length >= 4 && length <= 9 && head.readUIntLE(1, 6) === 0
  return plain && head[7] === (length === 8 ? 0 : 0x80 | (-length & 7)) && head.readUIntBE(8, 3) === 0x080410
}

async function placesAt(path: string): Promise<SegmentPlace[]> {
  try {
    return await findSegments(path, (await stat(path)).isDirectory())
  } catch (error) {
    throw isMissing(error) ? notFound(path) : readError(path, error)
  }
}

async function listFiles(places: readonly SegmentPlace[]): Promise<LogFile[]> {
  const files: LogFile[] = []
  for (const [i, { path }] of places.entries()) {
    const { size, mtimeMs } = await stat(path)
    files.push({ path, live: i === places.length - 1, compression: '', size, mtimeMs })
  }
  return files
}

async function describeWal(
  path: string,
  options: { readonly count: boolean; readonly signal?: AbortSignal }
): Promise<LogInfo> {
  const places = await placesAt(path)
  const listed = await listFiles(places)
  const wanted = options.count ? places : places.slice(-1)
  const files: LogInfo['files'][number][] = options.count ? [] : [...listed]
  const replay = new WalReplay()
  let entries = 0
  for (const [i, place] of wanted.entries()) {
    await scanSegment(place, replay, i === wanted.length - 1, options.signal)
    if (options.count) files.push({ ...listed[i], records: replay.entries - entries })
    entries = replay.entries
  }
  const details = detailsOf(replay, places, options.count)
  const folder = places.length === 0 ? path : dirname(places[0].path)
  const identity = identityIn(realDisk, folder)
  if (identity !== undefined) details.identity = identity
  for (const { name, index, timeMs } of listConsumers(realDisk, folder, identity)) {
    const behind = replay.lastIndex > index ? replay.lastIndex - index : 0n
    const time = new Date(timeMs).toISOString()
    details[`consumer ${name}`] = `at ${index}, ${behind} behind, acknowledged ${time}`
  }
  return { format: 'wal', path, files, details }
}

function detailsOf(
  replay: WalReplay,
  places: readonly SegmentPlace[],
  all: boolean
): Record<string, string | number> {
  const details: Record<string, string | number> = {
    writer: replay.foreign
      ? 'another program: its entries can be read, and not be appended to'
      : 'logboom, or a program that writes as it does'
  }
  const first = places[0]?.segment.index ?? 0n
  details['first index'] = String(first === 0n ? 1n : first)
  details['last index'] = String(replay.lastIndex)
  if (replay.marked) details['committed index'] = String(replay.commit)
  if (replay.snapshotIndex > 0n || all) details['snapshot index'] = String(replay.snapshotIndex)
  if (replay.metadata !== undefined && replay.metadata.length > 0) {
    details.metadata = `${replay.metadata.length} bytes`
  }
  if (replay.damage !== undefined) {
    const { file, offset, reason } = replay.damage
    details.damage = `${file} at offset ${offset}: ${reason}`
  }
  return details
}

async function* verifyWal(path: string, context: ReadContext): AsyncGenerator<FileReport, void, undefined> {
  const places = (await kindOf(path)).is === 'missing' ? [] : await placesAt(path)
  if (places.length === 0) return yield await verifyNothing(path)
  const isFolder = (await stat(path)).isDirectory()
  const folder = dirname(places[0].path)
  const segments = places.map(({ segment }) => segment)
  const { signal, progress } = context
  // Who asks is often not who writes: owners are told as they are.
  const options = { foreignOwner: 'allow', signal, progress } as const
  const kind = isFolder ? 'log' : (await isFollowed(path)) ? 'followed' : 'alone'
  try {
    for await (const report of verifySegments(folder, segments, options, kind)) {
      const file = join(folder, report.segment.name)
      const { bytes, entries: records, replay } = report
      const damage = report.damage.map((each) => damageOf(folder, each, bytes))
      const isLast = report.segment === segments[segments.length - 1]
      const notes = notesOf(replay, isLast)
      if (isLast && isFolder) notes.push(...(await foreignOwners(folder, [file, join(folder, LOCK_NAME)])))
      yield { file, records, bytes, damage, notes }
    }
  } catch (error) {
    throw error instanceof LogboomError ? error : readError(path, error)
  }
}

/** Of a folder without segments its lock file or its snapshots may say that there was a log. */
async function verifyNothing(path: string): Promise<FileReport> {
  const { damage } = await verifyLog(path, { foreignOwner: 'allow' })
  if (damage.length === 0) throw notFound(path)
  return {
    file: path,
    records: 0,
    bytes: 0,
    damage: damage.map((each) => damageOf(path, each, 0)),
    notes: []
  }
}

/** What the owner of the folder, who is most likely to open the log, would not use. */
async function foreignOwners(folder: string, paths: readonly string[]): Promise<string[]> {
  const { uid: owner } = await stat(folder)
  const notes: string[] = []
  for (const path of paths) {
    const uid = realDisk.lstat(path)?.uid ?? owner
    if (uid === owner || uid === 0) continue
    notes.push(
      `${path} belongs to another user (uid ${uid}) than the folder (uid ${owner}): it is used with 'foreignOwner' ` +
        "'allow' only"
    )
  }
  return notes
}

function damageOf(folder: string, { file, offset, kind, reason }: WalDamage, bytes: number): Damage {
  return {
    file: join(folder, file),
    offset,
    bytes: Math.max(0, bytes - offset),
    reason: `${kind}: ${reason}`
  }
}

function notesOf(replay: WalReplay, last: boolean): string[] {
  const notes: string[] = []
  if (last && replay.marked && replay.lastIndex > replay.commit) {
    const count = replay.lastIndex - replay.commit
    notes.push(
      `${count} entries behind the commit mark ${replay.commit}: an incomplete batch, or a log of another program`
    )
  }
  if (last && replay.replaced > 0) notes.push(`${replay.replaced} entries were replaced by later ones`)
  if (replay.damage?.kind === 'torn') notes.push('an interrupted write: opening the log cuts it off')
  return notes
}

/** Reads a segment to its end or to its damage; returns the size of the file. */
async function scanSegment(
  place: SegmentPlace,
  replay: WalReplay,
  last: boolean,
  signal?: AbortSignal,
  progress?: (bytes: number) => void
): Promise<number> {
  const opened = await SegmentSource.open(place, replay, last)
  if (opened === undefined) return 0
  const { source, begun } = opened
  try {
    if (begun) {
      for (let step = source.nextOther(); step === 'record' || step === 'more'; step = source.nextOther()) {
        if (step !== 'more') continue
        if (signal?.aborted === true) break
        const bytes = await source.fill()
        progress?.(bytes)
      }
    }
    return await source.size()
  } finally {
    await source.close()
  }
}
