// File systems on loop devices whose power can be cut while somebody writes: what is not durable is gone.
import { mkdtempSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { atTestEnd } from './at-test-end.ts'
import { type LoopKind, loopUnavailable, mountImage, run, works } from './mount.ts'

const source = fileURLToPath(new URL('shutdown.c', import.meta.url))

const kinds: Record<LoopKind, { force: string; bytes: number; mount: string }> = {
  ext4: { force: '-F', bytes: 256 << 20, mount: 'loop' },
  // XFS mounts no copy of what is still mounted unless it is told not to look.
  xfs: { force: '-f', bytes: 512 << 20, mount: 'loop,nouuid' }
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
  let image = join(root, 'image')
  const folder = join(root, 'mount')
  const helper = join(root, 'shutdown')
  let copies = 0
  run('cc', '-O1', '-o', helper, source)
  writeFileSync(image, '')
  truncateSync(image, kinds[kind].bytes)
  run(`mkfs.${kind}`, '-q', kinds[kind].force, image)
  run('mkdir', folder)
  const on = (): void => {
    mountImage(image, folder, kinds[kind].mount)
    // What is mounted is the one that was cut if somebody else still holds it.
    const probe = join(folder, '.probe')
    writeFileSync(probe, '')
    unlinkSync(probe)
  }
  on()
  atTestEnd(() => {
    works('umount', '-l', folder)
    rmSync(root, { recursive: true, force: true })
  })
  return {
    folder,
    cut: () => void run(helper, folder),
    on: () => {
      run('umount', folder)
      // A process with a copy of all mounts, as in a container, may hold the old one for as long as it likes; and what is
      // mounted twice is one file system. The disk itself can be copied.
      if (run('losetup', '-j', image) !== '') {
        const next = join(root, `image-${++copies}`)
        run('cp', '--sparse=always', image, next)
        unlinkSync(image)
        image = next
      }
      on()
    }
  }
}
