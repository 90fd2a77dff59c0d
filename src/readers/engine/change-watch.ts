// Waits until a file may have changed: by notification where the system gives it, by looking again otherwise.
import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

// Notifications can be missing (network folders, too many watches, a folder that is not there yet).
const POLL_MS = 100
// A busy log changes thousands of times per second; looking this often is enough.
const PAUSE_MS = 10

/** Waits for changes of the file at `path`, which need not exist. */
export class ChangeWatch {
  readonly #folder: string
  readonly #name: string
  readonly #signal: AbortSignal
  #watcher: FSWatcher | undefined
  #changed = false
  #wake: (() => void) | undefined

  constructor(path: string, signal: AbortSignal) {
    this.#folder = dirname(path)
    this.#name = basename(path)
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort)
  }

  /** Resolves when the file may have changed since the last call, when the signal aborts, or after 100 ms. */
  async wait(): Promise<void> {
    this.#watch()
    await this.#sleep(PAUSE_MS)
    if (!this.#changed) await this.#sleep(POLL_MS - PAUSE_MS, true)
    this.#changed = false
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#unwatch()
  }

  readonly #onAbort = (): void => {
    this.#changed = true
    this.#wake?.()
  }

  // The folder, not the file: a watch of the file would follow it when it is renamed.
  #watch(): void {
    if (this.#watcher !== undefined) return
    try {
      this.#watcher = watch(this.#folder, (_event, name) => {
        if (name !== null && name !== this.#name) return
        this.#changed = true
        this.#wake?.()
      })
      this.#watcher.on('error', () => this.#unwatch())
    } catch {
      // Not there yet, or no watches left: polling alone serves.
    }
  }

  #unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }

  async #sleep(ms: number, wakeable = false): Promise<void> {
    if (this.#signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        if (!wakeable && !this.#signal.aborted) return
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = undefined
  }
}
