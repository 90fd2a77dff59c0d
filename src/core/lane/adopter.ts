// Finds the rings of a log whose owners are dead, and has the sink of the log write out what is left in them.
import { errorMessage, LogboomError } from '../../base/errors.ts'
import type { RingName } from '../../formats/lane-names.ts'
import type { LaneId } from '../../formats/lock-file.ts'
import { realDisk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import type { Account } from '../sink/account.ts'
import { type HeldOwner, holdOwner } from './held-owner.ts'
import type { LaneUnit } from './lane-codec.ts'
import { type LaneFolder, logKey } from './lane-folder.ts'
import { describe, formatOf } from './lane-format.ts'
import type { LaneQueue } from './lane-queue.ts'
import { LaneSource } from './lane-source.ts'
import type { MappedRing } from './mapped-ring.ts'
import { addSource, removeSource } from './settle.ts'
import { type FoundRings, type LaneLook, watchLanes } from './watch.ts'

export interface AdopterOptions {
  readonly account: Account
  /** Kind of the sink: a ring for another kind is left for one of that. */
  readonly kind: string
  /** Where rings may be beside the usual folders. */
  readonly dir: string | undefined
  /** The sink's own ring. */
  readonly own: LaneId | undefined
  /** What a record is where the ring does not say; always where the file holds text. */
  readonly unit: LaneUnit
}

/** A ring that was taken over. */
interface Adopted {
  readonly folder: LaneFolder
  readonly name: RingName
  readonly ring: MappedRing
  readonly owner: HeldOwner
  readonly pid: number
  records: number
  bytes: number
}

export class LaneAdopter {
  readonly #options: AdopterOptions
  readonly #key: string
  readonly #adopted = new Map<LaneSource, Adopted>()
  /** Rings that were found to be of no use here, so that it is said once. */
  readonly #refused = new Set<string>()
  #unwatch: (() => void) | undefined

  constructor(options: AdopterOptions) {
    this.#options = options
    this.#key = logKey(realDisk, options.account.path)
  }

  /** Whether there are rings of this log that others have filled, dead or alive. */
  hasOthers(look: LaneLook): boolean {
    return look.ringsIn(this.#options.dir).some((found) => this.#othersIn(found).length > 0)
  }

  /** Goes on taking over what it can, within seconds, and has it written. `first`: what it has taken over before. */
  watch(queue: LaneQueue, first: LaneLook, write: () => void): void {
    this.#unwatch = watchLanes((look) => {
      if (this.adopt(queue, look)) write()
      return this.hasOthers(look)
    }, first)
  }

  /** Takes over every ring whose owner is dead. True if there was one. */
  adopt(queue: LaneQueue, look: LaneLook): boolean {
    let isAny = false
    for (const found of look.ringsIn(this.#options.dir)) {
      for (const name of this.#othersIn(found)) {
        const source = this.#adoptRing(found.folder, name)
        if (source === undefined) continue
        isAny = true
        queue.adopt(source)
      }
    }
    return isAny
  }

  /** The first record of an adopted ring is about to be written. */
  begin(source: LaneSource): void {
    const adopted = this.#adopted.get(source)
    if (adopted !== undefined) Object.assign(adopted, source.count())
  }

  /** Everything in an adopted ring is written: nothing of it is left. */
  finish(source: LaneSource): void {
    const adopted = this.#adopted.get(source)
    if (adopted === undefined) return
    const { folder, name, records, bytes, pid } = adopted
    failpoint('removing')
    folder.removeRing(name)
    this.#letGo(source, adopted)
    if (records > 0) this.#options.account.recoveredLane({ records, bytes, pid })
  }

  /** The rest of it cannot be read. The file stays, for whoever can make something of it. */
  leave(source: LaneSource): void {
    const adopted = this.#adopted.get(source)
    if (adopted === undefined) return
    this.#refuse(adopted.folder, adopted.name, new LogboomError('ERR_CORRUPT', 'is damaged'))
    this.#letGo(source, adopted)
  }

  /** Lets go of rings that are not empty: somebody else may have them. */
  close(): void {
    this.#unwatch?.()
    for (const [source, adopted] of this.#adopted) this.#letGo(source, adopted)
  }

  #letGo(source: LaneSource, { ring, owner }: Adopted): void {
    this.#adopted.delete(source)
    removeSource(source)
    ring.close()
    owner.release()
  }

  #othersIn({ folder, rings }: FoundRings): RingName[] {
    const { own } = this.#options
    return rings.filter(({ log, owner, number }) => {
      if (log !== this.#key || (owner === own?.owner && number === own.number)) return false
      return !this.#refused.has(keyOf(folder, { owner, number }))
    })
  }

  #adoptRing(folder: LaneFolder, name: RingName): LaneSource | undefined {
    let owner: HeldOwner | undefined
    let ring: MappedRing | undefined
    try {
      owner = holdOwner(folder, name)
      if (owner === undefined) return undefined
      ring = folder.openRing(name)
      if (ring !== undefined) return this.#take(folder, name, ring, owner)
    } catch (error) {
      this.#refuse(folder, name, error)
    }
    ring?.close()
    owner?.release()
    return undefined
  }

  #take(folder: LaneFolder, name: RingName, ring: MappedRing, owner: HeldOwner): LaneSource {
    const description = describe(ring)
    if (description.kind !== this.#options.kind) {
      const message = `holds records of a ${description.kind} log; 'logboom recover' writes them`
      throw new LogboomError('ERR_UNSUPPORTED', message)
    }
    const source = new LaneSource(ring, formatOf(description, this.#options.unit), {
      owner: name.owner,
      number: name.number
    })
    addSource(source)
    this.#adopted.set(source, { folder, name, ring, owner, pid: description.pid, records: 0, bytes: 0 })
    failpoint('adopted')
    return source
  }

  #refuse(folder: LaneFolder, name: RingName, error: unknown): void {
    const { account } = this.#options
    const code = error instanceof LogboomError ? error.code : 'ERR_IO'
    // What the system says may pass.
    if (code !== 'ERR_IO') this.#refused.add(keyOf(folder, name))
    account.warn(
      code,
      `${account.path}: a lane in ${folder.path} is left: ${errorMessage(error)}`,
      folder.path
    )
  }
}

function keyOf(folder: LaneFolder, { owner, number }: LaneId): string {
  return `${folder.path} ${owner} ${number}`
}
