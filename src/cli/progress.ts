// A progress bar on stderr, for work that takes long and only if somebody looks: stderr is a terminal and stdout
// is not.
import { monotonicMs } from '../base/clock.ts'
import { formatBytes } from './units.ts'

const BAR_WIDTH = 30
const FIRST_AFTER_MS = 700
const INTERVAL_MS = 100

export class Progress {
  readonly #total: number
  readonly #startedAtMs = monotonicMs()
  #done = 0
  #shownAtMs = 0

  /** `total` in bytes. */
  constructor(total: number) {
    this.#total = total
  }

  static isWanted(writesToStdout: boolean): boolean {
    return process.stderr.isTTY === true && !(writesToStdout && process.stdout.isTTY === true)
  }

  add(bytes: number): void {
    this.#done += bytes
    const now = monotonicMs()
    if (now - this.#startedAtMs < FIRST_AFTER_MS || now - this.#shownAtMs < INTERVAL_MS) return
    this.#shownAtMs = now
    process.stderr.write(`\r\x1b[K${this.#text((now - this.#startedAtMs) / 1000)}`)
  }

  /** Removes the bar. */
  end(): void {
    if (this.#shownAtMs > 0) process.stderr.write('\r\x1b[K')
    this.#shownAtMs = 0
  }

  #text(seconds: number): string {
    const share = this.#total === 0 ? 1 : Math.min(1, this.#done / this.#total)
    const filled = Math.round(share * BAR_WIDTH)
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled)
    const percent = `${Math.floor(share * 100)} %`.padStart(5)
    const amount = `${formatBytes(this.#done)} of ${formatBytes(this.#total)}`
    return `${bar} ${percent}  ${amount}  ${formatBytes(this.#done / seconds)}/s`
  }
}
