// File systems on loop devices whose power can be cut while somebody writes: what is not durable is gone.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type LoopKind, loopUnavailable, works } from './mount.ts'

const source = fileURLToPath(new URL('shutdown.c', import.meta.url))

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

const kinds: Record<LoopKind, { make: string[]; bytes: number }> = {
  ext4: { make: ['mkfs.ext4', '-q', '-F'], bytes: 256 << 20 },
  xfs: { make: ['mkfs.xfs', '-q', '-f'], bytes: 512 << 20 }
}

/** Why power cannot be cut here, or undefined. */
export function powerUnavailable(kind: LoopKind): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root'
  if (!works('cc', '--version')) return 'needs a C compiler'
  return loopUnavailable(kind)
}

export interface PoweredDisk {
  readonly folder: string
  /** Everything that is not durable is lost, and every call fails until `on`. */
  cut(): void
  /** Mounts again, as after a restart. */
  on(): void
}

export function createPoweredDisk(kind: LoopKind): PoweredDisk {
  const root = mkdtempSync(join(tmpdir(), 'logboom-power-'))
  const image = join(root, 'image')
  const folder = join(root, 'mount')
  const helper = join(root, 'shutdown')
  run('cc', '-O1', '-o', helper, source)
  writeFileSync(image, '')
  truncateSync(image, kinds[kind].bytes)
  const [make, ...args] = kinds[kind].make
  run(make, ...args, image)
  run('mkdir', folder)
  const on = (): void => run('mount', '-o', 'loop', image, folder)
  on()
  onTestFinished(() => {
    works('umount', '-l', folder)
    rmSync(root, { recursive: true, force: true })
  })
  return {
    folder,
    cut: () => run(helper, folder),
    on: () => {
      run('umount', folder)
      on()
    }
  }
}
