// Who has files open to write to them, as far as the kernel tells: Linux, and processes this one may look at.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename } from 'node:path'

export interface Opener {
  readonly pid: number
  /** Its program. */
  readonly command: string
  /** The files, by their names in the folder. */
  readonly names: readonly string[]
}

export interface Openers {
  readonly found: readonly Opener[]
  /** Processes that could not be looked at. */
  readonly hidden: number
}

const ACCESS_MODE = 0o3

/**
 * The processes that have one of `files` (identity → name) open to write; undefined where the system does not tell. A
 * process that has the file named `lockFile` open is a writer of ours, which may have `log` open.
 */
export function openersOf(
  files: ReadonlyMap<string, string>,
  log: string,
  lockFile: string
): Openers | undefined {
  if (process.platform !== 'linux') return undefined
  const found: Opener[] = []
  let hidden = 0
  const names = new Set(files.values())
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue
    const open = openFiles(pid)
    if (open === undefined) {
      hidden++
      continue
    }
    const isOurs = open.some(({ name }) => name === lockFile)
    const written = open
      .filter(({ name, fd }) => names.has(name) && isWritten(pid, fd, files))
      .map(({ name }) => name)
      .filter((name) => !(isOurs && name === log))
    if (written.length > 0) {
      found.push({ pid: Number(pid), command: commandOf(pid), names: [...new Set(written)] })
    }
  }
  return { found, hidden }
}

/** What a file is, whatever its name. */
export function identityOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev} ${ino}`
}

/** Undefined if it belongs to somebody else, who does not show it; nothing if it has ended. */
function openFiles(pid: string): { fd: string; name: string }[] | undefined {
  let descriptors: string[]
  try {
    descriptors = readdirSync(`/proc/${pid}/fd`)
  } catch (error) {
    return (error as { code?: string }).code === 'EACCES' ? undefined : []
  }
  return descriptors.flatMap((fd) => {
    try {
      // Another container sees the folder by another path, but its files by the same names.
      return [{ fd, name: basename(readlinkSync(`/proc/${pid}/fd/${fd}`)) }]
    } catch {
      // Closed meanwhile.
      return []
    }
  })
}

function isWritten(pid: string, fd: string, files: ReadonlyMap<string, string>): boolean {
  try {
    if (!files.has(identityOf(statSync(`/proc/${pid}/fd/${fd}`, { bigint: true })))) return false
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))?.[1]
    return flags === undefined || (Number.parseInt(flags, 8) & ACCESS_MODE) !== 0
  } catch {
    return false
  }
}

function commandOf(pid: string): string {
  try {
    const [program, script] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return [basename(program), script].filter((part) => part !== undefined && part !== '').join(' ')
  } catch {
    return '?'
  }
}
