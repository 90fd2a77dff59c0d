// The terminal of `logboom top`: its alternate screen, and the keys. Everything is as before when it ends.

export interface Screen {
  readonly columns: number
  readonly rows: number
  /** Replaces what is shown, without clearing it first, so nothing flickers. */
  show(lines: readonly string[]): void
  close(): void
}

const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24
const CONTROL_C = '\x03'

/** `onKey` gets each key; `onChange` is called when the size has changed. */
export function openScreen(onKey: (key: string) => void, onChange: () => void): Screen {
  const { stdin, stdout } = process
  const listen = (keys: Buffer): void => {
    for (const key of keys.toString()) onKey(key === CONTROL_C ? 'q' : key)
  }
  stdout.write('\x1b[?1049h\x1b[?25l\x1b[2J')
  stdout.on('resize', onChange)
  if (stdin.isTTY) {
    stdin.setRawMode(true)
    stdin.on('data', listen)
  }
  return {
    get columns() {
      return stdout.columns || DEFAULT_COLUMNS
    },
    get rows() {
      return stdout.rows || DEFAULT_ROWS
    },
    show(lines) {
      stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`)
    },
    close() {
      stdout.off('resize', onChange)
      if (stdin.isTTY) {
        stdin.off('data', listen)
        stdin.setRawMode(false)
        stdin.pause()
      }
      stdout.write('\x1b[?25h\x1b[?1049l')
    }
  }
}
