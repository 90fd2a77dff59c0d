// File systems of their own for tests that fill or break them. Needs root; `canMount` is for `test.skipIf`.
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sleep as sleepSync } from '../../src/base/sleep.ts'
import { atTestEnd } from './at-test-end.ts'

/** Runs a command and gives what it printed; throws if it fails. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' }).trim()
}

/** Mounts something on a new folder and gives the folder, or on `folder` itself. */
function mount(how: (target: string) => void, folder?: string): string {
  const target = folder ?? mkdtempSync(join(tmpdir(), 'logboom-mount-'))
  how(target)
  atTestEnd(() => {
    run('umount', '-l', target)
    if (folder === undefined) rmSync(target, { recursive: true, force: true })
  })
  return target
}

/** Whether the command can be run, and succeeds. */
export function works(command: string, ...args: string[]): boolean {
  try {
    run(command, ...args)
    return true
  } catch {
    return false
  }
}

export type LoopKind = 'ext4' | 'xfs'

/** Why root cannot make a file system of this kind on a loop device here, or undefined. */
export function loopUnavailable(kind: LoopKind): string | undefined {
  if (!works(`mkfs.${kind}`, '-V')) return `needs mkfs.${kind}`
  return works('losetup', '-f') ? undefined : 'needs loop devices'
}

export const canMount = isMountable()

function isMountable(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'logboom-mount-'))
  try {
    return (
      works('mount', '-t', 'tmpfs', 'none', folder) && works('umount', folder) && works('mkfs.ext4', '-V')
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export function mountTmpfs(size: string, folder?: string): string {
  return mount((target) => run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'none', target), folder)
}

/**
 * Mounts an image. Two that look for a free loop device at the same moment may find the same one, and one of them is told
 * that it is busy: it looks again.
 */
export function mountImage(image: string, folder: string, options = 'loop'): void {
  for (let turn = 1; ; turn++) {
    try {
      run('mount', '-o', options, image, folder)
      return
    } catch (error) {
      if (turn === 20 || !/loop device|busy/i.test(String((error as { stderr?: unknown }).stderr)))
        throw error
      sleepSync(turn * 10)
    }
  }
}

/** An ext4 file system on a loop device; gives folder and device name. */
export function mountExt4(
  mkfsOptions: string[],
  bytes = 16 * 1024 * 1024
): { folder: string; device: string } {
  const image = join(mkdtempSync(join(tmpdir(), 'logboom-image-')), 'image')
  atTestEnd(() => rmSync(join(image, '..'), { recursive: true, force: true }))
  writeFileSync(image, '')
  truncateSync(image, bytes)
  run('mkfs.ext4', '-q', '-m', '0', ...mkfsOptions, image)
  const folder = mount((target) => mountImage(image, target, 'loop,errors=remount-ro'))
  return { folder, device: run('findmnt', '-no', 'SOURCE', folder).replace('/dev/', '') }
}

/** Makes the file system of `folder` full; the result makes space again. */
export function fill(folder: string): () => void {
  const path = join(folder, 'filler')
  const fd = openSync(path, 'w')
  let size = 1024 * 1024
  while (size > 0) {
    try {
      writeSync(fd, Buffer.alloc(size))
    } catch {
      size = Math.floor(size / 2)
    }
  }
  closeSync(fd)
  return () => unlinkSync(path)
}

/** Uses up all inodes; the result frees them. */
export function fillInodes(folder: string): () => void {
  try {
    for (let i = 0; ; i++) writeFileSync(join(folder, `inode-${i}`), '')
  } catch {
    // Full.
  }
  return () => {
    for (const name of readdirSync(folder)) if (name.startsWith('inode-')) unlinkSync(join(folder, name))
  }
}
