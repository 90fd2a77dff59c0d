// What is known of other machines that have a file system mounted, and how long they are waited for.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { type NetworkFileSystem, networkFileSystem } from './file-system.ts'

/** What tests replace. */
export interface Network {
  /** The file system of a folder, if other machines may have mounted it. */
  readonly find: (folder: string) => NetworkFileSystem | undefined
  /** What tells this machine, and its mount of device `dev`, from others. */
  readonly token: (dev: bigint) => bigint
  /** A machine that has not counted on for so long has the log no more. */
  readonly silenceMs: number
  /** Who takes a log waits so long for others that do the same, where locks do not keep them apart. */
  readonly settleMs: number
  /** How often a machine that writes counts on. */
  readonly beatMs: number
}

export const network: Network = {
  find: networkFileSystem,
  token: tokenOf,
  silenceMs: 60_000,
  settleMs: 2_000,
  beatMs: 5_000
}

/** Those that share their locks, if these do not reach others, are under one kernel and in one mount. */
function tokenOf(dev: bigint): bigint {
  const hash = createHash('sha256').update(`${kernel()} ${dev}`).digest()
  return hash.readBigUInt64LE(0) || 1n
}

function kernel(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')
  } catch {
    return hostname()
  }
}
