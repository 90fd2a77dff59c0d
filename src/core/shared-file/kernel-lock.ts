// The kernel's lock of a log. It is free the moment its holder dies, and taken for each turn. Those who cannot take it
// claim the log instead, and note that where the state is read from in each turn anyway.
import { dirname } from 'node:path'
import { platform } from 'node:process'
import { monotonicMs } from '../../base/clock.ts'
import { sleep } from '../../base/sleep.ts'
import { firstUserSlot, type LockState, userSlots, writeSlot } from '../../formats/lock-file.ts'
import type { Disk } from '../../io/disk.ts'
import type { OpenFile, OpenOptions } from '../../io/open-file.ts'
import { type Internals, internals } from '../sink/internals.ts'
import { claimFolderOf, describeOwner, ownerOf } from './claim.ts'
import type { Lock } from './lock.ts'
import { MachineTurns } from './machine-turns.ts'
import { StateFile } from './state-file.ts'

const MAX_TURNS = 100
/** How often a claim is looked at by who waits for its end on this thread. */
const POLL_MS = 5

export class KernelLock implements Lock {
  readonly #disk: Disk
  readonly #options: OpenOptions
  readonly #state: StateFile
  readonly #claimFolder: string
  /** The token of a claim whose owner is gone: it stays noted until the next one. */
  #endedClaim = 0
  #obstacle: string | undefined
  readonly #turns: Pick<Internals, 'network' | 'now'> | undefined
  /** Undefined on a file system that this machine alone has; null as long as that is not known. */
  #machine: MachineTurns | undefined | null = null

  constructor(disk: Disk, logPath: string, options: OpenOptions, takesTurns: boolean) {
    this.#disk = disk
    this.#options = options
    this.#turns = takesTurns ? internals() : undefined
    this.#state = new StateFile(disk, logPath, options)
    this.#claimFolder = claimFolderOf(logPath)
  }

  get path(): string {
    return this.#state.path
  }

  get obstacle(): string | undefined {
    return this.#obstacle
  }

  acquire(waitMs: number): LockState | undefined {
    this.#obstacle = undefined
    const state = this.#lock(waitMs)
    return state === undefined || !this.#isTaken(state) ? state : this.#waitForOthers(waitMs)
  }

  get tookOver(): boolean {
    return this.#machine?.tookOver === true
  }

  save(state: LockState): void {
    this.#state.save(state)
  }

  release(): void {
    const { file } = this.#state
    if (file === undefined) return
    try {
      this.#disk.unlock(file.fd, writeSlot)
    } catch (error) {
      this.close()
      throw error
    }
  }

  tryOther(slot: number): { release(): void } | undefined {
    const file = this.#state.openAnother()
    let held = false
    try {
      held =
        this.#disk.lock(file.fd, slot, 0) &&
        ownerOf(this.#disk, this.#claimFolder, this.#options) === undefined &&
        (this.#machine ?? undefined)?.keep(file) !== false
    } finally {
      if (!held) file.release()
    }
    if (!held) return undefined
    const end = this.#machine?.keepOn(file)
    return {
      release: () => {
        end?.()
        file.release()
      }
    }
  }

  close(): void {
    this.#state.close()
  }

  #lock(waitMs: number): LockState | undefined {
    for (let turn = 0; ; turn++) {
      if (turn === MAX_TURNS) throw new Error(`${this.path} is replaced all the time`)
      const file = this.#state.file ?? this.#open()
      if (!this.#disk.lock(file.fd, writeSlot, waitMs)) return undefined
      try {
        // The lock counts only on the file that others will open.
        if (this.#state.isInPlace()) return this.#state.read()
      } catch (error) {
        this.close()
        throw error
      }
      this.close()
    }
  }

  #open(): OpenFile {
    const file = this.#state.open()
    if (this.#machine === null) this.#machine = this.#machineTurns()
    if (platform === 'linux') this.#becomeVisible(file)
    return file
  }

  #machineTurns(): MachineTurns | undefined {
    const found = this.#turns?.network.find(dirname(this.path))
    if (this.#turns === undefined || found === undefined) return undefined
    return new MachineTurns(this.#disk, found, this.#turns.network, this.#turns.now)
  }

  /** Linux shows locks to all: those who cannot take any see that the file is in use (`KernelLocks`). */
  #becomeVisible({ fd, dev }: OpenFile): void {
    const first = firstUserSlot(dev)
    try {
      for (let user = 0; user < userSlots; user++) if (this.#disk.lock(fd, first + user, 0)) return
    } catch {
      // They see the turns, at least, and note their claims for us.
    }
  }

  /** Whether others have the log that cannot take the lock, or do not see it. */
  #isTaken(state: LockState): boolean {
    return this.#isClaimed() || !this.#isThisMachine(state)
  }

  #isThisMachine(state: LockState): boolean {
    const machine = this.#machine
    const { file } = this.#state
    if (machine === undefined || machine === null || file === undefined) return true
    try {
      if (!machine.check(file)) {
        this.#obstacle = machine.obstacle
        return false
      }
      if (machine.tookOver) {
        // Each machine counts its devices for itself. Saved, so that what the other one left can still be repaired; and
        // read anew, as what was read before may be older than the last of its turns.
        Object.assign(state, this.#state.read(), { dev: file.dev })
        this.save(state)
      }
      return true
    } catch (error) {
      this.close()
      throw error
    }
  }

  #isClaimed(): boolean {
    const { claim } = this.#state
    if (claim === 0 || claim === this.#endedClaim) return false
    try {
      const owner = ownerOf(this.#disk, this.#claimFolder, this.#options)
      if (owner === undefined) this.#endedClaim = claim
      else this.#obstacle = describeOwner(owner, this.#claimFolder)
      return owner !== undefined
    } catch (error) {
      this.close()
      throw error
    }
  }

  #waitForOthers(waitMs: number): LockState | undefined {
    const untilMs = monotonicMs() + waitMs
    for (;;) {
      this.release()
      if (monotonicMs() >= untilMs) return undefined
      sleep(POLL_MS)
      const state = this.#lock(Math.max(0, untilMs - monotonicMs()))
      if (state === undefined || !this.#isTaken(state)) return state
    }
  }
}
