// Claims: where the kernel's locks cannot be had, the thread that writes a log has a file of its own in the folder
// `.<name>.claim`. The file is empty; its name says who made it, so that a claim is whole from the moment it is there:
//
//   <process id>-<thread>-<start>-<machine>-<space>-<token>
//
//   thread   Linux: the kernel's number of the thread; elsewhere that of worker_threads
//   start    Linux: when the thread was started, in ticks since the machine was; elsewhere the process, ms since 1970
//   machine  8 hex digits: the start of the machine; elsewhere its kind and name
//   space    8 hex digits: the namespaces in which process ids and ticks are counted; `none` elsewhere
//   token    12 hex digits that no other claim has; never 0
export interface Owner {
  readonly pid: number
  readonly thread: number
  readonly start: number
  readonly machine: string
  readonly space: string
}

export interface Claim extends Owner {
  readonly token: number
}

/** Of an owner on a system that does not tell when threads started. */
export const NO_SPACE = 'none'

const TOKEN_BYTES = 6
const NAME = /^(\d{1,10})-(\d{1,10})-(\d{1,15})-([0-9a-f]{8})-([0-9a-f]{8}|none)-([0-9a-f]{12})$/

export function claimFolderName(base: string): string {
  return `.${base}.claim`
}

export function encodeClaim({ pid, thread, start, machine, space, token }: Claim): string {
  return `${pid}-${thread}-${start}-${machine}-${space}-${encodeToken(token)}`
}

/** Also the name of the socket beside the claim, at which its owner listens as long as it lives. */
export function encodeToken(token: number): string {
  return token.toString(16).padStart(2 * TOKEN_BYTES, '0')
}

/** Undefined for any other name. */
export function decodeClaim(name: string): Claim | undefined {
  const match = NAME.exec(name)
  if (match === null) return undefined
  const [, pid, thread, start, machine, space, token] = match
  const claim = { pid: Number(pid), thread: Number(thread), start: Number(start), machine, space }
  const number = Number.parseInt(token, 16)
  return claim.pid === 0 || number === 0 ? undefined : { ...claim, token: number }
}
