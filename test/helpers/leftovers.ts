// What a test file has left when it ends: files, lanes that nobody will take over, and processes. There should be nothing.
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ownFolders } from './run-folders.ts'

/** How long a process that was killed may take to be gone, and what others clear away in the background to be cleared. */
const PATIENCE_MS = 3_000
const POLL_MS = 20
/** Where lanes are unless a test says where: one folder for all logs of a user. */
const LANES = '/dev/shm'
const HEADER_BYTES = 4096

const own = [ownFolders.temporary, ownFolders.memory].filter((folder) => folder !== undefined)

/** Says what is left after `patienceMs`, and removes it. */
export async function clearLeftovers(patienceMs = PATIENCE_MS): Promise<string[]> {
  let found = findLeftovers()
  for (const start = performance.now(); found.length > 0 && performance.now() - start < patienceMs; ) {
    await delay(POLL_MS)
    found = findLeftovers()
  }
  for (const pid of ownProcesses()) process.kill(pid, 'SIGKILL')
  removeLanes(own)
  for (const path of ownFiles()) rmSync(path, { recursive: true, force: true })
  return found
}

function findLeftovers(): string[] {
  const processes = ownProcesses().map((pid) => `process ${pid}: ${commandOf(pid)}`)
  return [...ownFiles(), ...lanesOf(own), ...processes]
}

function ownFiles(): string[] {
  return own.flatMap((folder) => lists(folder).map((name) => join(folder, name)))
}

/** Removes the lanes of logs in these folders: what a test that kills a writer has to do when it ends. */
export function removeLanes(folders: readonly string[]): void {
  for (const path of lanesOf(folders)) rmSync(path, { force: true })
}

/** The rings of logs in these folders, and the files of their owners. */
function lanesOf(folders: readonly string[]): string[] {
  return lists(LANES)
    .filter((name) => /^logboom-\d+$/.test(name))
    .flatMap((name) => {
      const folder = join(LANES, name)
      const rings = lists(folder).filter(
        (file) => file.endsWith('.ring') && isOf(join(folder, file), folders)
      )
      const owners = rings.map((ring) => `${/\.([0-9a-f]+)-\d+\.ring$/.exec(ring)?.[1]}.owner`)
      return [...new Set([...rings, ...owners])].map((file) => join(folder, file))
    })
}

/** The header of a ring tells the path of its log. */
function isOf(ring: string, folders: readonly string[]): boolean {
  try {
    const fd = openSync(ring, 'r')
    try {
      const header = Buffer.alloc(HEADER_BYTES)
      readSync(fd, header, 0, HEADER_BYTES, 0)
      return folders.some((folder) => header.includes(`"${folder}/`))
    } finally {
      closeSync(fd)
    }
  } catch {
    // It has gone meanwhile, or is somebody else's.
    return false
  }
}

/** What was started from here has the folder of this test file in its environment. */
function ownProcesses(): number[] {
  return lists('/proc')
    .map(Number)
    .filter((pid) => {
      if (!Number.isInteger(pid)) return false
      try {
        return readFileSync(`/proc/${pid}/environ`).includes(`=${ownFolders.temporary}\0`)
      } catch {
        return false
      }
    })
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 300)
  } catch {
    return 'gone meanwhile'
  }
}

function lists(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
