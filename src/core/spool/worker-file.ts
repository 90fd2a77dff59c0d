// The temp file of a worker: what of the buffer is in it, how far the manifest speaks for it, how far it is durable. All
// work is steps, to be repeated after a failure.
import { assert } from '../../base/assert.ts'
import { PLACE_TEMP, SLOTS } from '../../formats/spool.ts'
import { failpoint } from '../../io/failpoint.ts'
import { fdatasync, type Steps, writeAll } from '../../io/steps.ts'
import { isAt, isKnownAt } from './file-state.ts'
import type { SpoolManifest } from './manifest.ts'
import { tempRefusal } from './ownership.ts'
import type { RecordBuffer } from './record-buffer.ts'
import { removeTemp, syncNames, TempFile, type TempFileName, TempSyncError } from './temp-file.ts'
import type { WorkerHost } from './worker-host.ts'
import type { WorkerLife } from './worker-state.ts'

export interface Published {
  readonly from: string
  readonly to: string
}

export class WorkerFile {
  readonly #index: number
  readonly #host: WorkerHost
  readonly #buffer: RecordBuffer
  readonly #life: WorkerLife
  /** Closes a file now, or when no call on it can be under way any more. */
  readonly #retire: (temp: TempFile) => void
  #temp: TempFile | undefined
  #manifest: SpoolManifest | undefined
  #written = 0
  /** Up to here the manifest speaks for the file. */
  #covered = 0
  #durable = 0
  /** The file holds bytes of a record that was given up. */
  #hasRest = false
  /** An earlier file with the same records could not be removed, and the manifest may speak for that, too. */
  #hasRival = false
  /** How far any attempt has come with this content; only grows. */
  #reached = 0

  constructor(
    index: number,
    host: WorkerHost,
    buffer: RecordBuffer,
    life: WorkerLife,
    retire: (temp: TempFile) => void
  ) {
    this.#index = index
    this.#host = host
    this.#buffer = buffer
    this.#life = life
    this.#retire = retire
  }

  /** Whether everything complete would outlive the process. */
  get isCovered(): boolean {
    // Without the addon there are no manifests, and nobody recovers a temp file.
    return this.#covered === this.#buffer.end && this.#manifest !== undefined
  }

  /** Whether everything complete would outlive a power cut. */
  get isDurable(): boolean {
    return this.#durable === this.#buffer.end && this.#life.state !== 'suspect'
  }

  get reached(): number {
    return this.#reached
  }

  /** Writes everything that has come, complete or not, to make room in the buffer. */
  *spill(): Steps<void> {
    yield* this.#writeOut(this.#buffer.fill)
    this.#buffer.spilled()
  }

  /** The buffer has been rolled back: what is behind its end in the file is to be written again, or cut off. */
  rolledBack(): void {
    this.#hasRest ||= this.#temp !== undefined
    this.#written = Math.min(this.#written, this.#buffer.end)
  }

