// One machine at a time has a log that several have mounted: their views of it are seconds apart, so that turns taken one
// after the other would still overwrite each other. It notes itself in the lock file and counts on every few seconds. Others
// take over when nothing has come from there for longer than any view of a file lives.
import { constants } from 'node:fs'
import { hostname } from 'node:os'
import { monotonicMs } from '../../base/clock.ts'
import { lockFileBytes, lockFileHead } from '../../formats/lock-file.ts'
import {
  decodeMachineNote,
  encodeMachineNote,
  type MachineNote,
  machineNoteAt,
  machineNoteBytes
} from '../../formats/machine-note.ts'
import type { Disk } from '../../io/disk.ts'
import type { NetworkFileSystem } from '../../io/file-system.ts'
import type { Network } from '../../io/network.ts'
import { cannotSync, type OpenFile } from '../../io/open-file.ts'

const SAFE = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK

export class MachineTurns {
  readonly #disk: Disk
  readonly #fileSystem: NetworkFileSystem
  readonly #network: Network
  readonly #wallMs: () => number
  #beatAtMs = Number.NEGATIVE_INFINITY
  #beatWallMs = 0
  #takenAtMs: number | undefined
  #seen: { token: bigint; beat: number; sinceMs: number } | undefined
  #tookOver = false
  #obstacle: string | undefined

  constructor(disk: Disk, fileSystem: NetworkFileSystem, network: Network, wallMs: () => number) {
    this.#disk = disk
    this.#fileSystem = fileSystem
    this.#network = network
    this.#wallMs = wallMs
  }

  /** Why `check` said no. */
  get obstacle(): string | undefined {
    return this.#obstacle
  }

  /** Whether the last `check` found that another machine had the log before: then nothing seen of it before is true. */
  get tookOver(): boolean {
    return this.#tookOver
  }

  /** Whether this machine has the log. Called with the lock held; `file` is the lock file. */
  check(file: OpenFile): boolean {
    this.#obstacle = undefined
    this.#tookOver = false
    if (this.isFresh()) return true
    const mine = this.#network.token(file.dev)
    const note = this.#read(file)
    if (note.token === mine) return this.#goOn(file, note)
    this.#beatAtMs = Number.NEGATIVE_INFINITY
    if (note.token !== 0n && !this.#isSilent(note)) return false
    this.#seen = undefined
    // Where locks reach, nobody else can be here.
    const isSure = this.#fileSystem.locksReach
    this.#write(file, { token: mine, beat: isSure ? 1 : 0, name: hostname() })
    this.#tookOver = note.token !== 0n
    this.#takenAtMs = isSure ? undefined : monotonicMs()
    if (!isSure) this.#obstacle = 'others that may be taking it over at this moment are waited for'
    return isSure
  }

  /** Whether it was noted so short a time ago that nobody can have taken over. */
  isFresh(): boolean {
    // The monotonic clock stands still while a machine sleeps; the wall clock may be set.
    const { beatMs } = this.#network
    const wallMs = this.#wallMs() - this.#beatWallMs
    return monotonicMs() - this.#beatAtMs < beatMs && wallMs >= 0 && wallMs < beatMs
  }

  /** Whether this machine has the log, for work beside the turns; counts on, so that it keeps it meanwhile. */
  keep(file: OpenFile): boolean {
    const note = this.#read(file)
    if (note.token !== this.#network.token(file.dev) || note.beat === 0) return false
    this.#write(file, { ...note, beat: (note.beat + 1) >>> 0 || 1 })
    return true
  }

  /** Does so from now on, as long as the work takes; gives the end of it. */
  keepOn(file: OpenFile): () => void {
    const timer = setInterval(() => {
      try {
        this.keep(file)
      } catch {
        // It is tried again long before another machine takes over.
      }
    }, this.#network.beatMs).unref()
    return () => clearInterval(timer)
  }

  #goOn(file: OpenFile, note: MachineNote): boolean {
    const nowMs = monotonicMs()
    if (note.beat === 0) {
      // Taken by this machine a moment ago, perhaps by another process of it.
      this.#takenAtMs ??= nowMs
      if (nowMs - this.#takenAtMs < this.#network.settleMs) {
        this.#obstacle = 'others that may be taking it over at this moment are waited for'
        return false
      }
      this.#tookOver = true
    }
    this.#takenAtMs = undefined
    this.#write(file, { ...note, beat: (note.beat + 1) >>> 0 || 1 })
    this.#beatAtMs = nowMs
    this.#beatWallMs = this.#wallMs()
    return true
  }

  /** Whether nothing has come from the machine that has the log for long enough; what was seen is remembered. */
  #isSilent({ token, beat, name }: MachineNote): boolean {
    const nowMs = monotonicMs()
    if (this.#seen?.token !== token || this.#seen.beat !== beat) {
      this.#seen = { token, beat, sinceMs: nowMs }
    }
    if (nowMs - this.#seen.sinceMs >= this.#network.silenceMs) return true
    const seconds = Math.ceil(this.#network.silenceMs / 1000)
    this.#obstacle = `in use by another machine (${name}) over a file system of a network (${this.#fileSystem.type}); it is taken over when nothing has come from there for ${seconds} s`
    return false
  }

  // By a descriptor of its own: file systems that keep no promise else show at an open(2) what was closed before.
  #read(file: OpenFile): MachineNote {
    return this.#withFile(file, (fd) => {
      const bytes = Buffer.alloc(machineNoteBytes)
      const length = this.#disk.read(fd, bytes, 0, machineNoteBytes, machineNoteAt)
      return decodeMachineNote(bytes.subarray(0, length))
    })
  }

  #write(file: OpenFile, note: MachineNote): void {
    this.#withFile(file, (fd) => {
      // A new file that begins with zeros would not be taken for a lock file.
      if (this.#disk.fstat(fd).size < lockFileBytes) {
        this.#disk.write(fd, lockFileHead, 0, lockFileHead.length, 0)
      }
      const bytes = encodeMachineNote(note)
      const written = this.#disk.write(fd, bytes, 0, bytes.length, machineNoteAt)
      if (written !== bytes.length) {
        throw Object.assign(new Error(`ENOSPC: note of this machine in ${file.path}`), { code: 'ENOSPC' })
      }
      try {
        this.#disk.fdatasync(fd)
      } catch (error) {
        if (!cannotSync(error)) throw error
      }
    })
  }

  #withFile<T>(file: OpenFile, use: (fd: number) => T): T {
    const fd = this.#disk.open(file.path, SAFE, 0)
    try {
      return use(fd)
    } finally {
      this.#disk.close(fd)
    }
  }
}
