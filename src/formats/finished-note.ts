// Which files of a log the command of `onFinished` has dealt with: `.<name>.finished` beside a log with backups, `.finished`
// among the segments of a write-ahead log, `.<prefix>spool.finished` in the folder of a spool. Made, and shortened, as a whole
// by a rename; names are put behind it, and what a kill leaves of one is no name.
//
//   line 1   `logboom finished 1 <ms>`: so long a file is kept for its command, whatever the limits say
//   then     a name in each line, as JSON text: that of a backup without the suffix of its compression

export interface FinishedNote {
  readonly waitMs: number
  readonly done: Set<string>
}

const KIND = 'logboom finished '
const HEAD = /^logboom finished 1 (\d{1,15})$/

export function finishedNoteName(base: string): string {
  return `.${base}.finished`
}

export function encodeFinishedNote({ waitMs, done }: FinishedNote): string {
  const names = [...done].sort().map(encodeFinishedName)
  return `logboom finished 1 ${Math.floor(waitMs)}\n${names.join('')}`
}

export function encodeFinishedName(name: string): string {
  return `${JSON.stringify(name)}\n`
}

/**
 * Whether `text` is that of a note, also of another version, or what a power cut leaves of one, a beginning or zeros: what is
 * neither is somebody else's.
 */
export function isFinishedNote(text: string): boolean {
  return text.startsWith(KIND) || KIND.startsWith(text) || text.startsWith('\0')
}

/** Undefined if `text` is no such note; names that cannot be read are left out, so that their command runs again. */
export function decodeFinishedNote(text: string): FinishedNote | undefined {
  const [head, ...lines] = text.split('\n')
  const match = HEAD.exec(head)
  if (match === null) return undefined
  const done = new Set<string>()
  for (const line of lines) {
    try {
      const name: unknown = JSON.parse(line)
      if (typeof name === 'string') done.add(name)
    } catch {
      // Not a line of ours.
    }
  }
  return { waitMs: Number(match[1]), done }
}
