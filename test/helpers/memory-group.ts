// A control group whose processes may have so much memory, and are killed by the kernel when they want more. Needs root and
// the controller `memory` of either version.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atTestEnd } from './at-test-end.ts'
import { works } from './mount.ts'
import { until } from './until.ts'

const ROOT = '/sys/fs/cgroup'
const MEBIBYTE = 1024 * 1024

interface Version {
  readonly folder: string
  readonly limit: string
  /** Of memory and swap together, where that is a limit of its own. */
  readonly withSwap: string | undefined
  prepare(): void
}

const versions: readonly Version[] = [
  {
    folder: join(ROOT, 'memory'),
    limit: 'memory.limit_in_bytes',
    withSwap: 'memory.memsw.limit_in_bytes',
    prepare() {}
  },
  {
    folder: ROOT,
    limit: 'memory.max',
    withSwap: undefined,
    prepare: () => writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+memory')
  }
]

const version = versions.find(isUsable)

/** Why there are no such groups here, or undefined. */
export const noMemoryGroup =
  version === undefined ? 'needs root and the memory controller of cgroups' : undefined

/** Runs what follows it in a new group. */
export function inMemoryGroup(mebibytes: number): string[] {
  if (version === undefined) throw new Error(noMemoryGroup)
  const group = makeGroup(version, mebibytes)
  atTestEnd(() => until(() => works('rmdir', group)).then(() => {}))
  return ['sh', '-c', `echo $$ > ${group}/cgroup.procs && exec "$@"`, 'sh']
}

function makeGroup({ folder, limit, withSwap, prepare }: Version, mebibytes: number): string {
  prepare()
  const group = mkdtempSync(join(folder, 'logboom-test-'))
  writeFileSync(join(group, limit), String(mebibytes * MEBIBYTE))
  // Without swap there is no such limit, and none is needed.
  const swap = withSwap === undefined ? undefined : join(group, withSwap)
  if (swap !== undefined && existsSync(swap)) writeFileSync(swap, String(mebibytes * MEBIBYTE))
  return group
}

function isUsable(each: Version): boolean {
  const probe = join(each.folder, `logboom-probe-${process.pid}`)
  try {
    each.prepare()
    mkdirSync(probe)
  } catch {
    return false
  }
  try {
    writeFileSync(join(probe, each.limit), String(MEBIBYTE * 64))
    return Number(readFileSync(join(probe, each.limit), 'utf8')) === MEBIBYTE * 64
  } catch {
    return false
  } finally {
    rmdirSync(probe)
  }
}
