// Where the outputs for one device are written: a thread, and more of them only where one dies again and again and nobody
// knows of which output.
import type { ToThread } from './protocol.ts'
import { type PoolOutput, ThreadHost, type ThreadTeam } from './thread-host.ts'

const RING_LENGTH = 64 * 1024
/** Without outputs the thread ends after that, so that the next one need not wait for a new thread. */
const IDLE_MS = 1_000
/** Where more would be needed, a thread's outputs fail together. */
const MAX_THREADS = 12

export class PoolWorker implements ThreadTeam {
  readonly #retired: () => void
  readonly #hosts: ThreadHost[] = []
  #holds = 0
  #idle: NodeJS.Timeout | undefined
  /** Of what has come since the bell was rung last, in UTF-16 units. */
  #unrungLength = 0
  #ringsSoon = false
  readonly #ringLater = (): void => {
    this.#ringsSoon = false
    this.#ring()
  }

  /**
   * `retired` is called when the last thread ends: because there were no outputs for a while, or it cannot live. Throws where
   * there can be no thread.
   */
  constructor(retired: () => void) {
    this.#retired = retired
    this.#addHost([], 0).start()
  }

  get size(): number {
    return this.#hosts.reduce((sum, { size }) => sum + size, 0)
  }

  get isHeld(): boolean {
    return this.#holds > 0
  }

  /**
   * There is something new, `length` long. Whoever rings may lose the processor to the thread it wakes, so that is done
   * when this turn of the event loop is over, or when much has come together.
   */
  ringSoon(length: number): void {
    this.#unrungLength += length
    if (this.#unrungLength >= RING_LENGTH) this.#ring()
    else if (!this.#ringsSoon) {
      this.#ringsSoon = true
      setImmediate(this.#ringLater)
    }
  }

  #ring(): void {
    this.#unrungLength = 0
    for (const host of this.#hosts) host.ring()
  }

  /** Somebody waits for what is new. */
  ringNow(): void {
    for (const host of this.#hosts) host.ringNow()
  }

  add(output: PoolOutput): void {
    clearTimeout(this.#idle)
    // Only one that has retired has none.
    this.#hosts[0]?.add(output)
  }

  remove({ id }: PoolOutput): void {
    const host = this.#hostOf(id)
    host?.remove(id)
    if (host?.size === 0 && this.#hosts.length > 1) host.quit()
    else if (host?.size === 0) this.#idle = setTimeout(() => this.#quit(), IDLE_MS).unref()
  }

  post(message: Exclude<ToThread, { type: 'quit' }>): void {
    this.#hostOf(message.id)?.post(message)
  }

  /** Keeps the process alive while somebody waits for the thread. */
  hold(): void {
    if (this.#holds++ === 0) for (const host of this.#hosts) host.hold()
  }

  letGo(): void {
    if (--this.#holds === 0) for (const host of this.#hosts) host.hold()
  }

  /** Takes in what was said, without waiting for a turn of the event loop. */
  receiveNow(): void {
    for (const host of [...this.#hosts]) host.receiveNow()
  }

  divide(outputs: readonly PoolOutput[], deaths: number): boolean {
    if (this.#hosts.length >= MAX_THREADS) return false
    this.#addHost(outputs, deaths).restart()
    return true
  }

  gone(host: ThreadHost): void {
    const at = this.#hosts.indexOf(host)
    if (at !== -1) this.#hosts.splice(at, 1)
    if (this.#hosts.length === 0) this.#retired()
  }

  #addHost(outputs: readonly PoolOutput[], deaths: number): ThreadHost {
    const host = new ThreadHost(this, outputs, deaths)
    this.#hosts.push(host)
    return host
  }

  #hostOf(id: number): ThreadHost | undefined {
    return this.#hosts.find((host) => host.has(id))
  }

  #quit(): void {
    if (this.size > 0) return
    for (const host of [...this.#hosts]) host.quit()
  }
}
