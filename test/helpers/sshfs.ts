// The same folder mounted twice over SSH's file transfer, without network or ssh: as two machines would have it, with
// caches of their own and locks that the other one does not see. Needs root, sshfs and OpenSSH's sftp-server.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { atTestEnd } from './at-test-end.ts'
import { createFolder } from './folder.ts'
import { works } from './mount.ts'
import { until } from './until.ts'

const SERVER = [
  '/usr/lib/openssh/sftp-server',
  '/usr/libexec/openssh/sftp-server',
  '/usr/lib/ssh/sftp-server'
].find((path) => existsSync(path))

/** Why there is none here; undefined if there is. */
export const whyNoSshfs = reason()

function reason(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root'
  if (!existsSync('/dev/fuse')) return 'needs /dev/fuse'
  if (!works('sshfs', '--version')) return 'needs sshfs'
  if (SERVER === undefined) return "needs OpenSSH's sftp-server"
  return undefined
}

/** Gives the two folders, and the one behind them. */
export async function mountTwice(): Promise<{ behind: string; one: string; other: string }> {
  const folder = createFolder()
  const [behind, one, other] = ['behind', 'one', 'other'].map((name) => join(folder, name))
  for (const each of [behind, one, other]) mkdirSync(each)
  await mount(behind, one)
  await mount(behind, other)
  return { behind, one, other }
}

// The two are joined by the shell: through this process they would wait for it while it waits for a file.
const JOINED = 'mkfifo "$1" && "$2" < "$1" | exec sshfs -f -o passive ":$3" "$4" > "$1"'

async function mount(behind: string, at: string): Promise<void> {
  const shell = spawn('sh', ['-c', JOINED, 'sh', `${at}.fifo`, SERVER ?? '', behind, at], {
    stdio: 'ignore',
    detached: true
  })
  atTestEnd(() => {
    works('umount', '-l', at)
    if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL')
  })
  await until(() => works('findmnt', '--types', 'fuse.sshfs', '--mountpoint', at), { what: `${at} mounted` })
}