  /** Hands the complete records to the kernel (`durable`: to the disk) without publishing them. */
  *stage(durable: boolean): Steps<void> {
    const { end } = this.#buffer
    if ((durable ? this.#durable : this.#covered) === end && this.#life.state !== 'suspect') return
    const temp = yield* this.#settle()
    const manifest = this.#manifest
    if (!durable || temp === undefined || manifest === undefined) return
    const isNew = this.#durable === 0
    yield* this.#sync(temp)
    yield* this.#syncManifest(manifest)
    if (isNew) yield* syncNames(this.#host.folders, this.#host.folders.temp)
    this.#durable = end
  }

  /** Publishes the complete records; undefined if there are none to publish. */
  *publish(): Steps<Published | undefined> {
    const temp = this.#buffer.end === 0 ? undefined : yield* this.#settle()
    if (temp === undefined) {
      this.discard()
      return undefined
    }
    const { folders } = this.#host
    const from = temp.path
    try {
      if (this.#hasRival) yield* this.#disownRival(temp)
      const to = yield* temp.publish(folders, this.#manifest, this.#buffer.content(), this.#hasRest)
      return { from, to }
    } catch (error) {
      if (error instanceof TempSyncError || !isKnownAt(folders.disk, temp.fd, temp.path)) this.distrust()
      throw error
    }
  }

  /** The file has its final name: it is not ours any more. */
  release(): void {
    assert(this.#temp !== undefined && this.#life.state === 'filed')
    this.#retire(this.#temp)
    this.#reset()
    this.#life.become('buffered')
  }

  /** Its content has to go to a new file before anything else happens. */
  distrust(): void {
    if (this.#life.state === 'filed') this.#life.become('suspect')
  }

  /** Removes what is left of a file without complete records. */
  discard(): void {
    if (this.#temp === undefined) return
    if (!this.#drop(this.#temp)) this.#disown(this.#manifest)
    this.#reset()
    this.#life.become('buffered')
  }

  /** Leaves the file as it is. */
  abandon(): void {
    if (this.#temp !== undefined) this.#retire(this.#temp)
    this.#temp = undefined
  }

  /** Names the next file. Whoever finds it without its spool knows by the manifest what it is. */
  nextName(): TempFileName {
    this.#manifest = this.#host.manifest()
    return {
      base: `${this.#host.prefix}${this.#index}`,
      worker: this.#index,
      number: this.#host.nextNumber(),
      instance: this.#manifest?.instance ?? this.#host.instance,
      pid: process.pid,
      reached: (position) => this.#advance(position)
    }
  }

  /** All complete records in the file, and the manifest speaking for them. Undefined if they are lost. */
  *#settle(): Steps<TempFile | undefined> {
    if (this.#life.state === 'suspect') yield* this.#copyToNew()
    if (this.#buffer.end === 0) return undefined
    const temp = yield* this.#writeOut(this.#buffer.end)
    failpoint('spool-written')
    if (!this.isCovered) this.#cover(temp)
    failpoint('spool-noted')
    return temp
  }

  *#writeOut(end: number): Steps<TempFile> {
    if (this.#temp === undefined) {
      this.#temp = yield* TempFile.create(this.#host.folders, this.nextName())
      this.#host.usesManifest(this.#index, this.#manifest)
      this.#life.become('filed')
    }
    const temp = this.#temp
    const { base, bytes } = this.#buffer
    if (this.#written < end) {
      assert(this.#written >= base)
      this.#host.folders.counters.writes++
      yield* writeAll(temp.fd, bytes, this.#written - base, end - base, this.#written)
      this.#written = end
      this.#advance(end)
    }
    return temp
  }

  #cover(temp: TempFile): void {
    const content = this.#buffer.content()
    this.#manifest?.save(this.#index, { ...content, place: temp.place, file: temp.number })
    this.#covered = content.end
  }

  // After a failed sync the pages of the old file are marked clean though the disk may not have them, so the
  // buffer is used where it still has everything; else the checksum tells whether the old file reads back right.
  *#copyToNew(): Steps<void> {
    const { folders } = this.#host
    const { base, bytes } = this.#buffer
    const old = this.#temp!
    if (base > 0) yield* this.#writeOut(this.#buffer.end)
    const content = this.#buffer.content()
    const before = this.#manifest
    const fresh = yield* TempFile.create(folders, this.nextName())
    let isIntact = true
    try {
      if (base === 0) yield* writeAll(fresh.fd, bytes, 0, content.end, 0)
      else isIntact = yield* old.copyTo(fresh.fd, folders, content)
      if (isIntact) this.#cover(fresh)
      else this.#host.lost(content.records, content.end, `${old.path} does not read back as written`)
      this.#temp = fresh
    } finally {
      // Also where the run was ended from outside: one of the two is of no use any more.
      const isDone = this.#temp === fresh
      const isGone = this.#drop(isDone ? old : fresh)
      if (!isDone) this.#manifest = before
      this.#hasRival ||= !isGone
    }
    // That one may be another spool's to look after in a moment.
    if (this.#hasRival && before !== this.#manifest) this.#disown(before)
    this.#host.usesManifest(this.#index, this.#manifest)
    this.#written = content.end
    this.#durable = 0
    this.#hasRest = false
    this.#life.become('filed')
    if (isIntact) return
    this.discard()
    this.#buffer.reset()
  }

  *#sync(temp: TempFile): Steps<void> {
    try {
      yield* temp.sync(this.#host.folders)
    } catch (error) {
      if (error instanceof TempSyncError) this.distrust()
      throw error
    }
  }

  *#syncManifest(manifest: SpoolManifest): Steps<void> {
    this.#host.folders.counters.syncs++
    try {
      yield* fdatasync(manifest.fd)
    } catch (error) {
      // Like a temp file it may have lost what was in it, so both are made anew.
      this.#host.distrustManifest(manifest)
      this.distrust()
      throw error
    }
  }

  /**
   * Takes care that what is in another file is not published, too, once this one has its name: both notes of the worker speak
   * for this one then, so that recovery removes the other. Not before it is as durable as it has to be.
   */
  *#disownRival(temp: TempFile): Steps<void> {
    if (this.#manifest !== undefined) {
      const { durable } = this.#host.folders
      if (durable) yield* this.#sync(temp)
      this.#cover(temp)
      if (durable) yield* this.#syncManifest(this.#manifest)
    }
    this.#hasRival = false
  }

  /** Has a manifest speak for no file of this worker, as far as it can be written. */
  #disown(manifest: SpoolManifest | undefined): void {
    const none = { end: 0, records: 0, crc: 0, place: PLACE_TEMP, file: this.#host.nextNumber() }
    try {
      for (let slot = 0; slot < SLOTS; slot++) manifest?.save(this.#index, none)
    } catch {
      // It is on a disk that takes neither a note nor a removal.
    }
  }

  /** False if the file is still there. */
  #drop(temp: TempFile): boolean {
    const { disk } = this.#host.folders
    let isGone = true
    try {
      if (this.#isOurs(temp)) removeTemp(disk, temp.path)
    } catch (error) {
      isGone = false
      this.#host.folders.leftBehind(temp.path, error)
    }
    this.#retire(temp)
    return isGone
  }

  /**
   * Whether what is at the path of `temp` may go. Such a name is made up anew for every file, so where the open file
   * cannot be asked, the owner of what is there will do.
   */
  #isOurs(temp: TempFile): boolean {
    const { disk } = this.#host.folders
    try {
      return isAt(disk, temp.fd, temp.path)
    } catch {
      const there = disk.lstat(temp.path)
      return there !== undefined && tempRefusal(there) === undefined
    }
  }

  #advance(position: number): void {
    this.#reached = Math.max(this.#reached, position)
  }

  #reset(): void {
    this.#temp = undefined
    this.#host.usesManifest(this.#index, undefined)
    this.#written = this.#covered = this.#durable = this.#reached = 0
    this.#hasRest = this.#hasRival = false
  }
}
