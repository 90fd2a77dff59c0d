// The space that is reserved on disk behind the end of a direct file, so that a write need not wait for it.
import { errorMessage } from '../../../base/errors.ts'
import type { Disk } from '../../../io/disk.ts'

export class Reserve {
  readonly #disk: Disk
  readonly #path: string
  /** 0 for none. */
  readonly #stepBytes: number
  readonly #warn: (message: string) => void
  #end = 0
  #warned = false

  constructor(disk: Disk, path: string, stepBytes: number, warn: (message: string) => void) {
    this.#disk = disk
    this.#path = path
    this.#stepBytes = stepBytes
    this.#warn = warn
  }

  /** Up to where there is space: behind the end of the file, or at it. */
  get end(): number {
    return this.#end
  }

  /** The file ends at `size`, with nothing behind it. */
  cut(size: number): void {
    this.#end = size
  }

  /** Reserves the next step if the file of `size` bytes has used up the last. That it cannot is said once. */
  extend(fd: number, size: number): void {
    if (this.#stepBytes === 0 || size < this.#end) return
    this.#end = size
    try {
      if (this.#disk.preallocate(fd, size, this.#stepBytes)) this.#end = size + this.#stepBytes
      else this.#sayOnce(`${this.#path}: space cannot be reserved on this file system`)
    } catch (error) {
      this.#sayOnce(`${this.#path}: cannot reserve ${this.#stepBytes} bytes: ${errorMessage(error)}`)
    }
  }

  #sayOnce(message: string): void {
    if (this.#warned) return
    this.#warned = true
    this.#warn(message)
  }
}
