// The lock of a log where the kernel's locks cannot be had: one thread of one process has the log as long as its sink is
// open. It notes its claim in the lock file, so that those who use kernel locks see it, and waits until they are not
// there, or at least out of the turn that they may have begun before.
import { monotonicMs } from '../../base/clock.ts'
import { sleep } from '../../base/sleep.ts'
import { firstUserSlot, type LockState, userSlots, writeSlot } from '../../formats/lock-file.ts'
import type { Disk } from '../../io/disk.ts'
import { lockedBytes } from '../../io/kernel-locks.ts'
import type { OpenFile, OpenOptions } from '../../io/open-file.ts'
import { whyNoAddon } from '../../native/index.ts'
import { Claim, describeOwner } from './claim.ts'
import type { Lock } from './lock.ts'
import { StateFile } from './state-file.ts'

const MAX_TURNS = 100
/** How often this thread looks while it waits. */
const POLL_MS = 5
/** Where the kernel does not show its locks, a turn that somebody may be in is given so much time to end. */
const TURN_MS = 20

/** What users of the kernel's locks are doing. */
type Others = 'none' | 'here' | 'unknown'

export class ClaimLock implements Lock {
  /** Claims of other machines are never taken over. */
  readonly tookOver = false
  readonly #claim: Claim
  readonly #state: StateFile
  /** Nobody is in a turn that began before the claim was noted. */
  #isClear = false
  #obstacle: string | undefined

  constructor(disk: Disk, logPath: string, options: OpenOptions) {
    this.#claim = new Claim(disk, logPath, options)
    this.#state = new StateFile(disk, logPath, options)
  }

  get path(): string {
    return this.#state.path
  }

  get obstacle(): string | undefined {
    return this.#obstacle
  }

  acquire(waitMs: number): LockState | undefined {
    this.#obstacle = undefined
    let untilMs: number | undefined
    for (;;) {
      const state = this.#enter()
      if (state !== undefined) return state
      const nowMs = monotonicMs()
      untilMs ??= nowMs + waitMs
      if (nowMs >= untilMs) {
        // Who has the log may need the descriptor to come to its end.
        if (!this.#claim.isHeld()) this.#state.close()
        return undefined
      }
      sleep(POLL_MS)
    }
  }

  save(state: LockState): void {
    this.#state.save(state)
  }

  release(): void {
    // Kept until the sink is closed: others could not tell when this one needs it again.
  }

  tryOther(slot: number): { release(): void } | undefined {
    if (!this.#isClear || !this.#claim.isHeld()) return undefined
    const { file } = this.#state
    if (file === undefined || lockedBytes(file.ino)?.includes(slot) === true) return undefined
    return { release: () => {} }
  }

  close(): void {
    this.#withdraw()
    this.#state.close()
  }

  #enter(): LockState | undefined {
    if (!this.#claim.isHeld()) {
      this.#isClear = false
      if (this.#othersIn(this.#inPlace()) === 'here') return this.#notNow()
      if (!this.#claim.take()) {
        const { owner } = this.#claim
        if (owner !== undefined) this.#obstacle = describeOwner(owner, this.#claim.folder)
        return undefined
      }
    }
    const file = this.#inPlace()
    const state = this.#state.read()
    if (this.#state.claim === this.#claim.token && this.#isClear) return state
    this.#state.noteClaim(this.#claim.token)
    const others = this.#othersIn(file)
    if (others === 'here') {
      this.#withdraw()
      return this.#notNow()
    }
    // A log that nobody has written yet has nobody in a turn.
    if (others === 'unknown' && state.pid !== 0) sleep(TURN_MS)
    this.#isClear = true
    // What was read before may be older than the last of their turns.
    return this.#state.read()
  }

  /** The lock file that others will open. */
  #inPlace(): OpenFile {
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      const file = this.#state.open()
      if (this.#state.isInPlace()) return file
      this.#state.close()
    }
    throw new Error(`${this.path} is replaced all the time`)
  }

  #othersIn({ ino, dev }: OpenFile): Others {
    const locked = lockedBytes(ino)
    if (locked === undefined) return 'unknown'
    const first = firstUserSlot(dev)
    const isUse = (slot: number): boolean => slot === writeSlot || (slot >= first && slot < first + userSlots)
    return locked.some(isUse) ? 'here' : 'none'
  }

  #notNow(): undefined {
    this.#obstacle = `in use by others, and without the native addon this process cannot share it with them (${whyNoAddon})`
    return undefined
  }

  #withdraw(): void {
    try {
      if (this.#state.file !== undefined && this.#claim.isHeld()) this.#state.noteClaim(0)
    } catch {
      // Who finds it looks whether its owner is still there.
    }
    this.#claim.release()
    this.#isClear = false
  }
}
