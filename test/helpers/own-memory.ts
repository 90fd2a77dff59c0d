// A process with a /dev/shm of its own, which may be small, full, read-only or none. Needs root and unshare(1).
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Runs what follows it after `setup`, a piece of shell, has made of /dev/shm what it likes; nobody else sees that. */
export function inOwnMemory(setup: string): string[] {
  return ['unshare', '-m', 'sh', '-c', `unset XDG_RUNTIME_DIR; ${setup}; exec "$0" "$@"`]
}

/** Of so many bytes, such as `4m`. */
export function ownMemory(size: string, more = ''): string[] {
  return inOwnMemory(`mount -t tmpfs -o size=${size} logboom-test /dev/shm || exit 9${more && `; ${more}`}`)
}

const [command, ...args] = ownMemory('1m')

export const canOwnMemory =
  existsSync('/proc/self/task') && spawnSync(command, [...args, 'true']).status === 0
