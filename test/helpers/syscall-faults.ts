// Lets the n-th system call of a process on a folder fail, by a library that is loaded into it (syscall-faults.c).
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { atTestEnd } from './at-test-end.ts'
import { run, works } from './mount.ts'

const source = fileURLToPath(new URL('syscall-faults.c', import.meta.url))

/** In the order of the library. */
export const calls = [
  'open',
  'write',
  'sync',
  'rename',
  'truncate',
  'allocate',
  'unlink',
  'link',
  'mkdir'
] as const
export type Call = (typeof calls)[number]
/** An error of the system; `SHORT`: a write takes half of its bytes. */
export type CallFault = 'EIO' | 'ENOSPC' | 'EINTR' | 'EMFILE' | 'EACCES' | 'SHORT'

const FIELDS = 5
const HITS = 4
const NONE = -1

/** Why there is no such library here, or undefined. */
export function callFaultsUnavailable(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux'
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  if (header.glibcVersionRuntime === undefined) return 'needs glibc'
  return works('cc', '--version') ? undefined : 'needs a C compiler'
}

/** Builds the library; one for all tests of a file. */
export function buildCallFaults(): { library: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), 'logboom-calls-'))
  const library = join(root, 'faults.so')
  run('cc', '-std=gnu11', '-O1', '-shared', '-fPIC', '-o', library, source, '-ldl')
  return { library, remove: () => rmSync(root, { recursive: true, force: true }) }
}

/** The rule that processes with `env` follow for what they do in `folder`. */
export class CallFaults {
  readonly env: Record<string, string>
  readonly #fd: number

  constructor(library: string, folder: string) {
    const root = mkdtempSync(join(tmpdir(), 'logboom-calls-'))
    const state = join(root, 'state')
    writeFileSync(state, Buffer.alloc((FIELDS + calls.length) * 4))
    this.#fd = openSync(state, 'r+')
    this.heal()
    this.env = { LD_PRELOAD: library, FAULTS_STATE: state, FAULTS_FOLDER: folder }
    atTestEnd(() => {
      closeSync(this.#fd)
      rmSync(root, { recursive: true, force: true })
    })
  }

  /** Lets the calls from number `from` on fail, `times` of them. */
  fail(call: Call, fault: CallFault, from: number, times: number): void {
    const errno = fault === 'SHORT' ? 0 : constants.errno[fault]
    this.#put([calls.indexOf(call), from, Math.min(from + times, 2 ** 31 - 1), errno])
  }

  /** Nothing fails any more. */
  heal(): void {
    this.#put([NONE])
  }

  get hits(): number {
    return this.#read()[HITS]
  }

  /** How often each call was made. */
  get made(): ReadonlyMap<Call, number> {
    const words = this.#read()
    return new Map(calls.map((call, index) => [call, words[FIELDS + index]]))
  }

  #put(words: number[]): void {
    writeSync(this.#fd, Buffer.from(Int32Array.from(words).buffer), 0, words.length * 4, 0)
  }

  #read(): Int32Array {
    const words = new Int32Array(FIELDS + calls.length)
    readSync(this.#fd, Buffer.from(words.buffer), 0, words.byteLength, 0)
    return words
  }
}
