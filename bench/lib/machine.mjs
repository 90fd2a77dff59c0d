// What the figures were measured on. No path, no host name: only what explains a difference.
import { readFileSync, realpathSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'

export function describeMachine(folder) {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    fileSystem: fileSystemOf(realpathSync(folder)),
    node: process.version,
    date: new Date().toISOString(),
    // Above 0 the machine had other work when the suite began.
    loadBefore: Number(loadavg()[0].toFixed(2))
  }
}

/** A name for the folder of a machine's results, made of what explains a difference: `amd-epyc-2c-ext4`. */
export function nameMachine({ cpu, cores, fileSystem }) {
  const words = cpu.replace(/\((r|tm)\)|\b(cpu|processor)\b|@.*/gi, ' ')
  const slug = words
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return `${slug || 'machine'}-${cores}c-${fileSystem}`
}

/** Type of the mounted file system that holds `folder`: the longest mount point that is a prefix of it. */
function fileSystemOf(folder) {
  let best = { point: '', kind: 'unknown' }
  let mounts = ''
  try {
    mounts = readFileSync('/proc/mounts', 'utf8')
  } catch {
    return best.kind // no /proc: not Linux
  }
  for (const line of mounts.split('\n')) {
    const [, point = '', kind = ''] = line.split(' ')
    const inside = folder === point || folder.startsWith(point.endsWith('/') ? point : `${point}/`)
    if (inside && point.length >= best.point.length) best = { point, kind }
  }
  return best.kind
}
