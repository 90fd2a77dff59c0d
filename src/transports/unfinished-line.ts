// Where the host does not cut lines (pipelines, several targets) a line may never end: a stage before may pass records on
// without line ends. Such a line is neither kept long nor left to grow, and records that follow one another are told apart.

const MAX_BYTES = 1024 * 1024
const MAX_MS = 1_000
const NEWLINE = 10
const OPENING = 123
const CLOSING = 125

export interface UnfinishedLineHost {
  /** Ends the line where it is, and writes it. */
  finish(): void
  /** Called once: it was ended by us. */
  warn(): void
}

export class UnfinishedLine {
  readonly #host: UnfinishedLineHost
  #bytes = 0
  /** The last character, in UTF-16 units or bytes. */
  #last = NEWLINE
  #hasSeenEnd = false
  #hasWarned = false
  #timer: NodeJS.Timeout | undefined

  constructor(host: UnfinishedLineHost) {
    this.#host = host
  }

  /**
   * Whether a line end is missing before `chunk`: a JSON object follows another one, and never was there a line end. In a
   * stream of lines that was cut anywhere there would have been one by then.
   */
  isMissingBefore(chunk: string | Uint8Array): boolean {
    const isMissing = !this.#hasSeenEnd && this.#last === CLOSING && unitAt(chunk, 0) === OPENING
    if (isMissing) this.#warn()
    return isMissing
  }

  /** To be called with what was written. */
  wrote(chunk: string | Uint8Array): void {
    if (chunk.length === 0) return
    this.#last = unitAt(chunk, chunk.length - 1)
    const end = typeof chunk === 'string' ? chunk.lastIndexOf('\n') : chunk.lastIndexOf(NEWLINE)
    if (end !== -1) {
      this.#hasSeenEnd = true
      this.clear()
    }
    this.#bytes += chunk.length - end - 1
    if (this.#bytes === 0) return
    if (this.#bytes >= MAX_BYTES) this.#finish()
    // Not begun anew with every chunk, which may come for ever.
    else this.#timer ??= setTimeout(() => this.#finish(), MAX_MS).unref()
  }

  /** The line was ended, or nothing will come. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#bytes = 0
  }

  #finish(): void {
    this.clear()
    this.#last = NEWLINE
    this.#warn()
    this.#host.finish()
  }

  #warn(): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#host.warn()
  }
}

function unitAt(chunk: string | Uint8Array, index: number): number {
  return typeof chunk === 'string' ? chunk.charCodeAt(index) : chunk[index]
}
