// The claim of a log: what keeps writers apart where there are no kernel locks. Who writes has a file in the claim
// folder, under a name that no other writer will ever have (src/formats/claim-name.ts). So it can be removed by anybody
// once its owner is gone, without a moment in which that could hit a successor: who wants the log makes a file of his
// own and then looks whether another living one is there, and in that case takes his back.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { LogboomError, systemCode } from '../../base/errors.ts'
import {
  type Claim as ClaimName,
  claimFolderName,
  decodeClaim,
  encodeClaim,
  encodeToken
} from '../../formats/claim-name.ts'
import type { Disk } from '../../io/disk.ts'
import { isSharedByMachines } from '../../io/file-system.ts'
import { isLifeShown, showLife } from '../../io/life-sign.ts'
import { isForeign, makeFolders, type OpenOptions } from '../../io/open-file.ts'
import { closeQuietly, removeQuietly } from '../../io/quietly.ts'
import { lifeOf, thisThread } from '../../io/thread-life.ts'

/** Private whatever the mode of the log: who can write here can hold up its writers. */
const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
/** Each turn but the last ends because somebody else removed the folder, which was empty. */
const MAX_TURNS = 100
const EXCLUSIVE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL

/** Claims of this thread that could not be removed when they were released: nobody has them any more. */
const released = new Set<string>()

export class Claim {
  readonly folder: string
  readonly #disk: Disk
  readonly #options: OpenOptions
  #held: ClaimName | undefined
  #others: ClaimName | undefined
  #endSign: (() => void) | undefined

  constructor(disk: Disk, logPath: string, options: OpenOptions) {
    this.folder = claimFolderOf(logPath)
    this.#disk = disk
    this.#options = options
  }

  /** Tells this claim from all others; 0 if it is not held. */
  get token(): number {
    return this.#held?.token ?? 0
  }

  /** Who had it when it was last looked at. */
  get owner(): ClaimName | undefined {
    return this.#others
  }

  /** Whether it is held, and still where others look: somebody may have removed or moved the folder. */
  isHeld(): boolean {
    if (this.#held === undefined) return false
    if (this.#disk.exists(this.#pathOf(this.#held))) return true
    this.#held = undefined
    this.#showNoLife()
    return false
  }

  /** Takes it unless a living owner has it. Throws what the system says, and refusals of what is in its place. */
  take(): boolean {
    this.#others = ownerOf(this.#disk, this.folder, this.#options)
    if (this.#others !== undefined) return false
    const mine = { ...thisThread(), token: randomBytes(6).readUIntBE(0, 6) || 1 }
    const path = this.#pathOf(mine)
    this.#create(path)
    try {
      this.#others = ownerOf(this.#disk, this.folder, this.#options, mine.token)
    } catch (error) {
      this.#remove(path)
      throw error
    }
    if (this.#others === undefined) {
      this.#held = mine
      if (process.platform === 'linux') this.#endSign = showLife(signOf(this.folder, mine))
      return true
    }
    this.#remove(path)
    return false
  }

  release(): void {
    if (this.#held === undefined) return
    const path = this.#pathOf(this.#held)
    this.#held = undefined
    this.#remove(path)
    this.#showNoLife()
    try {
      this.#disk.rmdir(this.folder)
    } catch {
      // Others are in it, or it stays for the next one.
    }
  }

  #pathOf(claim: ClaimName): string {
    return join(this.folder, encodeClaim(claim))
  }

  #showNoLife(): void {
    this.#endSign?.()
    this.#endSign = undefined
  }

  #remove(path: string): void {
    try {
      this.#disk.unlink(path)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') released.add(basename(path))
    }
  }

  #create(path: string): void {
    for (let turn = 0; ; turn++) {
      try {
        this.#makeFolder()
        closeQuietly(this.#disk, this.#disk.open(path, EXCLUSIVE, FILE_MODE))
        return
      } catch (error) {
        if (systemCode(error) !== 'ENOENT' || turn === MAX_TURNS) throw error
        if (this.#options.mkdir) makeFolders(this.#disk, dirname(this.folder), this.#options.dirMode)
        else if (!this.#disk.exists(dirname(this.folder))) throw error
      }
    }
  }

  #makeFolder(): void {
    try {
      this.#disk.mkdir(this.folder, FOLDER_MODE)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
      refuseOthers(this.#disk, this.folder, this.#options)
    }
  }
}

export function claimFolderOf(logPath: string): string {
  return join(dirname(logPath), claimFolderName(basename(logPath)))
}

/** What keeps others from the log, to go on behind 'it is'. */
export function describeOwner({ pid, machine, space }: ClaimName, folder: string): string {
  const self = thisThread()
  const isHere = machine === self.machine && space === self.space
  if (!isHere) {
    return `claimed by process ${pid} in another container or on another machine, where it may still run (if it does not, remove ${folder})`
  }
  const who = pid === self.pid ? 'another sink of this process' : `process ${pid}`
  return `in use by ${who}, which has no native addon and cannot share it`
}

/**
 * Who has the claim in `folder`, `exceptToken` left out; undefined if nobody has who lives or may live. What the dead
 * have left is removed.
 */
export function ownerOf(
  disk: Disk,
  folder: string,
  options: Pick<OpenOptions, 'foreignOwner'>,
  exceptToken = 0
): ClaimName | undefined {
  let names: string[]
  try {
    if (!refuseOthers(disk, folder, options)) return undefined
    names = disk.readdir(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  let owner: ClaimName | undefined
  for (const name of names) {
    const claim = decodeClaim(name)
    if (claim === undefined || claim.token === exceptToken) continue
    if (!isOver(disk, claim, name, folder)) {
      owner ??= claim
      continue
    }
    if (removeQuietly(disk, join(folder, name))) released.delete(name)
    removeQuietly(disk, signOf(folder, claim))
  }
  return owner
}

/** Whether its owner cannot come back, whatever happens. */
function isOver(disk: Disk, claim: ClaimName, name: string, folder: string): boolean {
  if (released.has(name)) return true
  switch (lifeOf(claim)) {
    case 'running':
      return false
    case 'ended':
      return true
    case 'elsewhere': {
      // Another container of this machine, whose sockets can be seen; without one there is no telling.
      const sign = signOf(folder, claim)
      const isHere = claim.machine === thisThread().machine || !isSharedByMachines(folder)
      return isHere && disk.exists(sign) && isLifeShown(sign) === false
    }
    case 'beforeStart':
      // The machine that made it may be another one, and run.
      return !isSharedByMachines(folder)
  }
}

/** Where the owner of a claim shows that it lives. */
function signOf(folder: string, { token }: ClaimName): string {
  return join(folder, encodeToken(token))
}

/** False if nothing is there. */
function refuseOthers(
  disk: Disk,
  folder: string,
  { foreignOwner }: Pick<OpenOptions, 'foreignOwner'>
): boolean {
  const found = disk.lstat(folder)
  if (found === undefined) return false
  if (found.isSymlink) {
    throw new LogboomError('ERR_SYMLINK', `${folder} is a symbolic link, which is never followed`, {
      path: folder
    })
  }
  if (found.isFile) {
    throw new LogboomError('ERR_NOT_FILE', `${folder} is no folder and is left alone`, { path: folder })
  }
  if (foreignOwner !== 'allow' && isForeign(found.uid)) {
    const message = `${folder} belongs to another user (uid ${found.uid}), who could hold up what is logged`
    throw new LogboomError('ERR_OWNER', message, { path: folder })
  }
  return true
}
